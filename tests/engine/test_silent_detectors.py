"""Silence of one detector, over restarts and downtime; and a wall clock that steps."""

from __future__ import annotations

import pytest

from hub.model.records import Started
from tests.engine.desk import ALARM, HOUR, NORMAL, SECOND, SESSIONS, Desk, smoke


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
