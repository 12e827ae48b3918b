"""What is little is written where it is asked for while the disk is quick, and holds nobody up when it is not."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import pytest

from hub.journal.files import SqliteFile, connect
from hub.journal.journal import LITTLE_BYTES
from hub.journal.own_thread import OwnThread
from hub.journal.pace import QUICK_NS, Pace
from hub.model import Revision
from tests.journal.papers import DIGEST, batch, everything, journal, noise, record
from tests.waiting import wait_until

R = TypeVar("R")
THREAD = "hub.a"


@pytest.fixture
async def file(tmp_path: Path) -> AsyncIterator[SqliteFile]:
    async with SqliteFile(tmp_path / "a.sqlite", "CREATE TABLE a (b)") as opened:
        yield opened


def hurry(pace: Pace) -> None:
    """Let the disk have been quick for a while."""
    for _ in range(64):
        pace.took(0)


def where(_connection: sqlite3.Connection) -> str:
    return threading.current_thread().name


async def test_what_is_little_is_written_here_once_the_disk_is_known_to_be_quick(file: SqliteFile) -> None:
    assert await file.run(where, is_little=True) == THREAD
    hurry(file.pace)
    assert await file.run(where, is_little=True) == threading.current_thread().name
    assert await file.run(where) == THREAD


async def test_a_disk_that_becomes_slow_gets_the_thread(file: SqliteFile) -> None:
    hurry(file.pace)
    file.pace.took(1_000_000_000)
    assert await file.run(where, is_little=True) == THREAD


def test_a_checkpoint_among_quick_writes_changes_nothing_and_a_second_of_standstill_is_forgotten() -> None:
    pace = Pace()
    assert not pace.is_quick
    for _ in range(64):
        pace.took(QUICK_NS // 5)
    pace.took(5 * QUICK_NS)
    assert pace.is_quick
    pace.took(1_000_000_000)
    assert not pace.is_quick
    for _ in range(64):
        pace.took(QUICK_NS // 5)
    assert pace.is_quick


async def test_what_is_little_waits_behind_what_the_thread_does_already(file: SqliteFile) -> None:
    hurry(file.pace)
    has_begun, may_end, done = threading.Event(), threading.Event(), list[str]()

    def large(_connection: sqlite3.Connection) -> None:
        has_begun.set()
        may_end.wait()
        done.append("large")

    async with asyncio.TaskGroup() as group:
        group.create_task(file.run(large))
        await wait_until(has_begun.is_set)
        group.create_task(file.run(lambda _: done.append("little"), is_little=True))
        await wait_until(lambda: file._thread._waiting == 2)  # noqa: SLF001 -- it waits in no other place
        may_end.set()
    assert done == ["large", "little"]


async def test_who_gave_up_waiting_leaves_no_mark_on_the_thread(file: SqliteFile) -> None:
    hurry(file.pace)
    has_begun, may_end = threading.Event(), threading.Event()

    def large(_connection: sqlite3.Connection) -> None:
        has_begun.set()
        may_end.wait()

    first, second = asyncio.Task(file.run(large)), asyncio.Task(file.run(where))
    await wait_until(has_begun.is_set)
    for task in (first, second):
        task.cancel()
    await asyncio.wait([first, second])
    assert not file.is_at_hand
    may_end.set()
    await wait_until(lambda: file.is_at_hand)


async def test_another_process_that_writes_to_the_file_does_not_stop_the_loop(file: SqliteFile) -> None:
    hurry(file.pace)
    with closing(connect(file.path)) as other:
        other.execute("BEGIN IMMEDIATE")
        writing = asyncio.Task(
            file.run(lambda connection: connection.execute("INSERT INTO a VALUES (1)"), is_little=True)
        )
        await wait_until(lambda: not file.is_at_hand)
        assert not writing.done()
        other.execute("COMMIT")
        await writing
        assert other.execute("SELECT count(*) FROM a").fetchone() == (1,)
    hurry(file.pace)
    assert await file.run(where, is_little=True) == threading.current_thread().name


async def test_batches_of_a_calm_rate_wake_no_thread_and_a_flood_and_a_revision_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    real = OwnThread.call

    async def counted(thread: OwnThread, work: Callable[[], R]) -> R:
        calls.append("call")
        return await real(thread, work)

    async with journal(tmp_path) as opened:
        monkeypatch.setattr(OwnThread, "call", counted)
        calm = noise(1, 5)
        hurry(opened._file.pace)  # noqa: SLF001 -- whether this disk is quick is not what is asked
        for each in calm:
            await opened.append([each])
        assert calls == []
        await opened.append([record(6, batch(bytes(LITTLE_BYTES)))])
        assert calls == ["call"]
        hurry(opened._file.pace)  # noqa: SLF001 -- as above
        await opened.append([record(7, Revision("0.1.0", {"kind/smoke_sensor": DIGEST}, []))])
        assert calls == ["call", "call"]
        assert [each.position for each in await everything(opened)] == [*range(1, 8)]
