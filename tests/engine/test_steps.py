"""Steps of rules over time: what is stale, what fails, what was late, what a person must end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from hub.model.heard import Publish
from hub.model.records import Control, SessionCaughtUp, SessionConnected, Started
from hub.model.values import Scalar
from tests.engine.desk import (
    ALARM,
    HOUSE,
    SECOND,
    SESSIONS,
    UNLOCKS,
    Desk,
    device,
    documents,
    encoded,
    native,
    smoke,
    transmitted,
    with_rule,
)

HOUR = 3_600
ROOM = (device("room", "environment_sensor"), device("smoke-1", "smoke_sensor", "milesight/gs524n"), device("door-1", "access_controller"))  # fmt: skip # noqa: E501 -- a table

HOT = """
rule: hot
for_each: environment_sensor
when: temperature > 50
for: {for_}
raise: {{event: fire.hot, severity: high}}
on_missing: {missing}
"""
LATCHED = """
rule: latched
for_each: smoke_sensor
when: status == 'alarm'
raise: {event: fire.latched, severity: critical}
clear: {by: operator}
"""
FORCED_LOCKS = """
rule: forced-locks
for_each: {part: door}
on_signal: door.forced
raise: {event: security.forced_locks, severity: high}
clear: {when: "door == 'closed'"}
do: [{command: unlock, args: {ttl: 30s}, until: cleared}]
"""
CROWD = """
rule: crowd
for_each: building
inputs: {total: {of: ai_camera, take: sum(people)}}
when: total > 20
raise: {event: security.crowd, severity: high}
"""
BOUNDED = UNLOCKS.replace("until: cleared}", "until: cleared, at_most: 40s}")


def desk_with(tmp_path: Path, rule: str) -> Desk:
    (tmp_path / "rule.yaml").write_text(rule, encoding="utf-8")
    return Desk(documents(*ROOM, rules=[tmp_path]))


def warm(desk: Desk, temperature: float) -> None:
    desk.hear(Publish("hub/s1/room/telemetry", orjson.dumps({"values": {"temperature": temperature}})))


def told(desk: Desk, name: str) -> list[str]:
    return [line for line in desk.told() if name in line]


def order(desk: Desk, verb: str, identity: str = "id-1", **args: str) -> str:
    effects = desk.say(Control("1-0", identity, "li", verb, desk.wall + 30 * SECOND, dict(args)))
    return effects.replies[0].code


# --------------------------------------------------------------------------------------------------------------- inputs


@pytest.mark.parametrize(("people", "told"), [(2**63 - 1, 3 * 2.0**63), (10, 30)])
def test_what_many_devices_come_to_can_be_written_down_however_much_it_is(
    tmp_path: Path, people: int, told: float
) -> None:
    (tmp_path / "crowd.yaml").write_text(CROWD, encoding="utf-8")
    cameras = [device(f"camera-{number}", "ai_camera") for number in range(3)]
    desk = Desk(documents(*cameras, HOUSE, rules=[tmp_path]))
    for number in range(3):
        desk.hear(native(f"camera-{number}", {"values": {"people": people}}, "telemetry"))
    assert [event.data for event in desk.events if event.name == "security.crowd"] == [{"total": told}]
    assert encoded(desk.effects)
    assert desk.restart().engine.state.ledger.live == 3


# ------------------------------------------------------------------------------------------------------------- missing


def test_a_pending_raise_is_judged_again_when_its_time_has_come(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, HOT.format(for_="2h", missing="clear"))
    warm(desk, 60)
    desk.tick(2.1 * HOUR)
    assert told(desk, "hot") == []


def test_a_value_that_becomes_stale_clears_where_the_rule_says_so(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, HOT.format(for_="0s", missing="clear"))
    warm(desk, 60)
    desk.tick(0.9 * HOUR)
    assert told(desk, "hot") == ["raised fire.hot"]
    desk.tick(0.2 * HOUR)
    assert told(desk, "hot") == ["raised fire.hot", "cleared fire.hot"]


def test_a_value_that_becomes_stale_raises_where_the_rule_says_so(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, HOT.format(for_="0s", missing="raise"))
    warm(desk, 20)
    desk.tick(1.1 * HOUR)
    assert told(desk, "hot") == ["raised fire.hot"]


def test_a_value_that_becomes_stale_changes_nothing_where_the_rule_keeps(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, HOT.format(for_="0s", missing="keep"))
    warm(desk, 60)
    desk.tick(2 * HOUR)
    assert told(desk, "hot") == ["raised fire.hot"]


def test_staleness_is_waited_for_after_a_restart_too(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, HOT.format(for_="0s", missing="clear"))
    warm(desk, 60)
    later = desk.restart()
    later.tick(1.1 * HOUR)
    assert told(later, "hot") == ["cleared fire.hot"]


# ---------------------------------------------------------------------------------------------------------------- bugs


def test_a_bug_in_a_timers_step_costs_that_rule_one_step(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, HOT.format(for_="60s", missing="keep"))
    warm(desk, 60)
    rule = desk.engine.content.rules["hot"]
    assert rule.when is not None

    def broken(_held: object, _now: int) -> bool:
        raise ZeroDivisionError

    rule.when = rule.when._replace(verdict=broken)
    desk.tick(61)
    assert desk.told() == ["occurred device.rule_failed"]


def test_a_step_that_fails_while_it_acts_leaves_no_command_behind(tmp_path: Path) -> None:
    desk = with_rule(tmp_path, UNLOCKS)
    last = desk.engine.content.find("s1", "gate-1")
    assert last is not None
    last.outfit = replace(last.outfit, guards=None)  # type: ignore[arg-type] # whatever fails late
    desk.hear(smoke(ALARM))
    assert "occurred device.rule_failed" in desk.told()
    assert transmitted(desk) == []
    assert not desk.engine.has_leases
    desk.write_down()
    assert [key for key in desk.checkpoint if key.startswith("command/")] == []


# ---------------------------------------------------------------------------------------------------------------- late


def test_a_late_signal_alarm_sends_its_command_at_the_next_live_signal(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, FORCED_LOCKS)
    forced = {"part": "door-1", "signals": [{"name": "door.forced"}]}
    for minutes in range(10, 0, -1):  # the clock of the device is learnt from its first ten messages
        desk.hear(native("door-1", {"t": desk.wall // 1_000_000, "values": {}}))
        desk.wait(minutes)
    desk.hear(native("door-1", {"t": desk.wall // 1_000_000 - 600_000, **forced}))
    assert told(desk, "forced_locks") == ["raised security.forced_locks late"]
    assert transmitted(desk) == []
    desk.hear(native("door-1", {"t": desk.wall // 1_000_000, **forced}))
    assert [command for _, command in transmitted(desk)] == ["unlock"]
    assert [alarm.late for alarm in desk.engine.alarms() if alarm.rule == "forced-locks"] == [True]


BOTH = """
rule: smoke-both
label: {en: Smoke, zh: 烟}
for_each: smoke_sensor
when: status == 'alarm'
raise: {event: fire.smoke_both, severity: critical}
clear: {when: "status == 'normal'"}
do:
  - {command: lock, to: {kind: access_controller, in: building}}
  - {command: unlock, args: {ttl: 30s}, to: {kind: access_controller, in: building}, until: cleared}
"""


def test_a_late_alarm_owes_what_lasts_and_not_what_was_for_its_moment(tmp_path: Path) -> None:
    desk = with_rule(tmp_path, BOTH)
    desk.lose()
    desk.tick(60)
    for session in SESSIONS:
        desk.say(SessionConnected(session, 2, session_present=True))
    desk.hear(smoke(ALARM), connection=2)
    assert transmitted(desk) == []
    for session in SESSIONS:
        desk.say(SessionCaughtUp(session, 2))
    assert {command for _, command in transmitted(desk)} == {"unlock"}


def test_holds_that_were_lost_are_taken_up_once_and_what_was_sent_is_not_sent_again(tmp_path: Path) -> None:
    desk = with_rule(tmp_path, BOTH)
    desk.hear(smoke(ALARM))
    later = desk.restart()
    later.wait(60)
    later.say(Started("test", SESSIONS))
    later.catch_up(2)
    later.tick(16)
    commands = [command for _, command in transmitted(later)]
    assert commands.count("lock") == 2  # the releases of two lapsed holds; gate-1 and door-1
    assert commands.count("unlock") == 4  # taken up, and renewed once


# ---------------------------------------------------------------------------------------------------------------- holds


def test_a_hold_ends_when_its_longest_time_is_over_though_the_alarm_lasts(tmp_path: Path) -> None:
    desk = with_rule(tmp_path, BOUNDED)
    desk.hear(smoke(ALARM))
    for _ in range(45):
        desk.tick(1)
    locks = [effects for effects in desk.effects if any(b'"lock"' in one.payload for one in effects.transmissions)]
    assert len(locks) == 1
    passed = (desk.records[locks[0].position - 1].t - desk.records[0].t) / SECOND
    assert 40 <= passed < 41.1


def test_durations_go_to_the_device_in_milliseconds(tmp_path: Path) -> None:
    desk = with_rule(tmp_path, UNLOCKS)
    effects = desk.hear(smoke(ALARM))
    assert [orjson.loads(one.payload)["args"] for one in effects.transmissions] == [{"ttl": 30_000}] * 2


def test_a_command_with_arguments_that_it_does_not_take_is_refused(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, LATCHED)
    words = {"site": "s1", "device": "door-1", "command": "unlock"}
    assert order(desk, "command", "id-1", **words, force="yes") == "bad_args"
    assert order(desk, "command", "id-2", **words, ttl="soon") == "bad_args"
    assert order(desk, "command", "id-3", **words, ttl="5s") == "accepted"


@pytest.mark.parametrize("ttl", ["300000d", "99999999999d"])
def test_a_hold_for_centuries_is_refused_and_the_state_can_be_saved(tmp_path: Path, ttl: str) -> None:
    desk = desk_with(tmp_path, LATCHED)
    words = {"site": "s1", "device": "door-1", "command": "unlock"}
    code = order(desk, "command", "id-1", **words, ttl=ttl)
    desk.write_down()
    assert code == "bad_args"


def test_a_command_may_not_wait_longer_than_a_minute(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, LATCHED)
    words: dict[str, Scalar] = {"site": "s1", "device": "door-1", "command": "unlock"}
    effects = desk.say(Control("1-0", "id-1", "li", "command", desk.wall + 61 * SECOND, words))
    assert [reply.code for reply in effects.replies] == ["bad_expiry"]


def test_a_command_expires_when_its_request_does(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, LATCHED)
    words: dict[str, Scalar] = {"site": "s1", "device": "door-1", "command": "unlock"}
    desk.say(Control("1-0", "id-1", "li", "command", desk.wall + 2 * SECOND, words))
    desk.tick(2.1)
    assert desk.told() == ["occurred command.expired"]


# --------------------------------------------------------------------------------------------------------------- people


def test_a_latched_alarm_ends_only_when_a_person_ends_it_and_its_cause_is_over(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, LATCHED)
    where = {"rule": "latched", "key": "s1/smoke-1"}
    desk.hear(smoke(ALARM))
    assert order(desk, "clear", "id-1", **where) == "still_true"
    desk.hear(smoke("2217641E1A2B"))
    desk.tick(HOUR)
    assert told(desk, "latched") == ["raised fire.latched"]
    assert order(desk, "clear", "id-2", **where) == "ok"
    assert told(desk, "latched") == ["raised fire.latched", "cleared fire.latched"]
    assert order(desk, "clear", "id-3", **where) == "no_such_alarm"


def test_an_alarm_that_clears_by_itself_is_not_cleared_by_hand(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, LATCHED)
    desk.hear(smoke(ALARM))
    assert order(desk, "clear", rule="smoke-alarm", key="s1/smoke-1") == "not_latched"
