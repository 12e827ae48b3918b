"""Alarms of the shipped rules: raised, cleared, acknowledged, over restarts and blind time."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from zlib import crc32

import msgspec
import orjson

from hub.engine.ages import MILLION
from hub.model.effects import Event, Transition
from hub.model.heard import Publish
from hub.model.records import Control, SessionConnected, Started
from hub.model.values import Severity
from tests.engine.desk import (
    ALARM,
    HOUR,
    NORMAL,
    SECOND,
    SESSIONS,
    Desk,
    device,
    documents,
    native,
    place,
    smoke,
    with_rule,
)

PRESSED = """
rule: exit-pressed
for_each: access_controller
on_signal: exit_button.pressed
raise: {event: access.exit_pressed, severity: info}
"""


def gate(sub_event: int, serial: int, at: str = "2026-03-01T16:00:00+08:00", **words: object) -> Publish:
    body = {
        "dateTime": at,
        "eventType": "AccessControllerEvent",
        "eventState": "active",
        "AccessControllerEvent": {
            "majorEventType": 5, "subEventType": sub_event, "doorNo": 1, "serialNo": serial, "currentEvent": True,
            "cardNo": "11", "employeeNoString": "001", **words,
        },
    }  # fmt: skip
    return Publish("hub/s1/gate-1/signal", orjson.dumps(body))


COLD = """
rule: cold
for_each: building
inputs: {coldest: {of: environment_sensor, where: temperature > -100, take: min(temperature)}}
when: coldest < 5
raise: {event: utility.cold, severity: high}
"""


def alike() -> tuple[int, int]:
    """Return two numbers of swipes of one second that have the same digest below the millisecond."""
    found: dict[int, int] = {}
    for serial in count():
        digest = crc32(f"s1/gate-1\0{serial}/2026-03-01T16:00:00+08:00".encode()) % MILLION
        if (other := found.setdefault(digest, serial)) != serial:
            return other, serial
    raise AssertionError


# ------------------------------------------------------------------------------------------------------------- alarms


def test_what_an_alarm_tells_is_read_again_also_where_some_have_long_said_nothing(tmp_path: Path) -> None:
    (tmp_path / "rule.yaml").write_text(COLD, encoding="utf-8")
    rooms = (device(name, "environment_sensor") for name in ("room-1", "room-2"))
    desk = Desk(documents(*rooms, place("b1", "building"), rules=[tmp_path]))
    desk.hear(native("room-2", {"values": {"temperature": 20}}, "telemetry"))
    desk.tick(100 * HOUR)
    desk.hear(native("room-1", {"values": {"temperature": 3}}, "telemetry"))
    (event,) = (event for event in desk.events if event.name == "utility.cold")
    assert msgspec.json.decode(msgspec.json.encode(event), type=Event).data == {"coldest": 3}


def test_smoke_is_an_alarm_at_once(desk: Desk) -> None:
    effects = desk.hear(smoke(ALARM))
    event = effects.events[0]
    assert (event.name, event.transition, event.severity) == ("fire.smoke_alarm", Transition.RAISED, Severity.CRITICAL)
    assert (event.site, event.building, event.device, event.late) == ("s1", "b1", "smoke-1", False)
    assert event.data == {"alarm": True, "status": "alarm", "testing": False}
    assert [alarm.key for alarm in desk.engine.alarms()] == ["s1/smoke-1"]


def test_an_alarm_is_raised_once_however_often_it_is_repeated(desk: Desk) -> None:
    for _ in range(5):
        desk.hear(smoke(ALARM))
        desk.tick(30)
    assert desk.told() == ["raised fire.smoke_alarm"]


def test_a_cleared_alarm_can_fire_again_under_another_id(desk: Desk) -> None:
    for _ in range(2):
        desk.hear(smoke(ALARM))
        desk.hear(smoke(NORMAL))
        desk.tick(10)
    assert desk.told() == ["raised fire.smoke_alarm", "cleared fire.smoke_alarm"] * 2
    assert len({event.id for event in desk.events}) == 4


def test_an_active_alarm_survives_a_restart_and_clears_after_it(desk: Desk) -> None:
    desk.hear(smoke(ALARM))
    later = desk.start_again()
    assert [alarm.key for alarm in later.engine.alarms()] == ["s1/smoke-1"]
    later.hear(smoke(NORMAL), connection=2)
    later.tick(10)
    assert later.told() == ["cleared fire.smoke_alarm"]


def test_a_clear_timer_continues_over_a_restart(desk: Desk) -> None:
    desk.hear(smoke(ALARM))
    desk.hear(smoke(NORMAL))
    desk.tick(6)
    later = desk.start_again()
    later.tick(3.9)
    assert later.told() == []
    later.tick(0.2)
    assert later.told() == ["cleared fire.smoke_alarm"]


def test_acknowledging_is_answered_journaled_and_told(desk: Desk) -> None:
    desk.hear(smoke(ALARM))
    expires = desk.wall + 30 * SECOND
    order = Control("1-0", "id-1", "li", "ack", expires, {"rule": "smoke-alarm", "key": "s1/smoke-1"})
    effects = desk.say(order)
    assert [(reply.ok, reply.code) for reply in effects.replies] == [(True, "ok")]
    assert effects.events[0].transition is Transition.ACKNOWLEDGED
    assert next(desk.engine.alarms()).acknowledged_by == "li"
    again = desk.say(order)
    assert [(reply.ok, reply.code) for reply in again.replies] == [(True, "ok")]
    assert again.events == []


def test_an_order_that_comes_after_its_expiry_does_nothing(desk: Desk) -> None:
    desk.hear(smoke(ALARM))
    late = desk.wall - 1
    effects = desk.say(Control("1-0", "id-1", "li", "ack", late, {"rule": "smoke-alarm", "key": "s1/smoke-1"}))
    assert [reply.code for reply in effects.replies] == ["expired"]
    assert effects.events == []


def test_a_rule_that_is_removed_clears_its_alarms_and_says_why(desk: Desk) -> None:
    desk.hear(smoke(ALARM))
    wanted = {key: body for key, body in desk.engine.content.bodies().items() if key != "rule/smoke-alarm"}
    effects = desk.revise(wanted)
    assert [(event.transition, event.data["reason"]) for event in effects.events] == [("cleared", "rule removed")]
    assert list(desk.engine.alarms()) == []


# -------------------------------------------------------------------------------------------------------------- signals


def test_a_forced_door_is_an_alarm_of_that_door(desk: Desk) -> None:
    effects = desk.hear(gate(0x1B, 1))
    assert [(event.name, event.key) for event in effects.events] == [("security.door_forced", "s1/gate-1#door-1")]


def test_the_same_bytes_pressed_twice_are_two_events(tmp_path: Path) -> None:
    desk = with_rule(tmp_path, PRESSED)
    press = native("door-1", {"part": "door-1", "signals": [{"name": "exit_button.pressed"}]})
    desk.hear(press)
    desk.hear(press, press)
    assert desk.told() == ["occurred access.exit_pressed"] * 3
    assert len({event.id for event in desk.events}) == 3


def test_a_replay_from_a_checkpoint_gives_momentary_events_the_same_ids(tmp_path: Path) -> None:
    desk = with_rule(tmp_path, PRESSED)
    press = native("door-1", {"part": "door-1", "signals": [{"name": "exit_button.pressed"}] * 2})
    desk.hear(press)
    again = desk.restart()
    desk.hear(press)
    again.hear(press)
    assert [event.id for event in again.events] == [event.id for event in desk.events][2:]
    assert len({event.id for event in desk.events}) == 4


def test_two_swipes_in_one_second_are_two_points(desk: Desk) -> None:
    first = desk.hear(gate(0x19, 1), gate(0x1A, 2))
    times = [time for _, time, _ in first.points]
    assert len(times) == 2
    assert len(set(times)) == 2
    assert {time // SECOND for time in times} == {1_772_352_000}


def test_two_swipes_whose_digests_are_alike_are_two_points_whenever_they_come(desk: Desk) -> None:
    """They have a millionth of a millisecond each: of a million pairs one has the same, and would be one point."""
    before, after = alike()
    opened, closed = gate(0x19, before), gate(0x1A, after)
    first, second = (desk.hear(swipe).points[0][1] for swipe in (opened, closed))
    assert first != second
    assert first // MILLION == second // MILLION
    again = desk.restart()
    assert [again.hear(swipe).points[0][1] for swipe in (closed, opened)] == [second, first]


def test_the_same_event_uploaded_again_is_the_same_point_and_judged_once(desk: Desk) -> None:
    first = desk.hear(gate(0x1B, 7))
    second = desk.hear(gate(0x1B, 7))
    assert [time for _, time, _ in first.points] == [time for _, time, _ in second.points]
    assert desk.engine.state.ledger.repeated == 1


def test_a_stored_event_that_is_uploaded_later_is_only_stored(desk: Desk) -> None:
    effects = desk.hear(gate(0x1B, 9, currentEvent=False))
    assert len(effects.points) == 1
    assert effects.events == []
    assert desk.engine.state.ledger.backfill == 1


# ----------------------------------------------------------------------------------------------------------- blind time


def test_what_was_queued_while_the_hub_was_down_is_raised_late(desk: Desk) -> None:
    later = desk.restart()
    later.wait(HOUR)
    later.say(Started("test", SESSIONS))
    for session in SESSIONS:
        later.say(SessionConnected(session, 2, session_present=True))
    later.hear(smoke(ALARM), connection=2)
    assert later.told() == ["raised fire.smoke_alarm late"]
    assert later.engine.state.ledger.late == 1
