"""Commands into foreign networks: where they go, what the network says of them, and the answers."""

from __future__ import annotations

import base64
from pathlib import Path

import orjson
import pytest

from hub.model.effects import Effects
from hub.model.records import Outcome, OutcomeKind, Started
from hub.normalize.networks.downlink import network_id
from tests.engine.desk import Desk, device, documents, native
from tests.engine.foreign import APPLICATION, EUI, RAW, WANTED, ask, foreign, letters, said, state_of, uplink


@pytest.fixture
def desk() -> Desk:
    return Desk(WANTED)


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


@pytest.mark.parametrize("hole", ["{id:u16le}", "{sent_at:u32be}", "{address:u8}"])
def test_a_hub_starts_whatever_an_installation_has_written_and_only_the_command_fails(hole: str) -> None:
    profile = {
        "profile": "acme/lock", "version": "0.1.0", "kind": "access_controller", "label": {"en": "x"},
        "params": {"address": 7}, "payload": {"format": "json"}, "time": {"from": "none"},
        "properties": {"battery": {"path": "b"}}, "commands": {"unlock": {"hex": f"01 {hole}", "port": 1}},
    }  # fmt: skip
    lock = foreign("lock", "access_controller", "acme/lock", "raw", "lock", address="07")
    desk = Desk(documents(RAW, lock, {"profile/acme/lock": orjson.dumps(profile)})).restart()
    _, effects = ask(desk, "lock", "unlock", ttl="5s")
    (event,) = effects.events
    assert (effects.transmissions, event.name) == ([], "command.failed")
    assert str(event.data["detail"]).startswith("bad_args")


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


UNTIMED = """
rule: smoke-unlocks
version: 1.0.0
label: {en: Smoke unlocks, zh: 烟感联动开门}
for_each: smoke_sensor
when: status == 'alarm'
raise: {event: fire.smoke_unlocks, severity: critical}
clear: {when: "status == 'normal'"}
do: [{command: unlock, to: {kind: access_controller, in: building}, priority: life_safety, until: cleared}]
"""
FRAMED = {
    "profile": "acme/lock", "version": "1.0.0", "kind": "access_controller", "label": {"en": "Lock", "zh": "锁"},
    "payload": {"format": "json"}, "time": {"from": "none"}, "examples": [],
    "properties": {"door": {"path": "d", "values": {"0": "closed", "1": "open"}}},
    "commands": {"unlock": {"hex": "01 {ttl.s:u8}"}},
}  # fmt: skip


def test_a_hold_whose_rule_says_no_ttl_leaves_with_the_one_that_the_hub_counts_with(tmp_path: Path) -> None:
    (tmp_path / "rule.yaml").write_text(UNTIMED, encoding="utf-8")
    devices = device("smoke-1", "smoke_sensor"), device("lock-1", "access_controller", "acme/lock")
    desk = Desk({**documents(*devices, rules=[tmp_path]), "profile/acme/lock": orjson.dumps(FRAMED)})
    desk.hear(native("smoke-1", {"values": {"status": "alarm", "alarm": True}}))
    assert [one.payload for effects in desk.effects for one in effects.transmissions] == [bytes([1, 30])]


@pytest.mark.parametrize("sort", ["duration", "int"])
def test_a_hold_leaves_whatever_its_kind_says_that_a_ttl_is(tmp_path: Path, sort: str) -> None:
    (tmp_path / "rule.yaml").write_text(UNTIMED, encoding="utf-8")
    devices = device("smoke-1", "smoke_sensor"), device("lock-1", "access_controller")
    wanted = documents(*devices, rules=[tmp_path])
    kind = orjson.loads(wanted["kind/access_controller"])
    kind["commands"]["unlock"]["args"]["ttl"]["type"] = sort
    desk = Desk({**wanted, "kind/access_controller": orjson.dumps(kind)})
    desk.hear(native("smoke-1", {"values": {"status": "alarm", "alarm": True}}))
    assert len([one for effects in desk.effects for one in effects.transmissions]) == 1
    assert "fire.smoke_unlocks" in [event.name for event in desk.events]


def test_a_hold_whose_kind_takes_other_arguments_by_now_fails_and_the_hub_goes_on(tmp_path: Path) -> None:
    timed = UNTIMED.replace("{command: unlock,", "{command: unlock, args: {ttl: 30s},")
    (tmp_path / "rule.yaml").write_text(timed, encoding="utf-8")
    wanted = documents(device("smoke-1", "smoke_sensor"), device("lock-1", "access_controller"), rules=[tmp_path])
    desk = Desk(wanted)
    desk.hear(native("smoke-1", {"values": {"status": "alarm", "alarm": True}}))
    kind = orjson.loads(wanted["kind/access_controller"])
    kind["commands"]["unlock"]["args"] = {"seconds": {"type": "duration"}}
    desk.revise({**wanted, "kind/access_controller": orjson.dumps(kind)})
    desk.tick(20)
    assert [event.name for event in desk.events if event.name == "command.failed"] == ["command.failed"]


def test_a_kind_whose_ttl_is_a_number_costs_a_person_the_command_and_not_the_hub() -> None:
    wanted = documents(device("lock-1", "access_controller"))
    kind = orjson.loads(wanted["kind/access_controller"])
    kind["commands"]["unlock"]["args"]["ttl"]["type"] = "int"
    desk = Desk({**wanted, "kind/access_controller": orjson.dumps(kind)})
    reply, _ = ask(desk, "lock-1", "unlock", ttl=5)
    assert (reply.ok, reply.code) == (False, "bad_args")
