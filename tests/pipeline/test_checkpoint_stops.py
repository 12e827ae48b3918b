"""Checkpoints that meet a stop, a kill, a wide revision or a broken file: the next hub goes on from a whole one."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.engine.desk import ALARM, Desk, device, encoded, native, smoke
from tests.journal.papers import crash
from tests.pipeline.court import GARBAGE, assert_is_whole, judging, on_disk, some_turns
from tests.waiting import PATIENCE_SECONDS


async def test_a_hub_that_stops_while_a_checkpoint_is_written_waits_for_it_and_writes_the_rest(
    data: Path, desk: Desk
) -> None:
    async with judging(data, desk) as court, court.held():
        desk.hear(smoke(ALARM), GARBAGE)
        await court.judge()
        await court.stop()
        await some_turns()
    assert_is_whole(data, desk, len(desk.records))


async def test_a_hub_that_stops_while_the_disk_refuses_leaves_the_last_checkpoint_whole_and_the_next_hub_goes_on(
    data: Path, desk: Desk
) -> None:
    async with judging(data, desk) as court:
        await court.until_refused(smoke(ALARM), GARBAGE)
        covered = court.made.position
        assert covered < court.position
        await court.stop()
    assert_is_whole(data, desk, covered)
    await assert_it_goes_on_as_if_nothing_had_been(data, desk)


@pytest.mark.parametrize("is_written", [False, True])
async def test_a_hub_that_is_killed_while_a_checkpoint_is_written_or_right_behind_goes_on_as_if_nothing_had_been(
    tmp_path: Path, data: Path, desk: Desk, *, is_written: bool
) -> None:
    left = tmp_path / "left"
    async with judging(data, desk) as court:
        async with court.held():
            desk.hear(smoke(ALARM), native("door-1", {"values": {"door": "open"}}, "telemetry"), GARBAGE)
            desk.tick(30)
            await court.judge()
            if not is_written:
                crash(data, left)
        covered = await court.until_written()
        if is_written:
            crash(data, left)
    position, _ = on_disk(left)
    assert (position == covered) is is_written
    assert_is_whole(left, desk, position)
    await assert_it_goes_on_as_if_nothing_had_been(left, desk)


async def assert_it_goes_on_as_if_nothing_had_been(data: Path, desk: Desk) -> None:
    """Assert that the next hub judges as one that was never interrupted, and has in the end what that has."""
    position, entries = on_disk(data)
    other = desk.revive(entries)
    effects = [other.engine.apply(record) for record in desk.records[position:]]
    assert encoded(effects) == encoded(desk.effects[position:])
    async with judging(data, desk):
        pass
    assert_is_whole(data, desk, len(desk.records))


async def test_a_wide_revision_waits_for_what_is_written_and_a_narrow_one_does_not(data: Path, desk: Desk) -> None:
    now = dict(desk.engine.content.bodies())
    async with judging(data, desk) as court:
        async with court.held():
            desk.revise(now | device("smoke-2", "smoke_sensor", "milesight/gs524n"))
            await court.judge()
            unused = next(key for key in now if key.startswith("profile/") and key != "profile/milesight/gs524n")
            desk.revise({key: body for key, body in now.items() if key != unused})
            await court.tell()
            await some_turns()
            assert court.position == len(desk.records) - 1
        await court.judge()
        assert court.made.position >= len(desk.records) - 1
    assert_is_whole(data, desk, len(desk.records))


async def test_a_checkpoint_that_fails_for_good_ends_the_judging_though_nothing_more_is_heard(
    data: Path, desk: Desk
) -> None:
    async def judge() -> None:
        async with judging(data, desk) as court:
            await court.settle()
            with closing(sqlite3.connect(data / "state.sqlite")) as other:
                other.execute("DROP TABLE entries")
            desk.hear(smoke(ALARM))
            desk.tick(6)
            await court.tell()
            async with asyncio.timeout(PATIENCE_SECONDS):
                await asyncio.Event().wait()

    with pytest.RaisesGroup(pytest.RaisesGroup(pytest.RaisesExc(sqlite3.OperationalError, match="entries"))):
        await judge()
