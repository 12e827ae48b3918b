"""The bodies of revisions: none goes while a record names it, the others go a few at a time, whoever wrote them."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from hub.journal import bodies
from hub.journal.bodies import SWEPT_PER_APPEND
from hub.journal.records import checksum
from hub.journal.room import RESERVED_BYTES
from hub.model.records import Record, Revision, Tick
from tests.journal.papers import SECOND, START, everything, journal, noise, record, set_read_only

FOREVER = START + 10**9 * SECOND


def listed(position: int, *plates: str) -> Record:
    """Return a revision that puts a list of so many plates, each list a body of its own."""
    bodies = {hashlib.blake2b(plate.encode(), digest_size=16).hexdigest(): plate.encode() for plate in plates}
    put = {f"list/s1/{number}": digest for number, digest in enumerate(bodies)}
    moment = START + position * SECOND
    return Record(position, moment, moment, Revision("0.1.0", put), (), bodies)


def kept_bodies(tmp_path: Path) -> list[bytes]:
    with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as connection:
        return sorted(body for (body,) in connection.execute("SELECT body FROM bodies"))


def meta(tmp_path: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as connection:
        return connection.execute("SELECT name, value FROM meta").fetchall()


async def test_a_body_goes_with_the_last_record_that_names_it(tmp_path: Path) -> None:
    async with journal(tmp_path) as opened:
        await opened.append([listed(1, "a", "b"), listed(2, "b"), listed(3, "c"), *noise(4, 17)])
    async with journal(tmp_path) as opened:  # it is known over a restart, too
        await opened.append([record(21, Tick())], trim_to=1, limits=(FOREVER, 0))
        assert (opened.first, kept_bodies(tmp_path)) == (2, [b"b", b"c"])
        found = [one.bodies for one in await everything(opened) if one.bodies]
        assert found == [listed(2, "b").bodies, listed(3, "c").bodies]
        await opened.append([listed(22, "c")], trim_to=20, limits=(FOREVER, 0))
        assert (opened.first, kept_bodies(tmp_path)) == (8, [b"c"])


async def test_a_list_that_changes_every_day_does_not_fill_the_journal(tmp_path: Path) -> None:
    async with journal(tmp_path) as opened:
        sizes = []
        for position in range(1, 121):
            oldest = START + (position - 20) * SECOND
            await opened.append([listed(position, f"{position}" * 5_000)], trim_to=position - 1, limits=(oldest, 0))
            sizes.append(opened.size_bytes)
        assert sizes[-1] < 2 * max(sizes[:30])
        assert len(kept_bodies(tmp_path)) == opened.last - opened.first + 1


async def test_what_a_former_version_wrote_goes_when_its_journal_has_gone(tmp_path: Path) -> None:
    async with journal(tmp_path) as opened:
        await opened.append([listed(1, "a"), listed(2, "b"), *noise(3, 4)])
    with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as connection:
        connection.execute("DELETE FROM meta WHERE name LIKE 'body/%'")
        connection.execute("INSERT INTO meta VALUES ('body/' || (SELECT max(hash) FROM bodies), '1 7')")  # a wrong seal
        connection.commit()
    async with journal(tmp_path) as opened:
        await opened.append([record(7, Tick())], trim_to=5, limits=(FOREVER, 0))
        assert (opened.first, kept_bodies(tmp_path)) == (6, [b"a", b"b"])
        await opened.append([record(8, Tick())], trim_to=7, limits=(FOREVER, 0))
        assert (opened.first, kept_bodies(tmp_path)) == (8, [])


def plates(count: int) -> list[str]:
    return [f"{number:06}" * 50 for number in range(count)]


async def test_many_bodies_go_a_few_at_a_time_and_on_a_disk_that_is_nearly_full(tmp_path: Path) -> None:
    async with journal(tmp_path) as opened:
        await opened.append([listed(1, *plates(3 * SWEPT_PER_APPEND)), *noise(2, 4)])
    async with journal(tmp_path, free=lambda _: 2 * RESERVED_BYTES) as opened:
        left = []
        for position in range(6, 14):
            await opened.append([record(position, Tick())], trim_to=5)
            left.append(len(kept_bodies(tmp_path)))
        assert (left[-1], opened.first) == (0, 6)
        assert max(before - after for before, after in pairwise([3 * SWEPT_PER_APPEND, *left])) <= SWEPT_PER_APPEND


async def test_what_an_append_and_an_opening_look_at_does_not_grow_with_the_bodies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[object] = []

    def counted(body: bytes, *names: int | str) -> int:
        looks.append(names)
        return checksum(body, *names)

    async with journal(tmp_path) as opened:
        await opened.append([listed(1, "a"), listed(2, *plates(5 * SWEPT_PER_APPEND))])
        monkeypatch.setattr(bodies, "checksum", counted)
        for position in range(3, 20):
            looks.clear()
            await opened.append([record(position, Tick())], trim_to=1, limits=(FOREVER, 0))
            assert len(looks) <= SWEPT_PER_APPEND + 2
        looks.clear()
        for position in (20, 21):
            await opened.append([record(position, Tick())], trim_to=1, limits=(FOREVER, 0))
        assert not looks  # nothing can go any more
        assert len(kept_bodies(tmp_path)) == 5 * SWEPT_PER_APPEND
    looks.clear()
    async with journal(tmp_path):
        assert len(looks) <= 2


async def test_what_a_former_version_named_again_stays_as_long_as_its_record(tmp_path: Path) -> None:
    async with journal(tmp_path) as opened:
        await opened.append([listed(1, "a"), *noise(2, 1)])
    names = meta(tmp_path)
    async with journal(tmp_path) as opened:
        await opened.append([listed(3, "a"), *noise(4, 8)])
    with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as connection:  # as one that knows nothing of names
        connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", names)
        connection.commit()
    async with journal(tmp_path) as opened:
        await opened.append([record(12, Tick())], trim_to=2, limits=(FOREVER, 0))
        assert (opened.first, kept_bodies(tmp_path)) == (3, [b"a"])
        assert (await everything(opened))[0].bodies == listed(3, "a").bodies
    async with journal(tmp_path) as opened:  # the next start knows it, too
        await opened.append([record(13, Tick())], trim_to=2, limits=(FOREVER, 0))
        assert kept_bodies(tmp_path) == [b"a"]
        await opened.append([record(14, Tick())], trim_to=13, limits=(FOREVER, 0))
        await opened.append([record(15, Tick())], trim_to=14, limits=(FOREVER, 0))
        assert (opened.first > 11, kept_bodies(tmp_path)) == (True, [])


async def test_a_hub_that_was_killed_knows_its_names(tmp_path: Path) -> None:
    async with journal(tmp_path) as opened:
        await opened.append([listed(1, "a")])
        for position in range(2, 12):
            await opened.append([record(position, Tick())])
    async with journal(tmp_path) as opened:
        assert opened._names.floor == 0  # noqa: SLF001 -- nothing of it was written by another
        for position in range(12, 15):
            await opened.append([record(position, Tick())], trim_to=1, limits=(FOREVER, 0))
        assert (opened.first, kept_bodies(tmp_path)) == (2, [])


async def test_a_full_disk_is_no_reason_not_to_open_and_names_wait_for_room(tmp_path: Path) -> None:
    async with journal(tmp_path) as opened:
        await opened.append([listed(1, *plates(9)), *noise(2, 4)])
    with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as connection:
        connection.execute("DELETE FROM meta WHERE name LIKE 'body/%'")
        connection.commit()
    async with journal(tmp_path, free=lambda _: RESERVED_BYTES):
        assert not [name for name, _ in meta(tmp_path) if name.startswith("body/")]
    async with journal(tmp_path, free=lambda _: RESERVED_BYTES) as opened:
        await opened.append([record(6, Tick())])
        assert [name for name, _ in meta(tmp_path) if name.startswith("body/")] == ["body/known"]
    async with journal(tmp_path) as opened:
        await opened.append([record(7, Tick())])
        assert len([name for name, _ in meta(tmp_path) if name.startswith("body/")]) == 10
        await opened.append([record(8, Tick())], trim_to=7, limits=(FOREVER, 0))
        await opened.append([record(9, Tick())], trim_to=7, limits=(FOREVER, 0))
        assert (opened.first, kept_bodies(tmp_path)) == (8, [])


async def test_a_damaged_body_that_no_record_names_stops_no_hub(tmp_path: Path) -> None:
    async with journal(tmp_path) as opened:
        await opened.append([listed(1, "a"), *noise(2, 4)])
    with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as connection:
        connection.execute("UPDATE bodies SET hash = CAST(x'ff41' AS TEXT)")
        connection.commit()
    async with journal(tmp_path) as opened:
        for position in range(6, 9):
            await opened.append([record(position, Tick())], trim_to=5, limits=(FOREVER, 0))
        assert (opened.first, opened.last, kept_bodies(tmp_path)) == (6, 8, [b"a"])


async def test_bodies_that_are_laid_down_ahead_let_appends_in_between_and_leave_their_record_little_to_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.journal.journal.LAID_AT_ONCE", 100)
    large = listed(3, *plates(500))
    async with journal(tmp_path) as opened, asyncio.TaskGroup() as group:
        await opened.append([listed(1, "a")])
        laying = group.create_task(opened.lay_down(large.bodies))
        await opened.append([record(2, Tick())])
        assert not laying.done()
        assert 0 < len(kept_bodies(tmp_path)) < 501
        await laying
        file = opened._file  # noqa: SLF001 -- that counts work, not time
        before = await file.run(lambda connection: connection.total_changes)
        await opened.append([large])
        assert await file.run(lambda connection: connection.total_changes) - before < 5
        assert [one.bodies for one in await everything(opened)][-1] == large.bodies
    async with journal(tmp_path) as opened:
        assert [one.bodies for one in await everything(opened)][-1] == large.bodies


@pytest.fixture
def a_little_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let bodies be laid down one by one, two records ahead."""
    monkeypatch.setattr("hub.journal.journal.LAID_AT_ONCE", 1)
    monkeypatch.setattr("hub.journal.journal.LAID_AHEAD", 2)


@pytest.mark.usefixtures("a_little_ahead")
async def test_what_was_laid_down_stays_as_long_as_its_record_however_late_that_came(tmp_path: Path) -> None:
    async with journal(tmp_path) as opened:
        await opened.lay_down(listed(1, "a", "b").bodies)
        await opened.append([*noise(1, 4), listed(5, "a", "b"), *noise(6, 15)])
        await opened.append([record(21, Tick())], trim_to=4, limits=(FOREVER, 0))
        await opened.append([record(22, Tick())], trim_to=4, limits=(FOREVER, 0))
        assert (opened.first, kept_bodies(tmp_path)) == (5, [b"a", b"b"])
        assert next(one.bodies for one in await everything(opened)) == listed(5, "a", "b").bodies
        await opened.append([record(23, Tick())], trim_to=20, limits=(FOREVER, 0))
        assert (opened.first > 5, kept_bodies(tmp_path)) == (True, [])


@pytest.mark.usefixtures("a_little_ahead")
async def test_what_was_laid_down_for_a_record_that_never_came_goes(tmp_path: Path) -> None:
    async with journal(tmp_path) as opened:
        await opened.append(noise(1, 2))
        await opened.lay_down(listed(3, "a", "b").bodies)
    async with journal(tmp_path) as opened:
        assert kept_bodies(tmp_path) == [b"a", b"b"]
        for position in range(3, 9):
            await opened.append([record(position, Tick())], trim_to=position - 1, limits=(FOREVER, 0))
        assert kept_bodies(tmp_path) == []


async def test_few_bodies_and_those_for_which_there_is_no_room_go_with_their_record(tmp_path: Path) -> None:
    large = listed(1, *plates(600))
    async with journal(tmp_path, free=lambda _: 2 * RESERVED_BYTES) as opened:
        await opened.lay_down(large.bodies)
        await opened.lay_down(listed(1, "a").bodies)
        assert kept_bodies(tmp_path) == []
        await opened.append([large])
        assert [one.bodies for one in await everything(opened)] == [large.bodies]


async def test_what_the_disk_refused_to_have_laid_down_goes_with_its_record(tmp_path: Path) -> None:
    large = listed(1, *plates(600))
    async with journal(tmp_path) as opened:
        set_read_only(opened, is_on=True)
        await opened.lay_down(large.bodies)
        set_read_only(opened, is_on=False)
        await opened.append([large])
        assert [one.bodies for one in await everything(opened)] == [large.bodies]
