"""The ledger: every message has exactly one end, and the same journal has the same effects."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.config.settings import packaged
from hub.model.heard import Publish, Reading
from hub.model.records import Control, SessionConnected, Started
from hub.normalize.examples import payload_bytes
from hub.normalize.networks.load import load_networks
from tests.engine.desk import ALARM, JOURNAL, NORMAL, SESSIONS, Desk, device, documents, encoded, native, smoke
from tests.engine.mixed import WANTED

ENVELOPES = [
    (example.topic, payload_bytes(example.payload))
    for network in load_networks([packaged("device_profiles")]).values()
    for example in network.examples
    if example.sends is None
]

TOPICS = st.sampled_from(
    [
        *(f"hub/s1/{name}/{sort}" for name in ("smoke-1", "gate-1", "door-1", "nobody")
          for sort in ("telemetry", "signal", "response", "availability")),
        "application/a/device/24e124535b316056/event/up", "application/a/device/0/event/up",
        "application/a/device/24e124535b316056/event/status", "application/a/device/24e124535b316056/event/ack",
        "zigbee2mqtt/kitchen", "zigbee2mqtt/kitchen/availability", "zigbee2mqtt/bridge/state",
        "zigbee2mqtt/bridge/devices", "vendor/s1/smoke-1/up", "vendor/s1/nobody/up",
        "hub/s1/smoke-1", "hub//smoke-1/telemetry", "hub/_hub/x/telemetry", "", "a", "hub/s1/smoke-1/telemetry/x",
    ]
)  # fmt: skip

PAYLOADS = st.one_of(
    st.binary(max_size=64),
    st.sampled_from([bytes.fromhex(ALARM), bytes.fromhex(NORMAL), b"online", b"", b"[" * 5_000, b'{"values": {}}']),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=6,
    ).map(lambda value: repr(value).encode()),
)  # fmt: skip

FLAGS = {"packet_id": st.integers(1, 5), "duplicate": st.booleans(), "retain": st.booleans()}

WRAPPED = st.sampled_from(ENVELOPES).flatmap(
    lambda pair: st.builds(Publish, st.just(pair[0]), st.just(pair[1]), **FLAGS)
)

MESSAGES = st.lists(st.one_of(st.builds(Publish, TOPICS, PAYLOADS, **FLAGS), WRAPPED), max_size=12)


@given(st.lists(MESSAGES, max_size=4))
def test_any_bytes_on_any_topic_end_in_exactly_one_term_of_the_ledger(batches: list[list[Publish]]) -> None:
    desk = Desk(WANTED)
    heard = 0
    for messages in batches:
        desk.hear(*messages)
        heard += len(messages)
    ledger = desk.engine.state.ledger
    assert ledger.heard == heard
    assert (
        ledger.heard
        == ledger.live + ledger.late + ledger.backfill + ledger.duplicate + ledger.dead_lettered + ledger.refused
    )
    assert ledger.dead_lettered == sum(ledger.dead_letter_codes.values())
    assert ledger.refused == sum(ledger.refused_codes.values())
    assert ledger.dead_lettered == sum(len(effects.dead_letters) for effects in desk.effects)
    assert ledger.points == sum(len(effects.points) for effects in desk.effects)
    assert ledger.dead_letter_codes.get("internal_error", 0) == 0


@given(st.lists(MESSAGES, max_size=4))
def test_the_same_journal_replayed_twice_gives_byte_identical_effects(batches: list[list[Publish]]) -> None:
    desk = Desk(WANTED)
    for messages in batches:
        desk.hear(*messages)
        desk.tick(7)
    again = Desk()
    for record in desk.records:
        again.effects.append(again.engine.apply(record))
    assert encoded(again.effects) == encoded(desk.effects)


@given(st.lists(MESSAGES, min_size=2, max_size=5), st.data())
def test_a_restart_anywhere_changes_nothing(batches: list[list[Publish]], data: st.DataObject) -> None:
    straight, broken = Desk(WANTED), Desk(WANTED)
    cut = data.draw(st.integers(0, len(batches) - 1))
    for index, messages in enumerate(batches):
        straight.hear(*messages)
        straight.tick(3)
        if index == cut:
            effects = broken.effects
            broken = broken.restart()
            broken.effects = effects
        broken.hear(*messages)
        broken.tick(3)
    assert encoded(broken.effects) == encoded(straight.effects)
    assert broken.engine.state.ledger == straight.engine.state.ledger


@pytest.mark.parametrize("poison", [b"", b"\xff\xfe", b"[" * 100_000, b"\x22\x11\x64\x32\x1f\x19"])
def test_a_poisoned_message_in_front_of_a_good_one_becomes_a_dead_letter(poison: bytes) -> None:
    desk = Desk(WANTED)
    effects = desk.hear(Publish("hub/s1/smoke-1/telemetry", poison), smoke(ALARM))
    assert [letter.payload for letter in effects.dead_letters] == [poison]
    assert [letter.index for letter in effects.dead_letters] == [0]
    assert desk.told() == ["raised fire.smoke_alarm"]


def test_a_message_that_is_too_large_is_refused_and_counted() -> None:
    desk = Desk(WANTED)
    desk.hear(Publish("hub/s1/smoke-1/telemetry", b"x" * (256 * 1024 + 1)))
    assert desk.engine.state.ledger.refused == 1
    assert desk.engine.state.ledger.refused_codes == {"too_large": 1}


# ------------------------------------------------------------------------------------------------------ unknown devices


def test_messages_of_an_unknown_device_are_taken_as_late_when_it_is_added() -> None:
    desk = Desk(WANTED)
    stranger = Publish("hub/s1/smoke-2/telemetry", bytes.fromhex(ALARM))
    effects = desk.hear(stranger)
    assert [letter.code for letter in effects.dead_letters] == ["unknown_device"]
    added = desk.revise(WANTED | device("smoke-2", "smoke_sensor", "milesight/gs524n"))
    assert [(event.name, event.late) for event in added.events] == [("fire.smoke_alarm", True)]
    ledger = desk.engine.state.ledger
    assert (ledger.heard, ledger.dead_lettered, ledger.replayed) == (1, 1, 1)


def test_messages_that_waited_longer_than_an_hour_stay_dead_letters() -> None:
    desk = Desk(WANTED)
    desk.hear(Publish("hub/s1/smoke-2/telemetry", bytes.fromhex(ALARM)))
    desk.wait(3_601)
    desk.revise(WANTED | device("smoke-2", "smoke_sensor", "milesight/gs524n"))
    assert desk.engine.state.ledger.replayed == 0
    assert desk.told() == []


# ----------------------------------------------------------------------------------------------------------- sequences


def test_native_counters_tell_missing_and_reordered_messages() -> None:
    desk = Desk(WANTED)
    for seq in (1, 2, 5, 4, 5):
        desk.hear(
            Publish("hub/s1/door-1/telemetry", orjson.dumps({"seq": seq, "boot": "a", "values": {"tamper": False}}))
        )
    found = desk.engine.content.find("s1", "door-1")
    assert found is not None
    seldom = found.state.seldom
    assert (seldom.missing, seldom.reordered, seldom.repeated) == (1, 1, 1)


def test_counters_that_leap_were_set_anew_and_no_count_of_what_is_missing_outgrows_the_checkpoint() -> None:
    desk = Desk(WANTED)

    def say(seq: int, boot: str) -> None:
        desk.hear(native("door-1", {"seq": seq, "boot": boot, "values": {}}, "telemetry"))

    for boot in "abc":
        say(0, boot)
        say(2**63 - 1, boot)
    assert desk.engine.state.ledger.missed == 0
    desk.engine.state.ledger.missed = 2**63 - 2
    say(5, "d")
    say(5 + 2**32, "d")
    after = desk.restart()
    found = after.engine.content.find("s1", "door-1")
    assert found is not None
    assert (after.engine.state.ledger.missed, found.state.seldom.missing) == (2**63 - 1, 2**32 - 1)


def test_event_ids_name_the_journal_they_came_from() -> None:
    desk, other = Desk(WANTED), Desk(WANTED)
    other.engine.state.clock.journal = JOURNAL.replace("1", "2")
    desk.hear(smoke(ALARM))
    other.hear(smoke(ALARM))
    assert desk.events[0].id != other.events[0].id


# ---------------------------------------------------------------------------------------------------------------- bugs


def test_a_bug_in_a_decoder_costs_one_message() -> None:
    desk = Desk(WANTED)
    found = desk.engine.content.find("s1", "door-1")
    assert found is not None

    def broken(_payload: bytes) -> list[Reading]:
        raise ZeroDivisionError

    found.outfit = replace(found.outfit, handler=broken)
    effects = desk.hear(Publish("hub/s1/door-1/telemetry", b"{}"), smoke(ALARM))
    assert [letter.code for letter in effects.dead_letters] == ["internal_error"]
    assert desk.told() == ["raised fire.smoke_alarm"]


def test_a_bug_in_a_rule_costs_that_rule_one_step() -> None:
    desk = Desk(WANTED)
    rule = desk.engine.content.rules["smoke-alarm"]
    whole = rule.when
    assert whole is not None

    def broken(_held: object, _now: int) -> bool:
        raise ZeroDivisionError

    rule.when = whole._replace(verdict=broken)
    effects = desk.hear(smoke(ALARM))
    assert desk.told() == ["occurred device.rule_failed"]
    assert len(effects.points) == 1
    rule.when = whole
    desk.hear(smoke(ALARM))
    assert desk.told()[1:] == ["raised fire.smoke_alarm"]
    assert desk.engine.state.ledger.failed_rules == {"smoke-alarm": 1}


def test_a_broker_that_forgot_the_session_is_an_event_but_the_first_meeting_is_none() -> None:
    desk = Desk()
    desk.say(Started("test", SESSIONS))
    desk.say(SessionConnected("events", 1, session_present=False))
    assert desk.told() == []
    desk.say(SessionConnected("events", 2, session_present=False))
    assert desk.told() == ["occurred device.broker_session_lost"]


def test_what_a_broker_dropped_is_told_once_over_restarts_of_the_hub_and_anew_when_it_counts_anew() -> None:
    desk = Desk()
    told: list[object] = []
    for total in (0, 7, 7, 9, 3, 3):
        desk = desk.restart()
        desk.say(Control("", "", "hub", "report", 0, {"name": "broker_dropped_messages", "total": total}))
        told += [event.data for event in desk.events]
    assert told == [{"dropped": 7}, {"dropped": 2}, {"dropped": 3}]


def test_events_of_one_millisecond_have_numbers_that_tell_them_apart() -> None:
    desk = Desk(WANTED)
    desk.hear(*[smoke(ALARM), smoke(NORMAL)] * 2)
    desk.tick(11)
    numbers = [event.number for event in desk.events]
    assert numbers == list(range(1, len(numbers) + 1))
    later = desk.restart()
    later.hear(smoke(ALARM))
    assert later.events[0].number == len(numbers) + 1


def test_a_name_that_the_kind_does_not_know_is_dropped_and_counted() -> None:
    desk = Desk(WANTED)
    effects = desk.hear(Publish("hub/s1/door-1/telemetry", b'{"values": {"tamper": true, "colour": "red"}}'))
    assert [values for _, _, values in effects.points] == [{"tamper": True}]
    assert desk.engine.content.count_of("unknown_names") == 1


def test_a_dead_letter_names_the_property_that_it_is_about() -> None:
    desk = Desk(documents(device("smoke-1", "smoke_sensor", "zigbee2mqtt/smoke")))
    (letter,) = desk.hear(Publish("hub/s1/smoke-1/telemetry", b'{"smoke": false, "battery": "much"}')).dead_letters
    assert (letter.code, letter.detail) == ("bad_value", "battery: not a finite number")
