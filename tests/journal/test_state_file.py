"""The state file: checkpoints whole or not at all, cursors with their counts, dead letters bounded."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from typing_extensions import override

from hub.errors import CorruptError, UnavailableError
from hub.journal.owed_rows import Confirmed
from hub.journal.state_file import StateFile, read_dead_letters, read_tallies
from tests.journal.papers import crash, letter, lines

JOURNAL = "00000000-0000-4000-8000-000000000001"


def state(directory: Path, *, most: int = 2**20) -> StateFile:
    return StateFile(directory / "state.sqlite", JOURNAL, max_dead_letter_bytes=most)


async def test_a_new_file_stands_at_the_beginning(tmp_path: Path) -> None:
    async with state(tmp_path) as file:
        assert await file.load() == (JOURNAL, 0, [], {}, {}, 0)


async def test_a_checkpoint_is_loaded_as_it_was_written(tmp_path: Path) -> None:
    async with state(tmp_path) as file:
        await file.checkpoint(7, {"b": b"2", "a": b"1", "c": b"3"}, [], [])
        await file.checkpoint(9, {"b": b"22", "c": None, "never": None}, [], [])
        await file.confirm(Confirmed("timeseries", 5, {"written": 3}))
        await file.keep_epoch(4)
    async with state(tmp_path) as file:
        saved = await file.load()
    assert saved == (JOURNAL, 9, [("a", b"1"), ("b", b"22")], {"timeseries": 5}, {"timeseries": {"written": 3}}, 4)


async def test_rows_go_to_the_disk_in_the_order_of_their_keys_some_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.journal.state_file.ROWS_IN_ORDER", 3)
    rows = {"e": b"5", "a": b"1", "d": b"4", "g": b"7", "c": b"3", "b": b"2", "f": b"6"}
    written: list[str] = []
    async with state(tmp_path) as file:

        def note(connection: sqlite3.Connection) -> None:
            connection.create_function("note", 1, written.append)
            connection.execute("CREATE TEMP TRIGGER told BEFORE INSERT ON main.entries BEGIN SELECT note(NEW.key); END")

        await file._file.run(note)  # noqa: SLF001 -- the order of the rows is seen by SQLite alone
        await file.checkpoint(7, rows, [], [])
        saved = await file.load()
    assert written == ["a", "d", "e", "b", "c", "g", "f"]
    assert dict(saved.entries) == rows


class Breaking(Mapping[str, bytes | None]):
    """Entries that end in the middle, as a process does."""

    @override
    def __getitem__(self, key: str) -> bytes:
        return b"new"

    @override
    def __iter__(self) -> Iterator[str]:
        yield "a"
        raise KeyboardInterrupt

    @override
    def __len__(self) -> int:
        return 2


async def test_a_checkpoint_that_breaks_in_the_middle_leaves_the_one_before(tmp_path: Path) -> None:
    async with state(tmp_path) as file:
        await file.checkpoint(7, {"a": b"1"}, [("timeseries", 7, lines(b"x"))], [letter(1)])
        before = await file.load()
        bad = [("timeseries", 8, lines(b"y")), ("timeseries", 9, object())]
        with pytest.raises(TypeError):
            await file.checkpoint(9, {"a": b"2"}, bad, [letter(2)])
        with pytest.raises(KeyboardInterrupt):
            await file.checkpoint(9, Breaking(), [], [letter(2)])
        assert await file.load() == before
        assert len(await file.owed("timeseries", 0, 2**20)) == 1
        await file.checkpoint(9, {"a": b"2"}, [], [letter(2)])
        assert (await file.load()).position == 9
    assert [one.number for one in read_dead_letters(tmp_path / "state.sqlite", limit=9)] == [2, 1]


async def test_a_killed_hub_finds_its_last_checkpoint(tmp_path: Path) -> None:
    async with state(tmp_path) as file:
        await file.checkpoint(7, {"a": b"1"}, [("streams", 7, lines(b"x"))], [])
        killed = crash(tmp_path, tmp_path.parent / f"{tmp_path.name}-killed")
    async with state(killed) as file:
        assert (await file.load()).position == 7
        assert await file.last_owed("streams") == 7


async def test_work_is_written_once_and_not_again_behind_its_cursor(tmp_path: Path) -> None:
    async with state(tmp_path) as file:
        rows = [("timeseries", n, lines(b"%d" % n)) for n in (1, 2, 3)]
        await file.spill(rows)
        size = file.outbox_bytes
        assert size > 0
        await file.checkpoint(3, {}, rows, [])
        assert file.outbox_bytes == size
        await file.confirm(Confirmed("timeseries", 2, {}))
        await file.spill(rows)
        assert [position for position, _ in await file.owed("timeseries", 0, 2**20)] == [3]
        assert file.outbox_bytes == size // 3
        await file.confirm(Confirmed("timeseries", 3, {}))
        assert file.outbox_bytes == 0


async def test_what_is_owed_is_read_in_bites_of_at_least_one(tmp_path: Path) -> None:
    async with state(tmp_path) as file:
        await file.spill([("timeseries", n, lines(b"x" * 1_000)) for n in range(1, 11)])
        assert [position for position, _ in await file.owed("timeseries", 4, 2_500)] == [5, 6, 7]
        assert [position for position, _ in await file.owed("timeseries", 4, 1)] == [5]
        assert await file.owed("streams", 0, 2**20) == []
        assert await file.count_owed("timeseries", 4) == 4
        outbox_bytes = file.outbox_bytes
    async with state(tmp_path) as file:
        assert file.outbox_bytes == outbox_bytes


async def test_counts_are_those_of_the_furthest_cursor(tmp_path: Path) -> None:
    async with state(tmp_path) as file:
        await file.confirm(Confirmed("timeseries", 3, {"written": 10, "rejected": 1}))
        await file.confirm(Confirmed("timeseries", 5, {"written": 15}))
        await file.confirm(Confirmed("timeseries", 4, {"written": 12}))
        await file.confirm(Confirmed("streams", 4, {"events": 2}))
    assert read_tallies(tmp_path / "state.sqlite") == {
        "timeseries": {"written": 15, "rejected": 1},
        "streams": {"events": 2},
    }


async def test_dead_letters_are_kept_once_and_the_oldest_make_room(tmp_path: Path) -> None:
    async with state(tmp_path, most=10_000) as file:
        await file.bury([letter(n, b"x" * 800) for n in range(1, 6)])
        await file.bury([letter(n, b"y" * 800) for n in range(1, 6)])
        assert file.dead_letters_dropped == 0
        size = file.dead_letter_bytes
        await file.checkpoint(1, {}, [], [letter(n, b"x" * 800) for n in range(6, 21)])
        kept = 10_000 // (size // 5)
        assert file.dead_letters_dropped == 20 - kept
        assert file.dead_letter_bytes <= 10_000
    found = read_dead_letters(tmp_path / "state.sqlite", limit=99)
    assert [one.number for one in found] == list(range(20, 20 - kept, -1))
    assert {one.payload for one in found} == {b"x" * 800}
    async with state(tmp_path, most=10_000) as file:
        assert file.dead_letter_bytes <= 10_000


async def test_dead_letters_of_a_transaction_that_failed_are_not_counted(tmp_path: Path) -> None:
    async with state(tmp_path, most=5_000) as file:
        await file.bury([letter(1, b"x" * 1_000)])
        size = file.dead_letter_bytes
        connection = file._file._connection  # noqa: SLF001 -- the pragma belongs to the connection
        assert isinstance(connection, sqlite3.Connection)
        connection.execute("PRAGMA max_page_count = 8")
        entries, work, letters = {"big": b"x" * 100_000}, [("streams", 1, lines(b"z"))], [letter(2, b"y" * 1_000)]
        for _ in range(5):
            with pytest.raises(UnavailableError, match="disk_full"):
                await file.checkpoint(1, entries, work, letters)
        assert (file.dead_letter_bytes, file.dead_letters_dropped, file.outbox_bytes) == (size, 0, 0)
        connection.execute("PRAGMA max_page_count = 1073741823")
        await file.checkpoint(1, entries, work, letters)
        assert (await file.load()).position == 1
        assert file.dead_letter_bytes > size
    assert [one.number for one in read_dead_letters(tmp_path / "state.sqlite", limit=9)] == [2, 1]


CHANGES = [
    "UPDATE entries SET body = x'00'",
    "UPDATE entries SET key = 'device/s1/d2'",
    "UPDATE cursors SET record = record + 1",
    "UPDATE cursors SET sink = 'streams'",
    "UPDATE tallies SET value = value + 1",
    "UPDATE meta SET value = '8' WHERE name = 'position'",
    "DELETE FROM meta WHERE name = 'epoch'",
    "UPDATE meta SET value = 'other' WHERE name = 'journal'",
]


@pytest.mark.parametrize("change", CHANGES)
async def test_a_changed_value_is_refused(tmp_path: Path, change: str) -> None:
    async with state(tmp_path) as file:
        await file.checkpoint(7, {"device/s1/d1": b"1"}, [], [])
        await file.confirm(Confirmed("timeseries", 5, {"written": 3}))
    connection = sqlite3.connect(tmp_path / "state.sqlite")
    with connection:
        connection.execute(change)
    connection.close()
    with pytest.raises(CorruptError, match="corrupt_row"):
        async with state(tmp_path) as file:
            await file.load()


@pytest.mark.parametrize("change", ["UPDATE outbox SET body = x'00'", "UPDATE outbox SET record = 8"])
async def test_changed_work_is_refused_when_it_is_read(tmp_path: Path, change: str) -> None:
    async with state(tmp_path) as file:
        await file.spill([("timeseries", 7, lines(b"x"))])
        connection = sqlite3.connect(tmp_path / "state.sqlite")
        with connection:
            connection.execute(change)
        connection.close()
        with pytest.raises(CorruptError, match="corrupt_row"):
            await file.owed("timeseries", 0, 2**20)


async def test_a_changed_dead_letter_is_refused(tmp_path: Path) -> None:
    async with state(tmp_path) as file:
        await file.bury([letter(1)])
    connection = sqlite3.connect(tmp_path / "state.sqlite")
    with connection:
        connection.execute("UPDATE dead_letters SET number = 2")
    connection.close()
    with pytest.raises(CorruptError, match="corrupt_row"):
        read_dead_letters(tmp_path / "state.sqlite", limit=1)
