"""Foreign networks in the engine: envelopes to devices, directories to the rim, commands into the network and back."""

from __future__ import annotations

import base64
from collections.abc import Mapping

import msgspec
import orjson
import pytest

from hub.bridge import topics
from hub.engine.apply import Engine
from hub.engine.rows import Document
from hub.errors import ConfigError
from hub.model import Control, Effects, Outcome, OutcomeKind, Publish, Reply, Started
from hub.normalize.networks.directory import carried_over
from hub.normalize.networks.downlink import network_id
from hub.parts import understood
from hub.revisions import restored, revise
from tests.engine.desk import ALARM, JOURNAL, NORMAL, SECOND, Desk, device, documents
from tests.normalize.networks.bridge import SMOKE

APPLICATION = "17c82e96-be03-4f38-aef3-f83d48582d97"
EUI = "24e124535b316056"


def source(name: str, network: str, **params: object) -> dict[str, bytes]:
    """Return a source document."""
    return {f"source/{name}": orjson.dumps({"source": name, "network": network, "params": params})}


def foreign(name: str, kind: str, profile: str, source: str, network_id: str, **params: object) -> dict[str, bytes]:
    """Return the document of a device in a foreign network."""
    ((key, body),) = device(name, kind, profile).items()
    row = {**orjson.loads(body), "source": source, "network_id": network_id, "params": params}
    return {key: orjson.dumps(row)}


LORA = source("lora", "chirpstack")
ZIGBEE = source("z2m", "zigbee2mqtt")
DOORS = source("doors", "uhppoted")
RAW = source("raw", "raw")
SMOKE_1 = foreign("smoke-1", "smoke_sensor", "milesight/gs524n", "lora", EUI)
GAS_1 = foreign("gas-1", "gas_detector", "milesight/gs101", "lora", "24e124ffffffff01")
KITCHEN = foreign("kitchen", "smoke_sensor", "aqara/jy-gz-01aq", "z2m", "kitchen")
GATE = foreign("gate", "access_controller", "uhppoted/ut0311-l04", "doors", "405419896", card=8165538)
CAMERA = foreign("cam-1", "smoke_sensor", "milesight/gs524n", "raw", "cam-1")
WANTED = documents(
    LORA, ZIGBEE, DOORS, RAW, SMOKE_1, GAS_1, KITCHEN, GATE, CAMERA, device("door-1", "access_controller")
)


@pytest.fixture
def desk() -> Desk:
    return Desk(WANTED)


def uplink(payload: str, *, dedupe: str = "m1", eui: str = EUI, stream: str = "up", **words: object) -> Publish:
    """Return what ChirpStack publishes of a frame (hex)."""
    data = base64.b64encode(bytes.fromhex(payload)).decode()
    body = {"deduplicationId": dedupe, "fPort": 85, "data": data, **words}
    return Publish(f"application/{APPLICATION}/device/{eui}/event/{stream}", orjson.dumps(body))


def said(topic: str, body: object, *, retain: bool = False) -> Publish:
    return Publish(topic, orjson.dumps(body), retain=retain)


def letters(effects: Effects) -> list[tuple[str, str, str]]:
    return [(letter.code, letter.site, letter.device) for letter in effects.dead_letters]


def alarming(effects: Effects) -> list[tuple[str, object]]:
    """Return (device, whether it says alarm) of every point."""
    return [(series.device, values.get("alarm")) for series, _, values in effects.points]


# ------------------------------------------------------------------------------------------------------------- uplinks


def test_a_lorawan_fire_raises_the_alarm_of_its_device(desk: Desk) -> None:
    effects = desk.hear(uplink(ALARM))
    assert [(event.name, event.device) for event in effects.events] == [("fire.smoke_alarm", "smoke-1")]
    assert [(series.device, values["alarm"]) for series, _, values in effects.points] == [("smoke-1", True)]


def test_the_same_uplink_through_two_gateways_is_judged_once_and_is_one_point(desk: Desk) -> None:
    first, again = desk.hear(uplink(ALARM)), desk.hear(uplink(ALARM))
    assert [time for _, time, _ in first.points] == [time for _, time, _ in again.points]
    assert desk.told() == ["raised fire.smoke_alarm"]
    assert desk.engine.state.ledger.repeated == 1


def test_an_uplink_is_as_old_as_the_network_says(desk: Desk) -> None:
    effects = desk.hear(uplink(NORMAL, time="2026-03-01T07:00:00Z"))
    assert [time // 1_000_000 for _, time, _ in effects.points] == [1_772_348_400_000]


def test_an_uplink_without_a_payload_says_that_the_device_lives(desk: Desk) -> None:
    desk.wait(5)
    effects = desk.hear(uplink(""))
    found = desk.engine.content.find("s1", "smoke-1")
    assert found is not None
    assert found.state.heard_at == desk.wall
    assert (effects.points, desk.engine.state.ledger.live) == ([], 1)


def test_what_the_network_itself_knows_of_a_device_is_not_read_by_its_profile(desk: Desk) -> None:
    body = {"deduplicationId": "m9", "margin": 10, "batteryLevel": 88.3}
    effects = desk.hear(said(f"application/{APPLICATION}/device/{EUI}/event/status", body))
    assert [(series.device, values) for series, _, values in effects.points] == [("smoke-1", {"battery": 88.3})]


def test_a_controller_that_only_the_payload_names_is_found_each_time(desk: Desk) -> None:
    event = {"device-id": 405419896, "event-type": 1, "access-granted": True, "door-id": 4, "direction": 1}
    for number in (1, 2):
        desk.hear(said("uhppoted/gateway/events", {"message": {"event": {"event": {**event, "event-id": number}}}}))
    desk.hear(said("uhppoted/gateway/events", {"message": {"event": {"event": {**event, "device-id": 7}}}}))
    ledger = desk.engine.state.ledger
    assert (ledger.live, ledger.dead_letter_codes) == (2, {"unknown_device": 1})


def test_a_topic_that_names_site_and_device_means_our_own(desk: Desk) -> None:
    effects = desk.hear(Publish("vendor/s1/cam-1/up", bytes.fromhex(ALARM)))
    assert [event.device for event in effects.events] == ["cam-1"]


def test_a_device_of_another_source_is_not_to_be_had_by_its_name(desk: Desk) -> None:
    effects = desk.hear(Publish("vendor/s1/smoke-1/up", bytes.fromhex(ALARM)))
    assert letters(effects) == [("unknown_device", "s1", "smoke-1")]
    assert effects.events == []


def test_a_topic_that_is_nobodys_is_refused(desk: Desk) -> None:
    desk.hear(Publish("tuya/x", b"{}"))
    assert desk.engine.state.ledger.refused_codes == {"bad_topic": 1}


def test_a_broken_envelope_is_a_dead_letter_of_its_device(desk: Desk) -> None:
    effects = desk.hear(Publish(f"application/{APPLICATION}/device/{EUI}/event/up", b'{"data": '))
    assert letters(effects) == [("bad_json", "s1", "smoke-1")]


# --------------------------------------------------------------------------------------------- devices that nobody knew


def test_what_an_unregistered_device_said_is_taken_as_late_when_it_is_added() -> None:
    desk = Desk(documents(LORA))
    assert letters(desk.hear(uplink(ALARM))) == [("unknown_device", "", EUI)]
    added = desk.revise(documents(LORA, SMOKE_1))
    assert [(event.name, event.late) for event in added.events] == [("fire.smoke_alarm", True)]
    assert desk.engine.state.ledger.replayed == 1
    assert desk.hear(uplink(ALARM)).events == []  # the same message once more


def test_what_waits_survives_a_restart() -> None:
    desk = Desk(documents(LORA))
    desk.hear(uplink(ALARM))
    later = desk.restart()
    assert [event.name for event in later.revise(documents(LORA, SMOKE_1)).events] == ["fire.smoke_alarm"]


def test_a_label_in_capitals_is_the_same_device() -> None:
    desk = Desk(documents(LORA, foreign("smoke-1", "smoke_sensor", "milesight/gs524n", "lora", EUI.upper())))
    assert [event.device for event in desk.hear(uplink(ALARM)).events] == ["smoke-1"]


def test_a_removed_device_is_unknown_again(desk: Desk) -> None:
    desk.hear(uplink(NORMAL))
    desk.revise({key: body for key, body in WANTED.items() if key != "device/s1/smoke-1"})
    assert letters(desk.hear(uplink(ALARM, dedupe="m2"))) == [("unknown_device", "", EUI)]


# -------------------------------------------------------------------------------------------- availability and networks


def availability(desk: Desk, name: str) -> str:
    found = desk.engine.content.find("s1", name)
    assert found is not None
    return found.state.availability


def test_a_network_says_whether_a_device_is_there(desk: Desk) -> None:
    desk.hear(said("zigbee2mqtt/kitchen/availability", {"state": "offline"}))
    assert availability(desk, "kitchen") == "offline"
    assert letters(desk.hear(said("zigbee2mqtt/kitchen/availability", {"state": "maybe"})))[0][0] == "bad_availability"


def test_a_twin_shows_at_once_that_its_device_is_gone(desk: Desk) -> None:
    desk.hear(said("zigbee2mqtt/kitchen", {"smoke": False}))
    desk.engine.take_changed_twins()
    desk.hear(Publish("zigbee2mqtt/kitchen/availability", b"offline"))
    assert [(twin.name, twin.availability) for twin in desk.engine.take_changed_twins()[0]] == [("kitchen", "offline")]


def test_a_bridge_that_is_gone_takes_its_devices_along_and_brings_them_back_unknown(desk: Desk) -> None:
    desk.hear(said("zigbee2mqtt/bridge/state", {"state": "offline"}))
    assert (availability(desk, "kitchen"), availability(desk, "smoke-1")) == ("offline", "unknown")
    desk.hear(said("zigbee2mqtt/bridge/state", {"state": "online"}))
    assert availability(desk, "kitchen") == "unknown"
    assert desk.told() == ["occurred device.network_offline", "occurred device.network_online"]
    assert [event.data for event in desk.events] == [{"source": "z2m", "devices": 1}] * 2


# ---------------------------------------------------------------------------------------------------------- directories


def listing(*, name: str = "hall", address: str = "0x00158d0001b7d2a3", exposes: list[object] | None = None) -> bytes:
    """Return a bridge/devices of one smoke alarm."""
    definition = {"vendor": "Xiaomi", "model": "JTYJ", "exposes": SMOKE if exposes is None else exposes}
    return orjson.dumps(
        [{"friendly_name": name, "ieee_address": address, "type": "EndDevice", "definition": definition}]
    )


def directed(wanted: Mapping[str, bytes], payload: bytes) -> dict[str, bytes]:
    """Return ``wanted`` with what the rim makes of a directory."""
    rows = [body for key, body in wanted.items() if key.startswith(("device/", "source/"))]
    return {**wanted, **carried_over(understood({"z2m": payload}, wanted), rows)}


HALL = foreign("hall", "smoke_sensor", "", "z2m", "0x00158d0001b7d2a3")


def test_a_directory_goes_to_the_rim_however_long_it_is(desk: Desk) -> None:
    payload = listing().replace(b"[{", b"[" + b" " * 300_000 + b"{", 1)
    effects = desk.hear(Publish("zigbee2mqtt/bridge/devices", payload, retain=True))
    assert effects.directories == [("z2m", payload)]
    assert desk.engine.state.ledger.live == 1


def test_a_directory_that_cannot_be_read_is_a_dead_letter(desk: Desk) -> None:
    effects = desk.hear(Publish("zigbee2mqtt/bridge/devices", b"[{"))
    assert (letters(effects)[0][0], effects.directories) == ("bad_json", [])


def test_a_device_without_a_profile_is_what_the_directory_says_and_what_it_said_before_is_taken_late() -> None:
    wanted = documents(ZIGBEE, HALL)
    desk = Desk(wanted)
    assert letters(desk.hear(said("zigbee2mqtt/hall", {"smoke": True})))[0][0] == "unknown_device"
    told = desk.revise(directed(wanted, listing()))
    assert (alarming(told), desk.engine.state.ledger.replayed) == ([("hall", True)], 1)
    effects = desk.hear(said("zigbee2mqtt/hall", {"smoke": False, "battery": 77}))
    assert [(series.profile[:20], values["battery"]) for series, _, values in effects.points] == [
        ("zigbee2mqtt-auto/jty", 77)
    ]


def test_a_device_that_the_directory_does_not_list_waits_until_it_does() -> None:
    wanted = documents(ZIGBEE, foreign("hall", "smoke_sensor", "", "z2m", "hall"))
    desk = Desk(wanted)
    assert letters(desk.hear(said("zigbee2mqtt/hall", {"smoke": True}))) == [("not_in_directory", "s1", "hall")]
    assert alarming(desk.revise(directed(wanted, listing()))) == [("hall", True)]


def test_a_directory_that_says_another_kind_stops_nothing_but_that_device() -> None:
    wanted = documents(ZIGBEE, KITCHEN, foreign("hall", "gas_detector", "", "z2m", "hall"))
    desk = Desk(directed(wanted, listing()))
    assert letters(desk.hear(said("zigbee2mqtt/hall", {"smoke": True})))[0][0] == "wrong_kind"
    assert alarming(desk.hear(said("zigbee2mqtt/kitchen", {"smoke": True}))) == [("kitchen", True)]


def test_a_directory_outlives_an_upgrade_that_cannot_read_an_old_rule() -> None:
    known = {**directed(documents(ZIGBEE, HALL), listing()), "rule/odd": b'{"rule": 1}'}
    entries = [(f"document/{key}", msgspec.msgpack.encode(Document(body))) for key, body in sorted(known.items())]
    engine, old = restored(lambda: Engine(JOURNAL, topics, lambda _: ()), entries, documents())
    found = engine.content.find("s1", "hall")
    assert found is not None
    assert (found.profile[:17], found.deafness, "rule/odd" in old) == ("zigbee2mqtt-auto/", None, True)


def test_what_a_directory_said_goes_with_its_source_and_stays_with_a_device_that_names_it() -> None:
    wanted = documents(ZIGBEE, HALL)
    known = directed(wanted, listing())
    (made,) = [key.removeprefix("profile/") for key in known if key.startswith("profile/zigbee2mqtt-auto/")]
    assert carried_over(known, [ZIGBEE["source/z2m"]]).keys() == {"directory/z2m", f"profile/{made}"}
    assert carried_over(known, []) == {}
    row = foreign("hall", "smoke_sensor", made, "z2m", "hall")["device/s1/hall"]
    assert carried_over(known, [row]).keys() == {f"profile/{made}"}


# ------------------------------------------------------------------------------------------------------------- commands


def ask(desk: Desk, name: str, command: str, identity: str = "c1", **args: object) -> tuple[Reply, Effects]:
    """Ask for a command as an operator does; return the answer and the effects."""
    words = {"site": "s1", "device": name, "command": command, **args}
    control = Control(f"{len(desk.records)}-1", identity, "li", "command", desk.wall + 10 * SECOND, words)  # type: ignore[arg-type] # test words
    effects = desk.say(control)
    return effects.replies[0], effects


def state_of(desk: Desk, identity: str = "c1") -> str:
    return desk.engine._hands.commands[identity].state.value  # noqa: SLF001 -- an open command shows nowhere else


def test_a_command_goes_into_a_lorawan_network_where_its_device_was_heard_last(desk: Desk) -> None:
    desk.hear(uplink("058E01", eui="24e124ffffffff01"))
    _, effects = ask(desk, "gas-1", "close_valve")
    (sent,) = effects.transmissions
    assert (sent.topic, sent.response_topic) == (f"application/{APPLICATION}/device/24e124ffffffff01/command/down", "")
    body = orjson.loads(sent.payload)
    assert (body["id"], body["fPort"], base64.b64decode(body["data"]).hex()) == (network_id("c1"), 85, "060000ff")


def test_where_a_device_was_heard_survives_a_restart(desk: Desk) -> None:
    desk.hear(uplink("058E01", eui="24e124ffffffff01"))
    _, effects = ask(desk.restart(), "gas-1", "close_valve")
    assert [sent.topic.split("/")[1] for sent in effects.transmissions] == [APPLICATION]


def test_a_command_to_a_device_that_was_never_heard_leaves_where_it_is_heard_first(desk: Desk) -> None:
    reply, effects = ask(desk, "gas-1", "close_valve")
    assert (reply.code, effects.transmissions) == ("waiting_for_uplink", [])
    later = desk.hear(uplink("058E00", eui="24e124ffffffff01"))
    assert [sent.topic.split("/")[1] for sent in later.transmissions] == [APPLICATION]


def test_a_command_that_the_profile_cannot_say_is_refused(desk: Desk) -> None:
    reply, effects = ask(desk, "smoke-1", "self_test")
    assert (reply.ok, reply.code, effects.transmissions) == (False, "unknown_command", [])


@pytest.mark.parametrize(
    ("stream", "words", "state"),
    [
        ("txack", {}, "delivered"),
        ("ack", {"acknowledged": True}, "delivered"),
        ("ack", {"acknowledged": False}, "failed"),
    ],
)
def test_what_a_network_says_of_a_command_is_its_state(
    desk: Desk, stream: str, words: dict[str, object], state: str
) -> None:
    desk.hear(uplink("058E01", eui="24e124ffffffff01"))
    ask(desk, "gas-1", "close_valve")
    desk.say(Outcome("c1", OutcomeKind.SENT))
    body = {"queueItemId": network_id("c1"), **words}
    desk.hear(said(f"application/{APPLICATION}/device/24e124ffffffff01/event/{stream}", body))
    assert state_of(desk) == state


def test_a_receipt_of_another_device_or_of_no_command_of_ours_moves_nothing(desk: Desk) -> None:
    desk.hear(uplink("058E01", eui="24e124ffffffff01"))
    ask(desk, "gas-1", "close_valve")
    for eui, identity in ((EUI, network_id("c1")), ("24e124ffffffff01", network_id("c2"))):
        desk.hear(said(f"application/{APPLICATION}/device/{eui}/event/ack", {"queueItemId": identity}))
    assert state_of(desk) == "accepted"
    assert desk.engine.state.ledger.dead_lettered == 0


def request(effects: Effects) -> tuple[str, dict[str, object]]:
    """Return topic and request of the one transmission to uhppoted."""
    (sent,) = effects.transmissions
    return sent.topic, orjson.loads(sent.payload)["message"]["request"]


def test_a_door_behind_uhppoted_is_opened_and_its_reply_is_the_end(desk: Desk) -> None:
    _, effects = ask(desk, "gate", "unlock", part="door-4", ttl="5s")
    topic, body = request(effects)
    assert topic == "uhppoted/gateway/requests/device/door/lock:open"
    assert (body["device-id"], body["door"], body["card-number"], body["request-id"]) == (405419896, 4, 8165538, "c1")
    reply = {"method": "open-door", "request-id": "c1", "response": {"device-id": 405419896, "opened": True}}
    told = desk.hear(said("uhppoted/gateway/replies/hub", {"message": {"reply": reply}}))
    assert [(event.name, event.data["id"]) for event in told.events] == [("command.executed", "c1")]


def test_a_refusal_that_names_no_controller_is_the_commands_and_no_sign_of_life(desk: Desk) -> None:
    ask(desk, "gate", "unlock", part="door-4", ttl="5s")
    error = {"method": "open-door", "request-id": "c1", "error": {"message": "timeout"}}
    told = desk.hear(said("uhppoted/gateway/replies/hub", {"message": {"error": error}}))
    found = desk.engine.content.find("s1", "gate")
    assert found is not None
    assert [event.name for event in told.events] == ["command.rejected"]
    assert found.state.heard_at == 0


def test_a_reply_to_nobodys_request_is_a_dead_letter(desk: Desk) -> None:
    error = {"method": "open-door", "request-id": "c9", "error": {"message": "timeout"}}
    effects = desk.hear(said("uhppoted/gateway/replies/hub", {"message": {"error": error}}))
    assert letters(effects) == [("unknown_command", "", "")]


def test_a_zigbee_alarm_is_muted_by_its_own_word(desk: Desk) -> None:
    _, effects = ask(desk, "kitchen", "silence")
    assert [(sent.topic, sent.payload) for sent in effects.transmissions] == [
        ("zigbee2mqtt/kitchen/set", b'{"buzzer":"mute"}')
    ]


def test_what_shows_a_command_done_is_what_the_model_reports_and_not_all_that_its_kind_might(desk: Desk) -> None:
    ask(desk, "kitchen", "silence")
    desk.say(Outcome("c1", OutcomeKind.SENT))
    desk.hear(said("zigbee2mqtt/kitchen", {"smoke": True, "buzzer_manual_mute": True}))
    assert state_of(desk) == "verified"


def test_of_a_controller_that_never_reports_its_lock_the_answer_is_the_last_word(desk: Desk) -> None:
    ask(desk, "gate", "unlock", part="door-4", ttl="5s")
    command = desk.engine._hands.commands["c1"]  # noqa: SLF001 -- an open command shows nowhere else
    assert command.verify_t == 0


def test_a_device_of_our_own_topics_is_told_in_its_profiles_words_and_understood_in_them() -> None:
    desk = Desk(documents(device("lift", "elevator", "ebike_board/door_hold")))
    _, effects = ask(desk, "lift", "hold_door", ttl="30s")
    (sent,) = effects.transmissions
    assert (sent.topic, sent.response_topic) == ("hub/s1/lift/command", "hub/s1/lift/response")
    assert orjson.loads(sent.payload)["type"] == "enable_block_door"
    answer = {"id": "c1", "sender": "board", "body": {"ok": True}}
    told = desk.hear(said("hub/s1/lift/response", answer))
    assert [event.name for event in told.events] == ["command.executed"]


def test_an_answer_that_is_none_in_the_profiles_words_is_a_dead_letter() -> None:
    desk = Desk(documents(device("lift", "elevator", "ebike_board/door_hold")))
    ask(desk, "lift", "hold_door", ttl="30s")
    effects = desk.hear(said("hub/s1/lift/response", {"id": "c1", "sender": "hub", "body": {"ok": True}}))
    assert letters(effects) == [("unmatched", "s1", "lift")]


def test_a_command_that_was_not_sent_before_a_stop_is_wrapped_again_after_it(desk: Desk) -> None:
    ask(desk, "gate", "unlock", part="door-4", ttl="5s")
    later = desk.restart()
    later.wait(1)
    topic, body = request(later.say(Started("test", ("events", "telemetry"))))
    assert (topic, body["request-id"]) == ("uhppoted/gateway/requests/device/door/lock:open", "c1")


# ------------------------------------------------------------------------------------------------------------ revisions


def test_two_sources_that_claim_one_topic_are_refused_before_anything_is_journaled() -> None:
    with pytest.raises(ConfigError, match="overlapping_filters"):
        revise({}, documents(ZIGBEE, source("other", "zigbee2mqtt")), "test")


def test_a_command_without_a_port_is_refused_where_the_network_needs_one() -> None:
    wanted = documents(LORA, foreign("alarm", "smoke_sensor", "aqara/jy-gz-01aq", "lora", EUI))
    with pytest.raises(ConfigError, match="no_port"):
        revise({}, wanted, "test")


def test_a_new_source_is_heard_and_a_removed_one_is_not() -> None:
    desk = Desk(documents(LORA, SMOKE_1))
    assert "zigbee2mqtt/+" not in desk.engine.content.networks.router.filters("telemetry")
    desk.revise(documents(LORA, SMOKE_1, ZIGBEE, KITCHEN))
    assert "zigbee2mqtt/+" in desk.engine.content.networks.router.filters("telemetry")
    assert alarming(desk.hear(said("zigbee2mqtt/kitchen", {"smoke": True}))) == [("kitchen", True)]
    desk.revise(documents(LORA, SMOKE_1))
    desk.hear(said("zigbee2mqtt/kitchen", {"smoke": True}))
    assert desk.engine.state.ledger.refused_codes == {"bad_topic": 1}


# -------------------------------------------------------------------------------------------------------------- sparing


LIFT = {"type": "info", "data": {"direction": 1, "floor": 7, "door": 0, "fault": []}}


def test_a_value_that_does_not_change_is_stored_once_a_minute_and_counted_otherwise() -> None:
    desk = Desk(documents(device("lift", "elevator", "elevator_gateway/info")))
    stored = []
    for _ in range(7):
        effects = desk.hear(said("hub/s1/lift/telemetry", LIFT))
        stored.append(len(effects.points))
        desk.wait(20)
    assert stored == [1, 0, 0, 1, 0, 0, 1]
    ledger = desk.engine.state.ledger
    assert (ledger.points, ledger.live, ledger.unstored) == (3, 7, 4 * 12)


def test_only_what_changed_is_stored_and_rules_see_all_of_it() -> None:
    desk = Desk(documents(device("lift", "elevator", "elevator_gateway/info")))
    desk.hear(said("hub/s1/lift/telemetry", LIFT))
    desk.wait(1)
    higher = {"type": "info", "data": {**LIFT["data"], "floor": 8}}  # type: ignore[dict-item] # a dict
    effects = desk.hear(said("hub/s1/lift/telemetry", higher))
    assert [values for _, _, values in effects.points] == [{"floor": 8}]
    (twin,) = desk.engine.twins_of("s1")
    assert {"floor", "door", "direction"} <= twin.reported.keys()


def test_what_was_stored_last_survives_a_restart() -> None:
    desk = Desk(documents(device("lift", "elevator", "elevator_gateway/info")))
    desk.hear(said("hub/s1/lift/telemetry", LIFT))
    desk.wait(20)
    later = desk.restart()
    assert later.hear(said("hub/s1/lift/telemetry", LIFT)).points == []
