"""Alarms of the shipped rules: raised, cleared, acknowledged, over restarts and blind time."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from hub.model.effects import Transition
from hub.model.heard import Publish
from hub.model.records import Control, Outcome, OutcomeKind, SessionCaughtUp, SessionConnected, Started
from hub.model.values import Severity
from tests.engine.desk import ALARM, COMMUNITY, NORMAL, SECOND, SESSIONS, Desk, documents, smoke, unheard

HOUR = 3_600

UNLOCKS = """
rule: smoke-unlocks
label: {en: Smoke unlocks the gates of the building, zh: 烟感联动开门}
for_each: smoke_sensor
when: status == 'alarm'
raise: {event: fire.smoke_unlocks, severity: critical}
clear: {when: "status == 'normal'"}
do:
  - {command: unlock, args: {ttl: 30s}, to: {kind: access_controller, in: building}, priority: life_safety,
     until: cleared}
"""
PRESSED = """
rule: exit-pressed
for_each: access_controller
on_signal: exit_button.pressed
raise: {event: access.exit_pressed, severity: info}
"""


@pytest.fixture
def desk() -> Desk:
    return Desk(unheard(documents(*COMMUNITY)))


def with_rule(tmp_path: Path, text: str) -> Desk:
    (tmp_path / "extra.yaml").write_text(text, encoding="utf-8")
    return Desk(documents(*COMMUNITY, rules=[tmp_path]))


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


def native(name: str, payload: object, topic_class: str = "signal") -> Publish:
    return Publish(f"hub/s1/{name}/{topic_class}", orjson.dumps(payload))


def transmitted(desk: Desk) -> list[tuple[str, str]]:
    return [
        (one.topic, orjson.loads(one.payload)["command"]) for effects in desk.effects for one in effects.transmissions
    ]


# ------------------------------------------------------------------------------------------------------------- alarms


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
    later = desk.restart()
    later.say(Started("test", SESSIONS))
    later.catch_up(2)
    assert [alarm.key for alarm in later.engine.alarms()] == ["s1/smoke-1"]
    later.hear(smoke(NORMAL), connection=2)
    later.tick(10)
    assert later.told() == ["cleared fire.smoke_alarm"]


def test_a_clear_timer_continues_over_a_restart(desk: Desk) -> None:
    desk.hear(smoke(ALARM))
    desk.hear(smoke(NORMAL))
    desk.tick(6)
    later = desk.restart()
    later.say(Started("test", SESSIONS))
    later.catch_up(2)
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


# -------------------------------------------------------------------------------------------------------------- silence


def test_a_detector_that_says_nothing_for_fifty_hours_is_silent(desk: Desk) -> None:
    desk.hear(smoke(NORMAL))
    desk.tick(49.9 * HOUR)
    assert desk.told() == []
    desk.tick(0.2 * HOUR)
    assert desk.told() == ["raised device.detector_silent"]
    desk.hear(smoke(NORMAL))
    assert desk.told() == ["raised device.detector_silent", "cleared device.detector_silent"]


def test_a_rule_about_silence_that_comes_later_watches_devices_that_were_there(desk: Desk) -> None:
    wanted = desk.engine.content.bodies()
    without = {key: body for key, body in wanted.items() if key != "rule/detector-silent"}
    desk.revise(without)
    desk.hear(smoke(NORMAL))
    desk.revise(wanted)
    desk.tick(50.1 * HOUR)
    assert desk.told() == ["raised device.detector_silent"]


def test_a_silence_timer_continues_over_a_restart(desk: Desk) -> None:
    desk.hear(smoke(NORMAL))
    desk.tick(49 * HOUR)
    later = desk.restart()
    later.say(Started("test", SESSIONS))
    later.catch_up(2)
    later.tick(0.9 * HOUR)
    assert later.told() == []
    later.tick(0.2 * HOUR)
    assert later.told() == ["raised device.detector_silent"]


def test_an_hour_of_downtime_is_not_an_hour_of_silence(desk: Desk) -> None:
    desk.hear(smoke(NORMAL))
    desk.tick(49.5 * HOUR)
    later = desk.restart()
    later.wait(HOUR)
    later.say(Started("test", SESSIONS))
    later.tick(5)
    later.catch_up(2)
    later.tick(0.4 * HOUR)
    assert later.told() == []
    later.tick(0.2 * HOUR)
    assert later.told() == ["raised device.detector_silent"]


@pytest.mark.parametrize("days", [1, -1])
def test_a_wall_clock_that_steps_a_day_moves_no_timer(desk: Desk, days: int) -> None:
    desk.hear(smoke(ALARM))
    desk.hear(smoke(NORMAL))
    desk.wall += days * 24 * HOUR * SECOND
    desk.tick(9)
    assert desk.told() == ["raised fire.smoke_alarm", "occurred device.clock_stepped"]
    desk.tick(2)
    assert desk.told()[2:] == ["cleared fire.smoke_alarm"]
    desk.hear(smoke(NORMAL))
    desk.tick(49 * HOUR)
    assert desk.told()[3:] == []


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


def test_a_late_alarm_sends_its_command_when_it_is_known_to_be_still_true(tmp_path: Path) -> None:
    desk = with_rule(tmp_path, UNLOCKS)
    later = desk.restart()
    later.wait(HOUR)
    later.say(Started("test", SESSIONS))
    for session in SESSIONS:
        later.say(SessionConnected(session, 2, session_present=True))
    later.hear(smoke(ALARM), connection=2)
    assert transmitted(later) == []
    later.catch_up(2)
    assert transmitted(later) == [("hub/s1/door-1/command", "unlock"), ("hub/s1/gate-1/command", "unlock")]


def test_a_late_alarm_that_ended_in_the_backlog_sends_nothing(tmp_path: Path) -> None:
    desk = with_rule(tmp_path, UNLOCKS)
    later = desk.restart()
    later.say(Started("test", SESSIONS))
    for session in SESSIONS:
        later.say(SessionConnected(session, 2, session_present=True))
    later.hear(smoke(ALARM), smoke(NORMAL), connection=2)
    later.catch_up(2)
    assert [(event.name, event.transition) for event in later.events if "unlocks" in event.name] == [
        ("fire.smoke_unlocks", "raised"),
        ("fire.smoke_unlocks", "cleared"),
    ]
    assert transmitted(later) == []


# ------------------------------------------------------------------------------------------------------------- commands


def test_a_hold_is_renewed_while_the_alarm_lasts_and_released_when_it_is_cleared(tmp_path: Path) -> None:
    desk = with_rule(tmp_path, UNLOCKS)
    desk.hear(smoke(ALARM))
    assert desk.engine.has_leases
    desk.tick(15)
    desk.tick(15)
    desk.hear(smoke(NORMAL))
    to_gate = [command for topic, command in transmitted(desk) if "gate-1" in topic]
    assert to_gate == ["unlock", "unlock", "unlock", "lock"]
    assert not desk.engine.has_leases


def to_gate(desk: Desk) -> list[str]:
    """Return what the gate was told since the last call."""
    found = [command for topic, command in transmitted(desk) if "gate-1" in topic]
    desk.effects.clear()
    return found


def down_for_an_hour(desk: Desk) -> Desk:
    """Return the desk of the next process, an hour after its last word."""
    later = desk.restart()
    later.wait(HOUR)
    later.say(Started("test", SESSIONS))
    return later


def test_a_lease_that_lapsed_while_the_hub_was_down_is_released_at_the_start(tmp_path: Path) -> None:
    desk = with_rule(tmp_path, UNLOCKS.replace("life_safety", "automatic"))
    desk.hear(smoke(ALARM))
    later = down_for_an_hour(desk)
    assert to_gate(later) == ["lock"]
    later.catch_up(2)
    assert to_gate(later) == ["unlock"]


def test_what_an_alarm_holds_for_the_safety_of_life_is_never_let_go_by_a_start(tmp_path: Path) -> None:
    desk = with_rule(tmp_path, UNLOCKS)
    desk.hear(smoke(ALARM))
    later = down_for_an_hour(desk)
    assert to_gate(later) == ["unlock"]
    later.tick(16)
    assert to_gate(later) == ["unlock"]  # renewed though nobody knows yet whether it still burns
    later.catch_up(2)
    assert to_gate(later) == []
    later.hear(smoke(NORMAL), connection=2)
    assert to_gate(later) == ["lock"]


def test_an_alarm_that_was_over_while_the_hub_was_down_lets_go_when_all_is_heard(tmp_path: Path) -> None:
    desk = with_rule(tmp_path, UNLOCKS)
    desk.hear(smoke(ALARM))
    later = down_for_an_hour(desk)
    for session in SESSIONS:
        later.say(SessionConnected(session, 2, session_present=True))
    later.hear(smoke(NORMAL), connection=2)
    assert to_gate(later) == ["unlock"]
    for session in SESSIONS:
        later.say(SessionCaughtUp(session, 2))
    assert to_gate(later) == ["lock"]


def test_what_may_be_held_so_long_at_most_is_let_go_at_the_start_also_for_the_safety_of_life(tmp_path: Path) -> None:
    desk = with_rule(tmp_path, UNLOCKS.replace("until: cleared", "until: cleared, at_most: 10m"))
    desk.hear(smoke(ALARM))
    later = down_for_an_hour(desk)
    assert to_gate(later) == ["lock"]
    later.catch_up(2)
    assert to_gate(later) == []


def send(desk: Desk, identity: str = "id-1", **args: object) -> list[str]:
    words = {"site": "s1", "device": "gate-1", "command": "unlock", "part": "door-1", "ttl": "5s", **args}
    expires = desk.wall + 30 * SECOND
    effects = desk.say(Control("1-0", identity, "li", "command", expires, words))  # type: ignore[arg-type] # scalars
    return [reply.code for reply in effects.replies]


def test_an_operators_command_is_executed_when_the_device_says_so(desk: Desk) -> None:
    assert send(desk) == ["accepted"]
    desk.say(Outcome("id-1", OutcomeKind.SENT))
    desk.say(Outcome("id-1", OutcomeKind.DELIVERED))
    assert desk.told() == []
    desk.hear(native("gate-1", {"id": "id-1", "ok": True}, "response"))
    assert desk.told() == ["occurred command.executed"]
    assert desk.events[0].rule == "operator li"


def test_a_command_that_nobody_answers_is_a_timeout_and_one_that_never_left_expired(desk: Desk) -> None:
    send(desk, "id-1")
    send(desk, "id-2", part="door-2")
    desk.say(Outcome("id-1", OutcomeKind.SENT))
    desk.tick(11)
    assert sorted(event.name for event in desk.events) == ["command.expired", "command.timeout"]


def test_an_answer_from_another_device_is_a_dead_letter(desk: Desk) -> None:
    send(desk)
    effects = desk.hear(native("door-1", {"id": "id-1", "ok": True}, "response"))
    assert [letter.code for letter in effects.dead_letters] == ["unknown_command"]
    assert desk.told() == []


def test_a_command_that_was_not_sent_before_a_restart_goes_out_under_the_same_id(desk: Desk) -> None:
    send(desk, "id-1")
    send(desk, "id-2")
    desk.say(Outcome("id-1", OutcomeKind.SENT))
    later = desk.restart()
    later.wait(2)
    effects = later.say(Started("test", SESSIONS))
    assert [one.command for one in effects.transmissions] == ["id-2"]


@pytest.mark.parametrize("is_restarted", [False, True])
def test_an_ended_command_is_remembered_for_ten_minutes_from_its_end_restarted_or_not(
    desk: Desk, *, is_restarted: bool
) -> None:
    send(desk)
    desk.tick(300)
    assert desk.told() == ["occurred command.expired"]
    later = desk.restart() if is_restarted else desk
    answer = native("gate-1", {"id": "id-1", "ok": True}, "response")
    later.tick(599)
    assert later.hear(answer).dead_letters == []
    later.tick(1)
    assert [letter.code for letter in later.hear(answer).dead_letters] == ["unknown_command"]


def test_an_unknown_command_is_refused_with_what_the_kind_takes(desk: Desk) -> None:
    assert send(desk, command="self_destruct") == ["unknown_command"]
    assert send(desk, "id-3", device="nobody") == ["unknown_device"]
