"""Torn and flipped files: everything intact, or a loud refusal; never a changed record, never one missing unseen."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from hub.bridge.frames import decode_packets
from hub.errors import CorruptError
from hub.journal.journal import Journal
from hub.journal.neighbours import opened
from hub.journal.owed_rows import Confirmed
from hub.journal.records import Row, to_row
from hub.journal.state_file import StateFile
from hub.model.records import Record
from tests.damage import Damage, flip, seeded, tear
from tests.journal.papers import (
    EVERY_KIND,
    PARTITION,
    crash,
    journal,
    letter,
    lines,
    noise,
    records,
)

POSITIONS = 200
CHECKPOINT, LAST = 60, 90


def written() -> list[Record]:
    return records(1, EVERY_KIND) + noise(len(EVERY_KIND) + 1, LAST - len(EVERY_KIND))


ENTRIES = {f"device/s1/{n}": bytes([n]) * 300 for n in range(120)}
WORK = [("timeseries", n, lines(b"a value=%d" % n)) for n in range(40, CHECKPOINT)]


def take_wal_in(it: Journal | StateFile) -> None:
    """Let SQLite take its WAL into the file, as it does by itself after some thousand pages."""
    connection = it._file._connection  # noqa: SLF001 -- it does so when it likes
    assert isinstance(connection, sqlite3.Connection)
    assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0


async def fill(directory: Path) -> None:
    """Append everything, write a checkpoint in the middle, leave the directory as a killed hub does."""
    live = directory / "live"
    live.mkdir()
    async with journal(live) as one:
        for start in range(0, LAST, 3):
            await one.append(written()[start : start + 3])
            if start == LAST // 2:  # so that a part is in the file and a part only in the WAL
                take_wal_in(one)
        async with StateFile(live / "state.sqlite", one.id) as state:
            await state.checkpoint(30, {"device/s1/1": b"old", "gone": b"x"}, [], [letter(1)])
            take_wal_in(state)
            await state.confirm(Confirmed("timeseries", 20, {"written": 20}))
            await state.checkpoint(CHECKPOINT, {**ENTRIES, "gone": None}, WORK, [letter(2)])
            await state.keep_epoch(3)
            crash(live, directory / "killed")
    shutil.copytree(live, directory / "stopped", ignore=shutil.ignore_patterns("lock"))


@pytest.fixture(scope="module")
def remains(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directories of a killed and of a stopped hub."""
    directory = tmp_path_factory.mktemp("remains")
    asyncio.run(fill(directory))
    return directory


State = tuple[int, dict[str, bytes], int, int]
"""Checkpoint, entries, cursor, length of the outbox."""


async def survey(directory: Path) -> tuple[list[Row], State]:
    """Return all that a hub would start with."""
    async with opened(directory, PARTITION, decode_packets) as (one, state, saved):
        rows = [to_row(each) async for each in one.read(one.first - 1)]
        owed = await state.owed("timeseries", saved.cursors.get("timeseries", 0), 2**30)
        return rows, (saved.position, dict(saved.entries), saved.cursors.get("timeseries", 0), len(owed))


ROWS = [to_row(each) for each in written()]
CHECKPOINTS: list[State] = [
    (30, {"device/s1/1": b"old", "gone": b"x"}, 0, 0),
    (30, {"device/s1/1": b"old", "gone": b"x"}, 20, 0),
    (CHECKPOINT, ENTRIES, 20, len(WORK)),
]


async def test_what_a_killed_hub_leaves_is_whole(remains: Path, tmp_path: Path) -> None:
    for which in ("killed", "stopped"):
        copied = crash(remains / which, tmp_path / which)
        assert await survey(copied) == (ROWS, CHECKPOINTS[-1])
    assert (remains / "killed" / "journal.sqlite-wal").stat().st_size > 100_000


WHERE = [("killed", ".sqlite"), ("killed", ".sqlite-wal"), ("stopped", ".sqlite")]


@pytest.mark.parametrize("damage", [flip, tear])
@pytest.mark.parametrize(("which", "suffix"), WHERE)
async def test_a_damaged_journal_is_whole_or_refused(
    remains: Path, tmp_path: Path, which: str, suffix: str, damage: Damage
) -> None:
    chance = seeded("journal", which, suffix, damage)
    refused = 0
    for number in range(POSITIONS):
        copied = crash(remains / which, tmp_path / str(number))
        damage(copied / f"journal{suffix}", chance)
        try:
            found = await survey(copied)
        except CorruptError:
            refused += 1
        else:
            assert found == (ROWS, CHECKPOINTS[-1])
        shutil.rmtree(copied)
    assert refused >= POSITIONS // 4  # the rest hit free space, or pages that the WAL has anew


@pytest.mark.parametrize("damage", [flip, tear])
@pytest.mark.parametrize(("which", "suffix"), WHERE)
async def test_a_damaged_state_is_one_that_was_written_or_refused(
    remains: Path, tmp_path: Path, which: str, suffix: str, damage: Damage
) -> None:
    """An older checkpoint is as good: the journal behind it makes the same state again."""
    chance = seeded("state", which, suffix, damage)
    known = CHECKPOINTS if suffix == ".sqlite-wal" else CHECKPOINTS[-1:]
    outcomes: Counter[str] = Counter()
    for number in range(POSITIONS // 2):
        copied = crash(remains / which, tmp_path / str(number))
        damage(copied / f"state{suffix}", chance)
        try:
            rows, state = await survey(copied)
        except CorruptError:
            outcomes["refused"] += 1
        else:
            assert rows == ROWS
            assert state in known
            outcomes["whole" if state == known[-1] else "older"] += 1
        shutil.rmtree(copied)
    # Of the killed one's file all pages are anew in the WAL.
    typical = {"killed.sqlite": "whole", "killed.sqlite-wal": "older", "stopped.sqlite": "refused"}
    assert outcomes[typical[which + suffix]] >= POSITIONS // 8


@pytest.mark.parametrize("damage", [flip, tear])
async def test_a_damaged_end_mark_changes_nothing(remains: Path, tmp_path: Path, damage: Damage) -> None:
    chance = seeded(damage)
    for number in range(60):
        copied = crash(remains / "killed", tmp_path / str(number))
        damage(copied / "journal.end", chance)
        assert (await survey(copied))[0] == ROWS


async def refusal(directory: Path) -> str:
    """Return the code with which the directory is refused."""
    with pytest.raises(CorruptError) as refused:
        await survey(directory)
    return refused.value.code


@pytest.mark.parametrize("how", [Path.unlink, lambda path: path.write_bytes(b"")], ids=["gone", "empty"])
@pytest.mark.parametrize("which", ["killed", "stopped"])
async def test_a_journal_that_is_gone_beside_a_state_is_refused(
    remains: Path, tmp_path: Path, how: Callable[[Path], object], which: str
) -> None:
    copied = crash(remains / which, tmp_path / "copied")
    how(copied / "journal.sqlite")
    before = {path.name: path.read_bytes() for path in copied.iterdir()}
    assert await refusal(copied) == "missing_file"
    assert {path.name: path.read_bytes() for path in copied.iterdir()} == before


async def test_a_journal_that_is_gone_beside_its_end_mark_alone_is_refused(remains: Path, tmp_path: Path) -> None:
    copied = crash(remains / "stopped", tmp_path / "copied")
    (copied / "journal.sqlite").unlink()
    (copied / "state.sqlite").unlink()
    assert await refusal(copied) == "missing_file"


async def test_a_lost_wal_is_noticed_by_the_end_mark(remains: Path, tmp_path: Path) -> None:
    copied = crash(remains / "killed", tmp_path / "copied")
    (copied / "journal.sqlite-wal").unlink()
    assert await refusal(copied) in {"journal_shortened", "foreign_tables"}


async def test_a_tail_that_nobody_has_seen_may_be_missing(tmp_path: Path) -> None:
    """Power failed before the fsync, and the mark had not reached the disk: the rest is a correct prefix."""
    async with journal(tmp_path) as one:
        await one.append(written()[:30])
        mark = (tmp_path / "journal.end").read_bytes()
        await one.append(written()[30:33])
        killed = crash(tmp_path, tmp_path.parent / f"{tmp_path.name}-killed")
    (killed / "journal.end").write_bytes(mark)
    with (killed / "journal.sqlite-wal").open("r+b") as wal:
        wal.truncate((killed / "journal.sqlite-wal").stat().st_size - 10)
    async with journal(killed) as one:
        assert [to_row(each) async for each in one.read(0)] == ROWS[:30]


async def test_a_journal_shorter_than_the_state_has_seen_is_refused(tmp_path: Path) -> None:
    async with journal(tmp_path) as one:
        await one.append(written()[:30])
        async with StateFile(tmp_path / "state.sqlite", one.id) as state:
            await state.checkpoint(31, {}, [], [])
    assert await refusal(tmp_path) == "journal_behind_state"


async def test_a_missing_state_beside_a_trimmed_journal_is_refused(tmp_path: Path) -> None:
    async with journal(tmp_path) as one:
        await one.append(written()[:30])
        await one.append(written()[30:33], trim_to=20, limits=(2**62, 0))
    assert await refusal(tmp_path) == "missing_file"


async def test_an_older_state_beside_a_journal_that_was_trimmed_since_is_refused(tmp_path: Path) -> None:
    async with journal(tmp_path) as one:
        await one.append(written()[:30])
        async with StateFile(tmp_path / "state.sqlite", one.id) as state:
            await state.checkpoint(3, {}, [], [])
        await one.append(written()[30:33], trim_to=20, limits=(2**62, 0))
    assert await refusal(tmp_path) == "journal_begins_late"


async def test_a_state_of_another_journal_is_refused(remains: Path, tmp_path: Path) -> None:
    copied = crash(remains / "stopped", tmp_path / "copied")
    (copied / "state.sqlite").unlink()
    async with StateFile(copied / "state.sqlite", "another"):
        pass
    assert await refusal(copied) == "foreign_state"


async def test_an_end_mark_of_another_journal_is_refused(remains: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    async with journal(other) as one:
        await one.append(written()[:3])
    copied = crash(remains / "stopped", tmp_path / "copied")
    shutil.copy(other / "journal.end", copied)
    assert await refusal(copied) == "foreign_mark"


async def test_a_missing_state_beside_a_whole_journal_is_made_again(
    remains: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copied = crash(remains / "stopped", tmp_path / "copied")
    (copied / "state.sqlite").unlink()
    assert await survey(copied) == (ROWS, (0, {}, 0, 0))
    assert "state_rebuilt" in capsys.readouterr().out


async def test_an_end_mark_is_not_needed(remains: Path, tmp_path: Path) -> None:
    copied = crash(remains / "stopped", tmp_path / "copied")
    (copied / "journal.end").unlink()
    assert (await survey(copied))[0] == ROWS
