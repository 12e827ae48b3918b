"""The archive: checkpoints put aside beside a working hub, found again, and let go of in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from hub.clock import Clock
from hub.errors import CorruptError
from hub.journal.archive import Archive, archive_path, archived
from hub.journal.state_file import StateFile
from hub.replay.beginning import Fidelity, saved
from tests.clocks import ManualClock
from tests.journal.papers import SECOND, START
from tests.waiting import wait_until

JOURNAL = "00000000-0000-4000-8000-000000000001"
HOUR = 3_600 * SECOND
DAY = 24 * HOUR
MUCH = 2**30


def archive(directory: Path, limit_bytes: int = MUCH) -> Archive:
    return Archive(directory, every=timedelta(hours=1), limit_bytes=limit_bytes)


def state(directory: Path) -> StateFile:
    return StateFile(directory / "state.sqlite", JOURNAL)


def positions(directory: Path) -> list[int]:
    return [each.position for each in archived(directory)]


async def test_what_is_put_aside_is_the_checkpoint_as_it_was(tmp_path: Path) -> None:
    async with state(tmp_path) as file:
        await file.checkpoint(7, {"a": b"1", "b": b"2"}, [], [])
        archive(tmp_path).keep(START, 1)
        await file.checkpoint(9, {"a": b"11", "b": None}, [], [])
    (aside,) = archived(tmp_path)
    found = saved(aside.path)
    assert found is not None
    assert (found.position, found.journal, found.fidelity) == (7, JOURNAL, Fidelity.EXACT)
    assert found.entries == {"a": b"1", "b": b"2"}
    assert aside.at == START


async def test_a_checkpoint_is_put_aside_every_hour_and_never_twice(tmp_path: Path) -> None:
    async with state(tmp_path) as file:
        for minute, position in ((0, 5), (30, 6), (60, 7), (61, 8), (130, 8), (200, 8)):
            await file.checkpoint(position, {"a": b"1"}, [], [])
            archive(tmp_path).keep(START + minute * 60 * SECOND, 1)
    assert positions(tmp_path) == [5, 7, 8]


async def test_a_clock_that_was_ahead_makes_no_copy_of_each_look(tmp_path: Path) -> None:
    """A board whose clock tells local time is hours ahead until it asks: as long all was copied every minute."""
    async with state(tmp_path) as file:
        for position, hours in ((1, 8), (2, 0), (3, 0.02), (4, 0.04), (5, 1)):
            await file.checkpoint(position, {"a": b"1"}, [], [])
            archive(tmp_path).keep(START + round(hours * HOUR), 1)
    assert positions(tmp_path) == [1, 2, 5]


async def test_nothing_is_put_aside_before_there_is_a_checkpoint(tmp_path: Path) -> None:
    archive(tmp_path).keep(START, 1)
    async with state(tmp_path):
        archive(tmp_path).keep(START, 1)
    assert not list(archive_path(tmp_path).glob("*"))


async def test_what_the_journal_has_trimmed_goes_from_the_archive_too(tmp_path: Path) -> None:
    async with state(tmp_path) as file:
        for hour in range(4):
            await file.checkpoint(10 * hour + 1, {"a": b"1"}, [], [])
            archive(tmp_path).keep(START + hour * HOUR, 1)
    assert positions(tmp_path) == [1, 11, 21, 31]
    archive(tmp_path).keep(START + 3 * HOUR, 12)
    assert positions(tmp_path) == [11, 21, 31]


async def test_of_a_day_that_is_over_the_first_is_kept(tmp_path: Path) -> None:
    midnight = START - START % DAY + DAY
    async with state(tmp_path) as file:
        for hour in range(50):
            await file.checkpoint(hour + 1, {"a": b"1"}, [], [])
            archive(tmp_path).keep(midnight + hour * HOUR, 1)
    assert positions(tmp_path) == [1, *range(25, 51)]


async def test_the_oldest_go_when_the_archive_grows_too_large(tmp_path: Path) -> None:
    async with state(tmp_path) as file:
        for hour in range(4):
            await file.checkpoint(hour + 1, {"a": bytes(20_000)}, [], [])
            archive(tmp_path, limit_bytes=90_000).keep(START + hour * HOUR, 1)
    assert positions(tmp_path) == [2, 3, 4]


async def test_a_copy_that_was_not_finished_is_none(tmp_path: Path) -> None:
    async with state(tmp_path) as file:
        await file.checkpoint(7, {"a": b"1"}, [], [])
        archive_path(tmp_path).mkdir()
        (archive_path(tmp_path) / "draft").write_bytes(b"half of it")
        assert positions(tmp_path) == []
        archive(tmp_path).keep(START, 1)
    assert positions(tmp_path) == [7]


async def test_a_copy_that_was_changed_is_refused(tmp_path: Path) -> None:
    async with state(tmp_path) as file:
        await file.checkpoint(7, {"a": b"a very long value"}, [], [])
        archive(tmp_path).keep(START, 1)
    path = archived(tmp_path)[0].path
    path.write_bytes(path.read_bytes().replace(b"a very long value", b"a very wrong value"[:17]))
    with pytest.raises(CorruptError, match="corrupt_row"):
        saved(path)


@asynccontextmanager
async def kept(directory: Path, clock: Clock) -> AsyncIterator[None]:
    """Keep an archive beside whatever is done meanwhile."""
    async with asyncio.TaskGroup() as group:
        keeping = group.create_task(archive(directory).run(clock, lambda: 1))
        yield
        keeping.cancel()


async def test_hour_after_hour_what_is_new_is_put_aside(tmp_path: Path) -> None:
    async with state(tmp_path) as file, kept(tmp_path, ManualClock(START)):
        await file.checkpoint(7, {"a": b"1"}, [], [])
        await wait_until(lambda: positions(tmp_path) == [7])
        await file.checkpoint(8, {"a": b"2"}, [], [])
        await wait_until(lambda: positions(tmp_path) == [7, 8])


async def test_a_disk_that_refuses_a_copy_stops_nothing(tmp_path: Path) -> None:
    archive_path(tmp_path).write_bytes(b"in the way")
    clock = ManualClock(START)
    async with state(tmp_path) as file, kept(tmp_path, clock):
        await file.checkpoint(7, {"a": b"1"}, [], [])
        await wait_until(lambda: len(clock.sleeps) > 3)
        archive_path(tmp_path).unlink()
        await wait_until(lambda: positions(tmp_path) == [7])
