"""Waits: what a rule waits for over a restart, through blind time, and when a device of an input falls silent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from hub.model.heard import Publish
from hub.model.records import SessionConnected, Started
from hub.rules.timers import TimerClass
from tests.engine.desk import SESSIONS, Desk, native
from tests.engine.one_rule import HOUR, MINUTE, PLACES, desk_with, order, told, warm

# ------------------------------------------------------------------------------------------------------------- restarts


def test_votes_survive_a_restart(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, "confirm: {times: 2, of: 3, within: 1m}")
    warm(desk, 60)
    later = desk.start_again()
    warm(later, 60, connection=2)
    assert (told(desk), told(later)) == ([], ["raised"])


def test_what_inputs_remember_survives_a_restart_and_ends_when_it_would_have(tmp_path: Path) -> None:
    words = "inputs: {hot: {of: environment_sensor, where: temperature > 50, take: distinct(device), within: 5m}}"
    desk = desk_with(tmp_path, words, "hot >= 2", "building")
    warm(desk, 60)
    warm(desk, 20)
    later = desk.start_again()
    later.wait(MINUTE)
    warm(later, 60, "room-2", connection=2)
    assert told(later) == ["raised"]
    later.tick(3.9 * MINUTE)
    assert told(later) == ["raised"]
    later.tick(0.2 * MINUTE)
    assert told(later) == ["raised", "cleared"]


def test_ladder_and_reminders_go_on_over_a_restart(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, "ladder: [{after: 10m, severity: critical}]\nremind: {every: 15m}")
    warm(desk, 60)
    desk.tick(5 * MINUTE)
    later = desk.start_again()
    later.tick(5.1 * MINUTE)
    assert [alarm.severity for alarm in later.engine.alarms()] == ["critical"]
    later.tick(5 * MINUTE)
    assert told(later) == ["severity_changed", "reminded"]


def test_an_open_alarm_of_a_place_is_shown_after_a_restart(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, when="temperature > 50", for_each="building")
    warm(desk, 60)
    assert [alarm.key for alarm in desk.start_again().engine.alarms()] == ["s1/@b1"]


# -------------------------------------------------------------------------------------------------------- blind time


def test_votes_wait_while_the_hub_is_blind(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, "confirm: {times: 2, of: 3, within: 1m}")
    warm(desk, 60)
    later = desk.restart()
    later.say(Started("test", SESSIONS))
    later.tick(10 * MINUTE)
    for session in SESSIONS:
        later.say(SessionConnected(session, 2, session_present=True))
    states = later.engine._alarms.states  # noqa: SLF001 -- votes tell nothing
    assert [state.phase for state in states.values()] == ["pending"]
    later.catch_up(2)
    later.tick(1)
    assert states == {}


def test_frames_that_lay_far_apart_do_not_confirm_when_they_come_together(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, "confirm: {times: 2, of: 3, within: 10s}")
    for minutes in range(10, 0, -1):  # the clock of the device is learnt from its first ten messages
        desk.hear(native("room", {"t": desk.wall // 1_000_000, "values": {"temperature": 20}}, "telemetry"))
        desk.wait(minutes)
    desk.wait(100)
    now = desk.wall // 1_000_000

    def frames(*ages: int) -> list[Publish]:
        said = [{"t": now - age * 1_000, "values": {"temperature": 60}} for age in ages]
        return [native("room", each, "telemetry") for each in said]

    desk.hear(*frames(50, 30))
    assert told(desk) == []
    desk.hear(*frames(19, 15))
    assert told(desk) == ["raised"]


# -------------------------------------------------------------------------------------------------------------- votes

TWICE = "confirm: {times: 2, of: 3, within: 1m}"


def _says_something_else(desk: Desk) -> None:
    desk.hear(native("room", {"values": {"humidity": 50}}, "telemetry"))


def _is_away_and_back(desk: Desk) -> None:
    for is_away in (True, False):
        row = orjson.loads(PLACES["place/s1/b1"]) | {"facts": {"away": is_away}}
        desk.revise(dict(desk.engine.content.bodies()) | {"place/s1/b1": orjson.dumps(row)})


def _another_is_tested(desk: Desk) -> None:
    order(desk, "test", "id-1", site="s1", what="room-2", reason="a look", **{"for": "2m"})


@pytest.mark.parametrize(
    ("words", "for_each", "happens"),
    [
        ("unless: humidity > 90", "environment_sensor", _says_something_else),
        ("clear: {when: humidity < 10}", "environment_sensor", _says_something_else),
        ("unless: humidity > 90", "building", _says_something_else),
        ("facts: {away: false}\nunless: $away", "environment_sensor", _is_away_and_back),
        ("", "building", _another_is_tested),
    ],
)
def test_only_a_word_about_what_is_to_be_confirmed_is_a_vote(
    words: str, for_each: str, happens: Callable[[Desk], None], tmp_path: Path
) -> None:
    desk = desk_with(tmp_path, f"{TWICE}\n{words}", for_each=for_each)
    warm(desk, 60)
    happens(desk)
    assert told(desk) == []
    warm(desk, 60)
    assert told(desk) == ["raised"]


# ------------------------------------------------------------------------------------------------------------ silence

COLD = "inputs: {cold: {of: environment_sensor, where: temperature < 5, take: all}}\non_missing: clear"


def cold_at(tmp_path: Path) -> Desk:
    """Return a desk at which both rooms said that they are cold, one of them half an hour ago."""
    desk = desk_with(tmp_path, COLD, "cold", "building")
    warm(desk, 2)
    desk.tick(HOUR / 2)
    warm(desk, 2, "room-2")
    assert told(desk) == ["raised"]
    return desk


def test_an_input_is_judged_again_when_a_member_falls_silent_though_nobody_says_anything(tmp_path: Path) -> None:
    desk = cold_at(tmp_path)
    desk.tick(HOUR / 2 - 2)
    assert told(desk) == ["raised"]
    desk.tick(4)
    assert told(desk) == ["raised", "cleared"]


def test_a_member_falls_silent_over_a_restart_and_later_by_what_nobody_could_hear(tmp_path: Path) -> None:
    desk = cold_at(tmp_path)
    desk.tick(1)
    later = desk.restart()
    later.wait(2 * HOUR)
    later.say(Started("test", SESSIONS))
    later.catch_up(2)
    later.tick(HOUR / 2 - 10)
    assert told(later) == []
    later.tick(20)
    assert told(later) == ["cleared"]


def test_members_that_speak_cost_no_timer_each(tmp_path: Path) -> None:
    desk = cold_at(tmp_path)
    for _ in range(50):
        warm(desk, 2)
        warm(desk, 2, "room-2")
        desk.tick(1)
    heap = desk.engine._timers._heaps[TimerClass.WINDOW]  # noqa: SLF001 -- what waits is told to nobody
    assert {owner: list(keys) for owner, keys in heap.wanted.items()} == {"hot": ["s1/@b1"]}


def test_what_is_not_known_any_more_is_ended_by_what_ends_it_though_nobody_says_anything(tmp_path: Path) -> None:
    words = """
inputs: {warm: {where: temperature > 50, take: any, fresh: 10m}}
clear: {when: humidity < 50}
"""
    desk = desk_with(tmp_path, words, when="warm")
    desk.hear(native("room", {"values": {"temperature": 60.0, "humidity": 20.0}}, "telemetry"))
    desk.tick(600)
    assert told(desk) == ["raised"]
    desk.tick(1)
    assert told(desk) == ["raised", "cleared"]
