"""What the journal keeps: everything behind the checkpoint, the rest by age and size; and its reserve."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from hub.errors import UnavailableError
from hub.journal import journal as journal_module
from hub.journal.journal import Journal
from hub.journal.room import AMPLE_BYTES, LOOK_EVERY_NS, RESERVED_BYTES, Room
from hub.model.records import Outcome, OutcomeKind, Tick
from tests.journal.papers import MIB, SECOND, START, everything, heavy, journal, noise, record

FOREVER = START + 10**9 * SECOND


async def test_records_older_than_the_age_go_a_few_at_a_time(tmp_path: Path) -> None:
    async with journal(tmp_path) as opened:
        await opened.append(noise(1, 40))
        left = []
        for position in range(41, 51):
            await opened.append([record(position, Tick())], trim_to=40, limits=(START + 21 * SECOND, 0))
            left.append(opened.first)
        assert left == [7, 13, 19, 21, 21, 21, 21, 21, 21, 21]
        assert opened.trimmed_records == 20
        assert [one.position for one in await everything(opened)] == list(range(21, 51))


async def test_nothing_behind_the_checkpoint_is_trimmed_however_old_it_is(tmp_path: Path) -> None:
    async with journal(tmp_path) as opened:
        await opened.append(noise(1, 10))
        for position in range(11, 31):
            await opened.append([record(position, Tick())], trim_to=4, limits=(FOREVER, 0))
        assert opened.first == 5
    async with journal(tmp_path) as opened:
        assert (opened.first, opened.last) == (5, 30)
        assert not opened.is_whole


async def test_a_journal_above_its_size_loses_what_no_one_needs(tmp_path: Path) -> None:
    limit = 24 * MIB
    async with journal(tmp_path) as opened:
        for position in range(1, 61):
            await opened.append([heavy(position)], trim_to=position - 3, limits=(0, limit))
        assert opened.size_bytes < limit + 2 * MIB
        assert opened.last - opened.first + 1 > 15
        assert (tmp_path / "journal.sqlite").stat().st_size < limit + 10 * MIB


async def test_a_flood_of_many_records_an_append_does_not_outgrow_trimming(tmp_path: Path) -> None:
    async with journal(tmp_path) as opened:
        for position in range(1, 2_000, 50):
            await opened.append(noise(position, 50), trim_to=position - 1, limits=(START + (position - 10) * SECOND, 0))
        assert opened.last - opened.first < 160


@pytest.mark.parametrize("wrong", [-START, FOREVER], ids=["behind", "ahead"])
async def test_a_record_grows_old_by_engine_time_whatever_the_wall_clock_said_when_it_came(
    tmp_path: Path, wrong: int
) -> None:
    async with journal(tmp_path) as opened:
        await opened.append([record(n, Tick(), at=START + wrong) for n in range(1, 5)])
        await opened.append([record(5, Tick())], trim_to=4, limits=(START + 3 * SECOND, 0))
        assert (opened.first, opened.trimmed_records) == (3, 2)


async def test_while_the_first_record_is_too_young_to_go_an_append_is_three_statements(tmp_path: Path) -> None:
    said: list[str] = []
    async with journal(tmp_path) as opened:
        await opened.append(noise(1, 4))
        await opened.append([record(5, Tick())], trim_to=4, limits=(START + 3 * SECOND, 0))
        assert opened.first == 3
        opened._file._connection.set_trace_callback(said.append)  # type: ignore[union-attr] # noqa: SLF001 -- it is open, and tells nobody
        for position in (6, 7):
            await opened.append([record(position, Tick())], trim_to=4, limits=(START + 3 * SECOND, 0))
        assert [words.split()[0] for words in said] == ["BEGIN", "INSERT", "COMMIT"] * 2
        await opened.append([record(8, Tick())], trim_to=4, limits=(START + 4 * SECOND, 0))
        assert opened.first == 4


async def test_what_an_append_would_have_removed_that_failed_is_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        monkeypatch.undo()
        raise UnavailableError("disk_full")

    limits = (START + 3 * SECOND, 0)
    async with journal(tmp_path) as opened:
        await opened.append(noise(1, 4))
        monkeypatch.setattr(journal_module, "sweep_bodies", fail)  # behind the trimming, before the COMMIT
        with pytest.raises(UnavailableError, match="disk_full"):
            await opened.append([record(5, Tick())], trim_to=4, limits=limits)
        assert [one.position for one in await everything(opened)] == [1, 2, 3, 4]
        await opened.append([record(5, Tick())], trim_to=4, limits=limits)
        assert [one.position for one in await everything(opened)] == [3, 4, 5]


async def test_a_trimmed_journal_goes_on_where_it_was(tmp_path: Path) -> None:
    async with journal(tmp_path) as opened:
        await opened.append(noise(1, 10))
        await opened.append([record(11, Tick())], trim_to=10, limits=(FOREVER, 0))
        assert opened.first == 7
    async with journal(tmp_path) as opened:
        assert (opened.first, opened.last) == (7, 11)
        await opened.append([record(12, Tick())])
        assert [one.position for one in await everything(opened)] == list(range(7, 13))


# ------------------------------------------------------------------------------------------------------------ the limit


async def test_at_the_limit_batches_are_refused_and_small_records_go_into_the_reserve(tmp_path: Path) -> None:
    limits = (0, RESERVED_BYTES + 8 * MIB)
    async with journal(tmp_path) as opened:
        for position in range(1, 8):
            await opened.append([heavy(position)], limits=limits)
        with pytest.raises(UnavailableError, match="journal_full"):
            await opened.append([heavy(8)], limits=limits)
        await opened.append([record(8, Tick()), record(9, Outcome("c", OutcomeKind.SENT))], limits=limits)
        with pytest.raises(UnavailableError, match="journal_full"):
            await opened.append([record(10, Tick()), heavy(11)], limits=limits)
        assert [one.position for one in await everything(opened)] == list(range(1, 10))
        # A checkpoint makes room.
        await opened.append([heavy(10)], trim_to=4, limits=limits)
        assert opened.last == 10


async def test_undelivered_work_counts_against_the_limit(tmp_path: Path) -> None:
    limits = (0, 64 * MIB)
    async with journal(tmp_path) as opened:
        with pytest.raises(UnavailableError, match="journal_full"):
            await opened.append([heavy(1)], limits=limits, outbox_bytes=48 * MIB)
        await opened.append([record(1, Tick())], limits=limits, outbox_bytes=48 * MIB)
        await opened.append([heavy(2)], limits=limits, outbox_bytes=40 * MIB)
        assert opened.last == 2


async def test_what_is_small_goes_in_beyond_the_limit(tmp_path: Path) -> None:
    """Without it nothing is judged: no hold is let go, and no checkpoint is made, which may be what makes room."""
    async with journal(tmp_path) as opened:
        await opened.append([record(1, Tick())], limits=(0, 64 * MIB), outbox_bytes=65 * MIB)
        with pytest.raises(UnavailableError, match="journal_full"):
            await opened.append([record(2, Tick()), heavy(3)], limits=(0, 64 * MIB), outbox_bytes=65 * MIB)
        await opened.append([record(2, Tick())], limits=(0, 64 * MIB), outbox_bytes=65 * MIB)
        assert opened.last == 2


async def test_an_almost_full_disk_keeps_its_last_bytes_for_small_records(tmp_path: Path) -> None:
    async with journal(tmp_path, free=lambda _: RESERVED_BYTES) as opened:
        with pytest.raises(UnavailableError, match="disk_full"):
            await opened.append([heavy(1)])
        await opened.append([record(1, Tick())])
        assert opened.last == 1


def test_a_disk_with_ample_room_is_asked_once_a_second_and_what_is_appended_meanwhile_taken_off(tmp_path: Path) -> None:
    answers = [4 * AMPLE_BYTES, 3 * AMPLE_BYTES]
    room = Room(tmp_path, lambda _: answers.pop(0))
    assert room.left(7, 100) == 4 * AMPLE_BYTES
    assert room.left(6 + LOOK_EVERY_NS, 50) == 4 * AMPLE_BYTES - 100
    assert room.left(7 + LOOK_EVERY_NS, 50) == 3 * AMPLE_BYTES


def test_a_disk_without_ample_room_is_asked_before_every_append(tmp_path: Path) -> None:
    answers = [AMPLE_BYTES + 99, AMPLE_BYTES + 80, AMPLE_BYTES - 1, 5]
    room = Room(tmp_path, lambda _: answers.pop(0))
    assert room.left(0, 100) == AMPLE_BYTES + 99
    assert [room.left(0, size) for size in (81, 0, 0)] == [AMPLE_BYTES + 80, AMPLE_BYTES - 1, 5]


async def test_a_disk_that_fills_up_is_found_full_within_a_second_of_engine_time(tmp_path: Path) -> None:
    left = [2 * AMPLE_BYTES]
    async with journal(tmp_path, free=lambda _: left[0]) as opened:
        await opened.append([heavy(1)])
        left[0] = RESERVED_BYTES
        with pytest.raises(UnavailableError, match="disk_full"):
            await opened.append([heavy(2)])  # one second behind the first


async def test_a_nearly_full_disk_makes_history_go_whatever_its_age(tmp_path: Path) -> None:
    async with journal(tmp_path, free=lambda _: 2 * RESERVED_BYTES) as opened:
        await opened.append(noise(1, 10))
        await opened.append([record(11, Tick())], trim_to=10)
        assert opened.first == 7


async def test_that_history_goes_before_its_time_is_told_once_and_so_is_the_end_of_it(tmp_path: Path) -> None:
    room = [2 * RESERVED_BYTES]
    with capture_logs() as logs:
        async with journal(tmp_path, free=lambda _: room[0]) as opened:
            await opened.append(noise(1, 20))
            assert logs == []  # nothing went
            for position in (21, 22):
                await opened.append([record(position, Tick())], trim_to=20)
            assert opened.past.is_going
            room[0] = 100 * RESERVED_BYTES
            await opened.append([record(23, Tick())], trim_to=20)
            assert not opened.past.is_going
    assert [(each["event"], each["first"]) for each in logs] == [
        ("journal_past_going", 7),
        ("journal_past_kept_again", 13),
    ]


# --------------------------------------------------------------------------------------------------------- a full disk


@contextmanager
def small_disk(opened: Journal, pages: int) -> Iterator[None]:
    """Let SQLite say that the disk is full (SQLITE_FULL) above ``pages``, as ENOSPC makes it."""
    connection = opened._file._connection  # noqa: SLF001 -- the pragma belongs to the connection
    assert isinstance(connection, sqlite3.Connection)
    connection.execute(f"PRAGMA max_page_count = {pages}")
    try:
        yield
    finally:
        connection.execute("PRAGMA max_page_count = 1073741823")


async def test_a_full_disk_is_unavailable_and_then_nothing_is_missing(tmp_path: Path) -> None:
    async with journal(tmp_path) as opened:
        await opened.append(noise(1, 5))
        with small_disk(opened, 40):
            for _ in range(3):
                with pytest.raises(UnavailableError, match="disk_full"):
                    await opened.append([record(6, Tick()), heavy(7)])
            assert (opened.last, opened.appended_records) == (5, 5)
            await opened.append([record(6, Tick())])
        await opened.append([heavy(7)])
        found = await everything(opened)
    assert [(one.position, one.body) for one in found] == [
        (one.position, one.body) for one in [*noise(1, 5), record(6, Tick()), heavy(7)]
    ]
    async with journal(tmp_path) as opened:
        assert (opened.first, opened.last) == (1, 7)


@pytest.fixture
def small_mount(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MiB of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "none", str(place)]
    if os.geteuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("only root may mount a small disk")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


async def test_a_disk_that_is_really_full_holds_up_and_loses_nothing(small_mount: Path) -> None:
    async with journal(small_mount) as opened:
        appended = []
        with pytest.raises(UnavailableError, match="disk_full"):  # noqa: PT012 -- until it is full
            for position in range(1, 100):
                await opened.append([heavy(position, MIB // 2)])
                appended.append(heavy(position, MIB // 2))
        await opened.append([record(opened.last + 1, Tick())])
        stuffing = small_mount / "stuffing"
        with stuffing.open("wb") as file, suppress(OSError):
            for _ in range(1_000):
                file.write(bytes(64 * 1024))
                file.flush()
        with pytest.raises(UnavailableError, match=r"disk_full|disk_failing"):  # noqa: PT012 -- the WAL has some room
            for position in range(opened.last + 1, opened.last + 1_000):
                await opened.append([record(position, Outcome("c" * 9_000, OutcomeKind.SENT))])
                appended.append(record(position, Tick()))
        stuffing.unlink()
        await opened.append([record(opened.last + 1, Tick())])
        end = opened.last
        assert [one.position for one in await everything(opened)] == list(range(1, end + 1))
    async with journal(small_mount) as opened:
        assert [one.position for one in await everything(opened)] == list(range(1, end + 1))
        assert len(appended) == end - 2
