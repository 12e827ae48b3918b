"""Weeks on a desk: whatever comes, goes, is listed, asked for or raised, neither engine nor checkpoint grows."""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.engine.readings import MOST_PARTS
from tests.engine.desk import Desk, device, documents, native
from tests.engine.long_life import RULES, Town
from tests.engine.one_rule import MINUTE, desk_with, told, warm
from tests.engine.weight import weight

SPAN = 5
"""Days of which the heaviest counts: what is remembered of readings comes and goes."""


def town(tmp_path: Path, *, compiles: bool = False) -> Town:
    (tmp_path / "rules.yaml").write_text(RULES, encoding="utf-8")
    return Town(tmp_path, compiles=compiles)


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Let nothing be collected: what has gone must not wait for that, with the rules and outfits that it had."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize(("days", "compiles"), [(30, False), (14, True)], ids=["a month", "new rules each day"])
def test_an_engine_holds_no_more_objects_however_many_days_it_has_lived(
    tmp_path: Path, days: int, *, compiles: bool
) -> None:
    lived, early, late = town(tmp_path, compiles=compiles), 0, 0
    for day in range(1, days + 1):
        lived.live(day)
        if day <= SPAN:
            early = max(early, weight(lived.desk).total())
        elif day > days - SPAN:
            late = max(late, weight(lived.desk).total())
    assert late - early < 2 * (days - SPAN), "two objects a day more"


def test_a_checkpoint_knows_nothing_of_devices_that_are_gone_for_days(tmp_path: Path) -> None:
    lived = town(tmp_path)
    for day in range(1, 5):
        lived.live(day)
    gone = re.compile(r"/(\w+-of|gate|kitchen|stranger|told|all)-[012]\b")
    assert [key for key in lived.desk.checkpoint if gone.search(key)] == []


def test_a_device_that_is_registered_again_is_another_witness_than_the_one_that_is_gone(tmp_path: Path) -> None:
    words = "inputs: {hot: {of: environment_sensor, where: temperature > 50, take: distinct(device), within: 5m}}"
    desk = desk_with(tmp_path, words, "hot >= 2", "building")
    warm(desk, 60)
    warm(desk, 20)
    known = desk.engine.content.bodies()
    desk.revise({key: body for key, body in known.items() if key != "device/s1/room"})
    desk.revise(known)
    warm(desk, 20)
    desk.tick(MINUTE)
    warm(desk, 60, "room-2")
    assert told(desk) == []


def test_what_a_former_version_left_of_devices_that_are_gone_leaves_the_checkpoint() -> None:
    desk = Desk(documents(device("env-1", "environment_sensor"), device("env-2", "environment_sensor")))
    desk.write_down()
    left = {key: body for key, body in desk.checkpoint.items() if key != "document/device/s1/env-2"}
    later = desk.revive(left)
    later.write_down()
    assert [key for key in later.checkpoint if key.startswith("device/")] == ["device/s1/env-1"]


def test_what_nobody_asked_for_within_an_hour_waits_no_longer_also_after_a_restart() -> None:
    desk = Desk(documents(device("env-1", "environment_sensor")))
    for name, minutes in (("late", 30), ("early", 20)):
        desk.hear(native(name, {"values": {}}, "telemetry"))
        desk.tick(minutes * MINUTE)
    later = desk.restart()
    for each in (desk, later):
        each.tick(11 * MINUTE)
        each.write_down()
        assert [key for key in each.checkpoint if key.startswith("waiting/")] == ["waiting/s1/early"]


def test_what_handlers_counted_is_not_forgotten_with_the_device_that_they_were_made_for() -> None:
    kept = documents(device("env-1", "environment_sensor"))
    other = {
        key: body.replace(b"Asia/Shanghai", b"Asia/Tokyo")
        for key, body in device("env-2", "environment_sensor").items()
    }
    desk = Desk({**kept, **other})
    for name in ("env-1", "env-2"):
        desk.hear(native(name, {"values": {"temperature": 20.0, "nonsense": 1}}, "telemetry"))
    desk.revise(kept)
    assert desk.engine.content.count_of("unknown_names") == 2


def test_a_device_that_comes_later_shares_what_others_like_it_work_with() -> None:
    first, second = (device(name, "environment_sensor") for name in ("env-1", "env-2"))
    desk = Desk(documents(first))
    desk.revise(documents(first, second))
    one, other = desk.engine.content.devices()
    assert one.outfit is other.outfit
    assert one.rules is other.rules


def test_a_device_that_names_ever_new_parts_is_heard_on_those_that_are_known_and_no_others() -> None:
    desk = Desk(documents(device("env-1", "environment_sensor")))

    def said(*parts: int) -> list[str]:
        elements = [{"part": f"p-{part}", "values": {"temperature": 20.0}} for part in parts]
        effects = desk.hear(native("env-1", elements, "telemetry"))
        return [letter.code for letter in effects.dead_letters] or [f"{len(effects.points)} points"]

    for first in range(0, MOST_PARTS, 512):
        assert said(*range(first, first + 512)) == ["512 points"]
    assert said(5, MOST_PARTS + 1) == ["too_many_parts"]
    assert said(MOST_PARTS + 1) == ["too_many_parts"]
    assert said(5, 6) == ["2 points"]
    (found,) = desk.engine.content.devices()
    assert len(found.state.by_part()) == MOST_PARTS
    assert desk.engine.state.ledger.is_balanced


def test_parts_that_only_signals_name_are_as_many_at_most_and_are_remembered_but_have_no_twin() -> None:
    desk = Desk(documents(device("gate-1", "access_controller")))

    def said(at: Desk, *doors: int, **more: object) -> list[str]:
        elements = [{"part": f"door-{door}", "signals": [{"name": "access.denied"}], **more} for door in doors]
        return [letter.code for letter in at.hear(native("gate-1", elements, "signal")).dead_letters]

    for first in range(0, MOST_PARTS, 512):
        assert said(desk, *range(first, first + 512)) == []
    assert said(desk, 5, MOST_PARTS + 1) == ["too_many_parts"]
    assert [twin.name for twin in desk.engine.twins_of("s1") if "#" in twin.name] == []
    later = desk.restart()
    assert said(later, MOST_PARTS + 1) == ["too_many_parts"]
    assert said(later, 5, values={"door": "open"}) == []
    (found,) = later.engine.content.devices()
    assert found.state.by_part().keys() == {"door-5"}
    assert later.engine.state.ledger.is_balanced
