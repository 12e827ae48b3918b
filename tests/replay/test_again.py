"""Doing it again: the same tape gives the same, and other rules what they would have told."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from hub.bridge.frames import decode_packets
from hub.errors import UnavailableError
from hub.journal.journal import Journal
from hub.model.effects import Effects, Series
from hub.model.records import Record, Tick
from hub.model.values import Scalar
from hub.replay.beginning import beginning
from hub.replay.difference import Change, Comparison, Difference
from hub.replay.lockstep import Lockstep, Pair
from hub.replay.points import MOST_EXAMPLES, Points
from hub.replay.tape import JournalTape
from tests.engine.desk import SECOND, START, documents
from tests.replay.tapes import (
    CALM,
    DEVICES,
    LOUD,
    PARTITION,
    SMOKE,
    Script,
    burning,
    events,
    overlay,
    trim,
    written,
)

LATER = """
rule: smoke-alarm
label: {en: Smoke alarm, zh: 烟雾报警}
for_each: smoke_sensor
when: status == 'alarm'
for: 5s
raise: {event: fire.smoke_alarm, severity: critical}
clear: {when: "status == 'normal'", for: 10s}
"""
MILDER = LATER.replace("critical", "high").replace("for: 5s\n", "")
WARM = """
rule: warm
label: {en: Warm, zh: 温热}
for_each: smoke_sensor
when: temperature > 20
raise: {event: fire.warm, severity: low}
"""


def compare(tape: JournalTape, wanted: Mapping[str, bytes], after: int = 0) -> tuple[int, list[Difference]]:
    """Return how many events are the same, and the others."""
    comparison = Comparison()
    for pair in Lockstep(tape, beginning(tape, None, after + 1), wanted, after, tape.last):
        comparison.take(pair)
    found = comparison.differences()
    return comparison.same, found


@pytest.mark.parametrize("after", [0, 6, 8])
def test_the_same_rules_tell_the_same_wherever_the_two_part(tape: JournalTape, after: int) -> None:
    told = [event for event in events(tape) if event.causes[-1][0] > after]
    assert compare(tape, documents(), after) == (len(told), [])
    assert told


def test_a_rule_that_waits_loses_the_short_fire_and_raises_the_long_one_later(
    tape: JournalTape, tmp_path: Path
) -> None:
    _, found = compare(tape, overlay(tmp_path / "rules", LATER))
    told = [(each.change, each.told.transition, (each.told.time - START) // SECOND) for each in found]
    assert told == [
        (Change.VANISHED, "raised", 10),
        (Change.VANISHED, "cleared", 25),
        (Change.MOVED, "raised", 36),
    ]


def test_another_severity_is_a_difference_of_the_same_event(tape: JournalTape, tmp_path: Path) -> None:
    _, found = compare(tape, overlay(tmp_path / "rules", MILDER))
    raised = [each for each in found if each.told.transition == "raised"]
    assert {each.change for each in raised} == {Change.SEVERITY}
    assert [(each.was and each.was.severity, each.told.severity) for each in raised] == [("critical", "high")] * 2


def test_a_new_rule_tells_what_it_would_have_told(tape: JournalTape, tmp_path: Path) -> None:
    same, found = compare(tape, overlay(tmp_path / "rules", WARM))
    assert same == len(events(tape))
    assert {(each.change, each.told.name) for each in found} == {(Change.APPEARED, "fire.warm")}


async def test_without_its_scene_a_rule_is_on_again_where_that_was_switched_off(tmp_path: Path) -> None:
    """As a hub would have it; the scene of the tape stayed instead, and nothing was said to differ."""
    off = {"off/s1/fire": b'{"scene":"fire","site":"s1"}'}
    script = Script(documents(DEVICES) | off).hear(1, (LOUD, CALM)).hear(10, (LOUD, SMOKE)).tick(20)
    quiet = JournalTape(await written(tmp_path, script.records))
    assert compare(quiet, documents()) == (0, [])
    _, found = compare(quiet, {key: body for key, body in documents().items() if key != "scene/fire"})
    assert [each.told.name for each in found if each.change is Change.APPEARED] == ["fire.smoke_alarm"]


async def test_a_revision_on_the_tape_does_not_bring_the_old_rules_back(tmp_path: Path) -> None:
    before = documents(DEVICES)
    without = {key: body for key, body in before.items() if key != "device/s1/smoke-2"}
    script = Script(before).revise(2, before, without).hear(10, (LOUD, SMOKE)).tick(20)

    tape = JournalTape(await written(tmp_path, script.records))
    _, found = compare(tape, overlay(tmp_path / "rules", LATER))
    assert [(each.change, (each.told.time - START) // SECOND) for each in found] == [(Change.MOVED, 20)]


def test_a_profile_that_reads_another_byte_changes_what_it_reads_and_nothing_else(
    tape: JournalTape,
) -> None:
    wanted = documents()
    key = "profile/milesight/gs524n"
    wanted[key] = (
        wanted[key]
        .replace(b'"battery":[{"at":2', b'"battery":[{"at":3')
        .replace(b'"battery":{"at":2', b'"battery":{"at":3')
    )
    assert wanted[key] != documents()[key]
    points = Points()
    for pair in Lockstep(tape, beginning(tape, None, 1), wanted, 0, tape.last):
        points.take(pair)
    changed = {name: tally for (_, name), tally in points.tallies.items() if tally.differs}
    assert list(changed) == ["battery"]
    assert (changed["battery"].changed, changed["battery"].same) == (6, 0)
    first = changed["battery"].examples[0]
    assert (first.device, first.was, first.would_be) == ("s1/smoke-1", 100.0, 30.0)


@pytest.mark.parametrize(("part", "value", "appeared", "changed"), [("2", 1.0, 1, 0), ("1", True, 0, 1)])
def test_a_value_of_another_part_or_sort_is_another(part: str, value: Scalar, appeared: int, changed: int) -> None:
    """Of a meter whose parts a profile names otherwise every value was said to be the same."""

    def said(part: str, value: Scalar) -> Effects:
        series = Series(kind="meter", site="s1", building="b1", device="m1", part=part, profile="p")
        return Effects(1, [(series, START, {"power": value})], [], [], [], [], [])

    points = Points()
    points.take(Pair(Record(1, START, START, Tick()), said("1", 1.0), said(part, value)))
    tally = points.tallies["meter", "power"]
    assert (tally.same, tally.appeared, tally.vanished, tally.changed) == (0, appeared, appeared, changed)


async def test_of_letters_that_would_be_dead_a_few_are_held_and_all_are_counted(tmp_path: Path) -> None:
    """Each has its bytes, 256 KiB of a picture: a month of them took all the memory that there is."""
    script = Script()
    for second in range(1, 6):
        script.hear(second, (LOUD, CALM))
    tape = JournalTape(await written(tmp_path, script.records))
    key, points = "profile/milesight/gs524n", Points()
    wanted = documents()
    wanted[key] = wanted[key].replace(b'"length":[6]', b'"length":[7]')
    for pair in Lockstep(tape, beginning(tape, None, 1), wanted, 0, tape.last):
        points.take(pair)
    assert (points.letters, points.understood, points.refused, len(points.refusals)) == (0, 0, 5, MOST_EXAMPLES)


# ---------------------------------------------------------------------------------------------------------------- tape


async def test_a_tape_is_read_while_the_journal_grows(tmp_path: Path) -> None:
    records = burning().records
    async with Journal(tmp_path / "journal.sqlite", PARTITION, decode_packets) as journal:
        await journal.append(records)
        tape = JournalTape(tmp_path / "journal.sqlite")
        reading = tape.read(0)
        first = next(reading)
        last = records[-1]
        await journal.append([Record(last.position + 1, last.t + SECOND, last.received_at + SECOND, Tick())])
        assert [first.position, *(record.position for record in reading)] == list(range(1, len(records) + 1))


@pytest.mark.parametrize(("second", "position"), [(-1, 0), (0.5, 4), (12, 6), (1_000, 12)])
def test_a_moment_is_found_on_a_tape(tape: JournalTape, second: float, position: int) -> None:
    assert tape.before(START + round(second * SECOND)) == position


def test_what_the_hub_trims_meanwhile_is_not_passed_over(tape: JournalTape, tmp_path: Path) -> None:
    trim(tmp_path, 5)
    with pytest.raises(UnavailableError, match="journal_trimmed"):
        list(tape.read(0))
