"""Silence of many devices at once: what the hub itself knows of them, and that it is one event."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest

from hub.model.effects import Event
from hub.model.heard import Publish
from hub.model.records import Control
from hub.model.values import Scalar
from tests.engine.desk import SECOND, Desk, device, documents, encoded

MINUTE, EIGHTY = 60, 80
YEARS = 5 * 365 * 86_400 * SECOND
DOORS = [f"door-{number:02}" for number in range(EIGHTY)]
BUILDING = orjson.dumps({"site": "s1", "place": "b1", "type": "building", "parent": "s1", "building": "b1"})


def speak(desk: Desk, doors: Sequence[str] = DOORS) -> None:
    """Let doors say that they live, half a second apart."""
    for door in doors:
        desk.wait(0.5)
        desk.hear(Publish(f"hub/s1/{door}/telemetry", b'{"values": {}}'))


def let_pass(desk: Desk, minutes: float) -> None:
    """Tick every five seconds for so long."""
    for _ in range(round(minutes * MINUTE / 5)):
        desk.tick(5)


def about_silence(desk: Desk) -> list[Event]:
    return [event for event in desk.events if event.name in {"device.mass_offline", "device.offline"}]


def told(desk: Desk) -> list[str]:
    return [f"{event.transition} {event.name} {event.key}" for event in about_silence(desk)]


@pytest.fixture
def desk() -> Desk:
    found = documents(*(device(door, "access_controller") for door in DOORS))
    desk = Desk({**found, "place/s1/b1": BUILDING})
    speak(desk)
    return desk


def test_a_building_of_which_eighty_devices_fall_silent_one_after_the_other_is_one_event(desk: Desk) -> None:
    let_pass(desk, 20)
    assert told(desk) == ["raised device.mass_offline s1/@b1"]


def test_who_is_still_silent_when_the_others_are_back_is_told_then(desk: Desk) -> None:
    let_pass(desk, 20)
    speak(desk, DOORS[1:])
    let_pass(desk, 5)
    assert told(desk)[1:] == ["cleared device.mass_offline s1/@b1", "raised device.offline s1/door-00"]


def test_a_restart_in_the_middle_of_it_changes_nothing(desk: Desk) -> None:
    let_pass(desk, 14.5)
    later = desk.restart()
    let_pass(later, 0.1)
    again = later.restart()
    assert told(desk) + told(later) == []
    let_pass(again, 5)
    assert told(later) + told(again) == ["raised device.mass_offline s1/@b1"]
    third = again.restart()
    speak(third)
    let_pass(third, 3)
    assert told(third) == ["cleared device.mass_offline s1/@b1"]


def test_a_few_silent_devices_are_told_one_by_one(desk: Desk) -> None:
    for _ in range(4):
        let_pass(desk, 5)
        speak(desk, DOORS[2:])
    assert told(desk) == ["raised device.offline s1/door-00", "raised device.offline s1/door-01"]


def test_the_shelf_of_a_silence_that_is_over_is_no_silence_after_a_restart() -> None:
    desk = Desk(documents(device("door-1", "access_controller")))
    speak(desk, ["door-1"])
    let_pass(desk, 20)
    (silence,) = about_silence(desk)
    words: dict[str, Scalar] = {"rule": silence.rule, "key": silence.key, "for": "1d"}
    assert desk.say(Control("1-0", "c1", "li", "shelve", desk.wall + SECOND, words)).replies[0].ok
    silent = desk.restart()
    speak(desk, ["door-1"])
    found = [each.engine.content.find("s1", "door-1") for each in (silent, desk, desk.restart())]
    assert [each and each.is_silent for each in found] == [True, False, False]


def test_who_spoke_while_the_hub_was_blind_is_no_longer_silent_after_a_restart_either() -> None:
    desk = Desk(documents(device("door-1", "access_controller")))
    speak(desk, ["door-1"])
    let_pass(desk, 20)
    desk.lose()
    speak(desk, ["door-1"])
    later = desk.restart()
    found = [each.engine.content.find("s1", "door-1") for each in (desk, later)]
    assert [each and each.is_silent for each in found] == [False, False]
    start = len(desk.effects)
    for each in (desk, later):
        each.catch_up(2)
    assert told(desk) == ["raised device.offline s1/door-1", "cleared device.offline s1/door-1"]
    assert encoded(later.effects) == encoded(desk.effects[start:])


def test_silence_that_only_a_removed_rule_had_found_is_none(desk: Desk) -> None:
    let_pass(desk, 20)
    known = desk.engine.content.bodies()
    desk.revise({key: body for key, body in known.items() if key != "rule/device-offline"})
    let_pass(desk, 5)
    assert told(desk)[1:] == ["cleared device.mass_offline s1/@b1"]


def test_silences_found_in_one_record_are_told_in_the_order_in_which_they_fell_before_and_after_a_restart() -> None:
    doors = ["door-1", "door-2", "door-3"]
    quiet = {"rule": "quiet", "version": "1.0.0", "for_each": "access_controller", "absent_for": "10m"}
    rule = orjson.dumps({**quiet, "raise": {"event": "device.quiet", "severity": "low"}})
    found = documents(*(device(door, "access_controller") for door in doors))
    desk = Desk({**{key: body for key, body in found.items() if not key.startswith("rule/")}, "rule/quiet": rule})
    speak(desk, doors)
    speak(desk, ["door-3", "door-1"])  # the first word alone has set a timer
    later = desk.restart()
    assert encoded([later.tick(30 * MINUTE)]) == encoded([desk.tick(30 * MINUTE)])
    assert [event.device for event in desk.events] == ["door-2", "door-3", "door-1"]


STILL = """
rule: still
for_each: access_controller
absent_for: 2h
counting: {from: "00:00", until: "24:00"}
raise: {event: care.still, severity: high}
"""


def test_a_clock_that_was_years_ahead_does_not_keep_a_silence_that_is_counted_from_being_found(tmp_path: Path) -> None:
    (tmp_path / "still.yaml").write_text(STILL, encoding="utf-8")
    desk = Desk(documents(device("door-1", "access_controller"), rules=[tmp_path]))
    desk.wall += YEARS
    speak(desk, ["door-1"])
    desk.wall -= YEARS
    let_pass(desk, 119)
    assert "raised care.still" not in desk.told()
    let_pass(desk, 2)
    assert "raised care.still" in desk.told()
