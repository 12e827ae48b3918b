"""Foreign networks in the engine: envelopes to devices, availability, new sources, and what is not stored again."""

from __future__ import annotations

from collections import Counter

import pytest

from hub.engine.hearing import Ear
from hub.errors import ConfigError
from hub.model.heard import Publish
from hub.revisions.revision import revise
from tests.counting import counted
from tests.engine.desk import ALARM, NORMAL, Desk, device, documents
from tests.engine.foreign import (
    APPLICATION,
    EUI,
    KITCHEN,
    LORA,
    SMOKE_1,
    WANTED,
    ZIGBEE,
    alarming,
    foreign,
    letters,
    said,
    source,
    uplink,
)


@pytest.fixture
def desk() -> Desk:
    return Desk(WANTED)


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


def test_such_a_topic_leads_to_what_our_own_has_become_and_that_costs_others_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, other = device("eye", "smoke_sensor", "milesight/gs524n"), device("aside", "smoke_sensor")
    desk.revise({**WANTED, **ours, **other})
    counts: Counter[str] = Counter()
    counted(monkeypatch, Ear, "_foreign_route", counts)

    def heard() -> tuple[list[str], int]:
        """Return in which building each message was heard, and how many topics were looked up for that."""
        counts.clear()
        said = [Publish(f"vendor/s1/{name}/up", bytes.fromhex(ALARM)) for name in ("eye", "cam-1")]
        return [series.building for series, _, _ in desk.hear(*said).points], counts["_foreign_route"]

    assert heard() == (["b1", "b1"], 2)
    desk.revise({**WANTED, **ours, **device("aside", "smoke_sensor", building="b2")})
    assert heard() == (["b1", "b1"], 0)
    desk.revise({**WANTED, **device("eye", "smoke_sensor", "milesight/gs524n", building="b2")})
    assert heard() == (["b2", "b1"], 1)


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


UPLINK = f"application/{APPLICATION}/device/{EUI}/event/up"
LORA_FIRE, LORA_QUIET = (f'{{"fPort": 85, "data": "{data}"' for data in ("IhFkMh8Y", "IhdkHhor"))


@pytest.mark.parametrize(
    "beside",
    ["", ', "rssi": NaN', ', "deviceInfo": []', ', "deduplicationId": 1.5', ', "time": "\\ud800"', ', "name": "a\nb"'],
)
@pytest.mark.parametrize(
    ("topic", "fire", "quiet"),
    [(UPLINK, LORA_FIRE, LORA_QUIET), ("zigbee2mqtt/kitchen", '{"smoke": true', '{"smoke": false')],
    ids=["lora", "zigbee"],
)
def test_an_alarm_does_not_die_of_what_stands_beside_it_in_an_envelope(
    desk: Desk, topic: str, fire: str, quiet: str, beside: str
) -> None:
    effects = desk.hear(Publish(topic, f"\ufeff{fire}{beside}}}\0".encode()))
    assert ([alarm for _, alarm in alarming(effects)], letters(effects)) == ([True], [])
    nothing = desk.hear(Publish(topic, f"\ufeff{quiet}{beside}}}".encode()))
    assert [code for code, *_ in letters(nothing)] == ["bad_json"]


@pytest.mark.parametrize("odd", ['"fPort": "85"', '"fPort": NaN', '"data": NaN', '"data": ""'])
def test_an_envelope_whose_payload_or_port_cannot_be_read_is_no_alarm(desk: Desk, odd: str) -> None:
    effects = desk.hear(Publish(UPLINK, f'{LORA_FIRE}, {odd}, "x": NaN}}'.encode()))
    assert (alarming(effects), len(letters(effects))) == ([], 1)


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
