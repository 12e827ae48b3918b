"""What came first: words that overtake each other, clocks that step, and windows that open while nobody listens."""

from __future__ import annotations

from pathlib import Path

import orjson

from hub.model.heard import Publish
from hub.model.records import SessionConnected, Started
from tests.engine.desk import SECOND, SESSIONS, Desk, device, documents

HOUR = 3_600
ROOM = (device("room", "environment_sensor"), device("door-1", "access_controller"))
HOT = """
rule: hot
for_each: environment_sensor
when: temperature > 50
raise: {event: fire.hot, severity: high}
"""
TWICE = HOT + "confirm: {times: 2, of: 3, within: 60s}\n"
AT_NIGHT = HOT + "schedule: {from: '22:00', until: '06:00'}\n"
RISING = """
rule: rising
for_each: environment_sensor
inputs: {gain: {take: increase(temperature), within: 1h}}
when: gain > 15
raise: {event: fire.rising, severity: high}
"""
FORCED = """
rule: forced
for_each: {kind: access_controller, part: door}
on_signal: door.forced
raise: {event: security.forced, severity: high}
clear: {when: "door == 'closed'", for: 5s}
"""
UNGRANTED = """
rule: ungranted
for_each: {kind: access_controller, part: door}
when: door == 'open'
without: {signal: access.granted, within: 5s, settle: 2s}
raise: {event: security.ungranted, severity: high}
"""


def desk_with(tmp_path: Path, rule: str) -> Desk:
    (tmp_path / "rule.yaml").write_text(rule, encoding="utf-8")
    return Desk({key: body for key, body in documents(*ROOM, rules=[tmp_path]).items() if not _is_shipped(key, rule)})


def _is_shipped(key: str, rule: str) -> bool:
    return key.startswith("rule/") and f"rule: {key.removeprefix('rule/')}\n" not in rule


def say(desk: Desk, name: str, ago: float | None = None, **said: object) -> None:
    """Let a device say something; ``ago`` seconds ago by its clock, if it has one."""
    if ago is not None:
        said["t"] = (desk.wall - round(ago * SECOND)) // 1_000_000
    desk.hear(Publish(f"hub/s1/{name}/signal", orjson.dumps(said)))


def warm(desk: Desk, temperature: float, ago: float | None = None) -> None:
    say(desk, "room", ago, values={"temperature": temperature})


def door(desk: Desk, state: str, ago: float | None = None) -> None:
    say(desk, "door-1", ago, part="door-1", values={"door": state})


def signal(desk: Desk, name: str, ago: float | None = None) -> None:
    say(desk, "door-1", ago, part="door-1", signals=[{"name": name}])


# ------------------------------------------------------------------------------------------------------ which was first


def test_a_door_that_was_closed_after_it_was_forced_clears_even_when_that_is_heard_first(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, FORCED)
    door(desk, "closed", ago=1)
    signal(desk, "door.forced", ago=20)
    assert desk.told() == ["raised security.forced"]
    desk.tick(5)
    assert desk.told() == ["raised security.forced", "cleared security.forced"]


def test_a_door_that_was_closed_before_it_was_forced_does_not_clear_when_that_is_heard_last(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, FORCED)
    signal(desk, "door.forced", ago=1)
    door(desk, "closed", ago=20)
    desk.tick(60)
    assert desk.told() == ["raised security.forced"]
    door(desk, "closed", ago=0)
    desk.tick(60)
    assert desk.told() == ["raised security.forced", "cleared security.forced"]


def test_a_door_without_a_clock_is_closed_after_it_was_forced_when_that_is_heard_last(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, FORCED)
    door(desk, "closed")
    signal(desk, "door.forced")
    desk.tick(60)
    assert desk.told() == ["raised security.forced"]
    door(desk, "closed")
    desk.tick(5)
    assert desk.told() == ["raised security.forced", "cleared security.forced"]


def test_a_word_that_was_overtaken_is_no_second_vote_for_the_one_that_overtook_it(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, TWICE)
    warm(desk, 60, ago=0)
    warm(desk, 20, ago=5)
    assert desk.told() == []
    warm(desk, 60, ago=0)
    assert desk.told() == ["raised fire.hot"]


def test_what_excuses_a_late_word_may_come_a_little_later_still(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, UNGRANTED)
    say(desk, "door-1", ago=0, values={})
    door(desk, "open", ago=30)
    desk.tick(1)
    signal(desk, "access.granted", ago=32)
    desk.tick(60)
    assert desk.told() == []


# ---------------------------------------------------------------------------------------------------- clocks that step


def test_a_device_without_a_clock_is_believed_when_ours_has_stepped_back(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, HOT)
    warm(desk, 60)
    desk.wall -= 24 * HOUR * SECOND
    warm(desk, 20)
    assert [line for line in desk.told() if "hot" in line] == ["raised fire.hot", "cleared fire.hot"]


def test_what_a_value_gained_is_known_when_our_clock_has_stepped_back(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, RISING)
    warm(desk, 10)
    warm(desk, 20)
    desk.wall -= 24 * HOUR * SECOND
    warm(desk, 30)
    assert [line for line in desk.told() if "rising" in line] == ["raised fire.rising"]


def test_what_a_device_kept_while_it_was_away_for_days_is_not_taken_for_its_clock(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, HOT)
    for _ in range(10):
        warm(desk, 20, ago=0)
    desk.tick(72 * HOUR)
    warm(desk, 60, ago=30 * HOUR)
    assert desk.told() == []
    warm(desk, 60, ago=3 * HOUR)
    assert desk.told() == ["raised fire.hot late"]


# --------------------------------------------------------------------------------------------- windows while blind


def test_a_window_that_closed_while_the_hub_was_down_is_closed_for_what_was_said_meanwhile(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, AT_NIGHT)
    desk.tick(13.5 * HOUR)  # 05:30 there
    later = desk.restart()
    later.wait(HOUR)
    later.say(Started("test", SESSIONS))
    for session in SESSIONS:
        later.say(SessionConnected(session, 2, session_present=True))
    warm(later, 60)
    later.catch_up(2)
    later.tick(1)
    assert later.told() == []


def test_a_window_that_opened_while_the_hub_was_down_is_judged_when_all_has_been_read(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, AT_NIGHT)
    desk.tick(5.5 * HOUR)  # 21:30 there
    warm(desk, 60)
    later = desk.restart()
    later.wait(HOUR)
    later.say(Started("test", SESSIONS))
    assert later.told() == []
    later.catch_up(2)
    assert later.told() == ["raised fire.hot"]
