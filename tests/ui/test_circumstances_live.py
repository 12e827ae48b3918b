"""A running hub takes up lists, facts, parameters and switches of scenes as people say them, without a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from hub.clock import SystemClock
from tests.machine import needs_mosquitto
from tests.ui.at import At
from tests.ui.conftest import Cli
from tests.ui.installation import FIRE, SENSOR, SITE, Installation
from tests.waiting import wait_until

pytestmark = needs_mosquitto

SECOND = 1_000_000_000
READER, UPPER, LOWER = "reader", "door-upper", "door-lower"
"""A plate reader, and two door controllers, each in a building of its own; they speak the native payload."""


class Town(At):
    """The CLI beside them."""

    def says(self, device: str, part: str, values: Mapping[str, object]) -> None:
        """Let a part of a device report."""
        body = {"part": part, "values": values}
        self.installation.publish(f"hub/{SITE}/{device}/telemetry", orjson.dumps(body))

    def told(self, event: str, device: str) -> list[Any]:
        """Return the events of a type about a device, their plates whole."""
        found = self("events", "list", "--type", event, "--limit", "1000", "--unmask", "--reason", "plates compared")
        return [each for each in found if each["device"] == device]

    def raised(self, event: str, device: str) -> set[str]:
        """Return the parts of a device of which an alarm was raised."""
        return {each["part"] for each in self.told(event, device) if each["transition"] == "raised"}

    def passes(self, plate: str) -> bool:
        """Let a vehicle pass; return whether it was told as a blocked one.

        What one message raises is written in one transaction, so whoever can read the passage can read that, too.
        """
        passed, blocked = (len(self.told(f"vehicle.{what}", READER)) for what in ("passage", "plate_blocked"))
        self.says(READER, "lane-1", {"plate": plate, "direction": "in"})
        soon(lambda: len(self.told("vehicle.passage", READER)) > passed)
        return len(self.told("vehicle.plate_blocked", READER)) > blocked

    def taken_up(self) -> None:
        """Wait until the hub knows what was said so far: it takes revisions up whole and in their order."""
        plate = f"鲁C{len(self.told('vehicle.passage', READER)):05}"
        self("lists", "add", "block", plate)
        soon(lambda: self.passes(plate))


def soon(check: Callable[[], object]) -> None:
    """Wait until ``check``, which runs the CLI, holds; a hub looks for what people say every 5 seconds."""
    asyncio.run(wait_until(lambda: asyncio.to_thread(check)))


@pytest.fixture
def at(cli: Cli, installation: Installation) -> Town:
    here = Town(cli, installation)
    if READER not in {device["id"] for device in here("devices", "list")}:
        for building, door in (("upper", UPPER), ("lower", LOWER)):
            here("places", "add", SITE, building, "--type", "building")
            here("devices", "add", SITE, door, "--kind", "access_controller", "--place", building)
        here("devices", "add", SITE, READER, "--kind", "plate_reader")
        here.taken_up()
    return here


def promised(at: Town, clock: SystemClock) -> tuple[str, datetime, datetime]:
    """Let a plate be blocked for a while that is yet to come when the hub knows of it; a busy one knows later."""
    for after, lasts in ((5, 6), (40, 30), (120, 60)):
        second, plate = clock.wall_ns() // SECOND, f"鲁B77{after:03}"
        begins, ends = (datetime.fromtimestamp(second + each, UTC) for each in (after, after + lasts))
        at("lists", "add", "block", plate, "--from", begins.isoformat(), "--until", ends.isoformat())
        at.taken_up()
        if clock.wall_ns() < begins.timestamp() * SECOND:
            return plate, begins, ends
    pytest.fail("the hub does not take up what people say")


def test_a_pass_begins_and_ends_by_itself(at: Town) -> None:
    clock = SystemClock()
    plate, begins, ends = promised(at, clock)  # from here on nobody says anything any more
    while clock.wall_ns() < ends.timestamp() * SECOND:
        at.passes(plate)
    assert not at.passes(plate)
    blocked = {each["time"] for each in at.told("vehicle.plate_blocked", READER) if each["data"].get("plate") == plate}
    passed = {each["time"] for each in at.told("vehicle.passage", READER) if each["data"].get("plate") == plate}
    inside = {time for time in passed if begins.timestamp() * SECOND <= time < ends.timestamp() * SECOND}
    assert blocked == inside
    assert blocked
    assert passed - blocked


def test_a_vehicle_is_blocked_as_soon_as_somebody_puts_its_plate_on_the_list_and_not_before(at: Town) -> None:
    assert not at.passes("鲁B12345")
    at("lists", "add", "block", "鲁b·12345")
    at.taken_up()
    assert at.passes("鲁B12345")
    assert not at.passes("鲁B54321")
    assert "鲁B12345" in {each["data"]["plate"] for each in at.told("vehicle.plate_blocked", READER)}
    at("lists", "remove", "block", "鲁B12345")
    at.taken_up()
    assert not at.passes("鲁B12345")


def test_a_fact_of_a_place_keeps_its_doors_quiet_and_no_others(at: Town) -> None:
    at("places", "set-fact", SITE, "upper", "free_exit")
    at.taken_up()
    for door in (UPPER, LOWER):
        at.says(door, "door-1", {"door": "open"})
    soon(lambda: at.raised("security.door_forced", LOWER) == {"door-1"})
    assert at.raised("security.door_forced", UPPER) == set()
    at("places", "clear-fact", SITE, "upper", "free_exit")
    at.taken_up()
    at.says(UPPER, "door-2", {"door": "open"})
    soon(lambda: "door-2" in at.raised("security.door_forced", UPPER))


def test_a_parameter_of_one_device_changes_its_limit_and_is_shown_with_who_said_so(at: Town) -> None:
    at("params", "set", "door-held-open", "patience=1s", "--device", f"{SITE}/{UPPER}")
    at.taken_up()
    for door in (LOWER, UPPER):
        at.says(door, "door-3", {"door": "open"})
    soon(lambda: "door-3" in at.raised("security.door_held_open", UPPER))
    assert "door-3" not in at.raised("security.door_held_open", LOWER)
    shown = {
        door: {each["name"]: (each["value"], each["origin"]) for each in said}
        for door in (UPPER, LOWER)
        for said in [at("params", "show", "door-held-open", "--device", f"{SITE}/{door}")]
    }
    assert shown[UPPER]["patience"] == ("1s", f"device:{UPPER}")
    assert shown[LOWER]["patience"] == ("30s", "rule")


def test_a_scene_is_off_as_soon_as_somebody_says_so_and_what_is_true_is_told_when_it_is_on_again(at: Town) -> None:
    def moves() -> list[str]:
        return [each["transition"] for each in at.told("fire.smoke_alarm", SENSOR)]

    assert at("scenes", "disable", "fire", "--site", SITE, "--reason", "works on the roof")["changed"]
    at.taken_up()
    at.installation.publish(f"hub/{SITE}/{SENSOR}/telemetry", FIRE)
    assert at.passes("鲁B54321") is False  # said after it, and read: what it raised would be there
    assert moves() == []
    (told,) = at("rules", "explain", "smoke-alarm", "--device", f"{SITE}/{SENSOR}")
    assert [each["code"] for each in told["reasons"]] == ["scene_off"]
    at("scenes", "enable", "fire", "--site", SITE)
    soon(lambda: moves() == ["raised"])
    alarm = [each["id"] for each in at("alarms", "list") if each["device"] == SENSOR]
    assert at("scenes", "disable", "fire", "--site", SITE, "--reason", "again", "--dry-run")["alarms"] == alarm != []
    assert at("scenes", "disable", "fire", "--site", SITE, "--reason", "again")["alarms"] == alarm
    soon(lambda: moves() == ["raised", "cleared"])
    assert at.told("fire.smoke_alarm", SENSOR)[-1]["data"]["reason"] == "scene switched off"
    said = [(line["what"], line["reason"]) for line in at("audit", "--what", "scene")]
    assert said == [("scene.disabled", "works on the roof"), ("scene.enabled", ""), ("scene.disabled", "again")]


def test_its_scenarios_are_played_beside_the_hub_and_not_into_what_an_earlier_play_left(at: Town) -> None:
    def played() -> dict[str, str]:
        said = at.said("scenes", "check", "charging", "--site", SITE, "--run", "--json")
        assert said.code == 1  # there is nothing to charge at here
        return {each["check"]: each["found"]["en"] for each in said.document()["lines"]}

    assert played()["played"] == "scenario charging came as expected, at its own site scenario-charging"
    assert "still active at its site scenario-charging" in played()["held"]
