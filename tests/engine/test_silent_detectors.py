"""Silence of one detector, over restarts and downtime; and a wall clock that steps."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from hub.model.records import Started
from tests.engine.desk import (
    ALARM,
    HOUR,
    NORMAL,
    SECOND,
    SESSIONS,
    SITE,
    Desk,
    documents,
    native,
    place,
    smoke,
    stands,
)

MINUTE = 60
"""So long a silence waits for that of the whole building."""


def test_cameras_that_are_silent_for_weeks_do_not_keep_a_detector_quiet_and_most_detectors_are_one_incident() -> None:
    cameras, detectors = [f"camera-{n}" for n in range(9)], [f"smoke-{n}" for n in range(8)]
    rows = [stands(name, "ai_camera", "b1") for name in cameras] + [stands(n, "smoke_sensor", "b1") for n in detectors]
    desk = Desk(documents(place(SITE, "site", building=""), place("b1", "building", SITE), *rows))
    desk.hear(*(native(name, {"values": {}}, "telemetry") for name in cameras + detectors))
    told = days(desk, 3, detectors[1:])
    assert told == ["raised device.mass_offline @b1", "raised device.detector_silent smoke-0"]
    assert days(desk, 5, []) == ["raised device.detectors_silent @b1", "cleared device.detector_silent smoke-0"]
    assert days(desk, 1, detectors[1:]) == [
        "cleared device.detectors_silent @b1",
        "raised device.detector_silent smoke-0",
    ]


def days(desk: Desk, count: int, speaking: Sequence[str]) -> list[str]:
    """Let days pass, ``speaking`` every hour; return what was told of them."""
    before = len(desk.events)
    for _ in range(count * 24):
        desk.hear(*(native(name, {"values": {}}, "telemetry") for name in speaking))
        desk.tick(HOUR - 3 * MINUTE)
        for _ in range(3):
            desk.tick(MINUTE)
    return [f"{event.transition} {event.name} {event.key[3:]}" for event in desk.events[before:]]


def test_a_detector_that_says_nothing_for_fifty_hours_is_silent(desk: Desk) -> None:
    desk.hear(smoke(NORMAL))
    desk.tick(49.9 * HOUR)
    assert desk.told() == []
    desk.tick(0.2 * HOUR)
    desk.tick(MINUTE)
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
    desk.tick(MINUTE)
    assert desk.told() == ["raised device.detector_silent"]


def test_a_silence_timer_continues_over_a_restart(desk: Desk) -> None:
    desk.hear(smoke(NORMAL))
    desk.tick(49 * HOUR)
    later = desk.start_again()
    later.tick(0.9 * HOUR)
    assert later.told() == []
    later.tick(0.2 * HOUR)
    later.tick(MINUTE)
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
    later.tick(MINUTE)
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
