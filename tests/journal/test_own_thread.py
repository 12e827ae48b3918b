"""A thread of its own: in order, with what came of it, and nothing left behind."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from hub.errors import UnavailableError
from hub.journal.files import SqliteFile
from hub.journal.own_thread import OwnThread
from tests.waiting import PATIENCE_SECONDS, wait_until


@pytest.fixture
async def thread() -> AsyncIterator[OwnThread]:
    own = OwnThread("hub.test")
    yield own
    own.close()


async def test_calls_run_one_after_another_in_the_thread_and_return_what_came(thread: OwnThread) -> None:
    done: list[str] = []

    def note(name: str) -> str:
        done.append(name)
        return f"{name} in {threading.current_thread().name}"

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(thread.call(partial(note, name))) for name in "abc"]
    assert [task.result() for task in tasks] == ["a in hub.test", "b in hub.test", "c in hub.test"]
    assert done == ["a", "b", "c"]


async def test_an_error_is_raised_where_it_is_awaited_and_the_thread_goes_on(thread: OwnThread) -> None:
    with pytest.raises(ZeroDivisionError):
        await thread.call(lambda: 1 // 0)
    assert await thread.call(lambda: 2) == 2


async def test_who_is_cancelled_leaves_undone_what_had_not_begun_and_stops_nobody(thread: OwnThread) -> None:
    has_begun, may_end = threading.Event(), threading.Event()
    done: list[str] = []

    def first() -> None:
        has_begun.set()
        may_end.wait()
        done.append("first")

    async with asyncio.TaskGroup() as group:
        begun = group.create_task(thread.call(first))
        second = group.create_task(thread.call(lambda: done.append("second")))
        group.create_task(thread.call(lambda: done.append("third")))
        await wait_until(has_begun.is_set)
        begun.cancel()
        second.cancel()
        await asyncio.wait([begun, second])
        may_end.set()
    assert done == ["first", "third"]


async def test_closing_waits_for_what_was_called_for() -> None:
    own, may_end = OwnThread("hub.test"), threading.Event()
    has_begun, done = threading.Event(), list[str]()

    def work() -> None:
        has_begun.set()
        may_end.wait()
        done.append("done")

    async with asyncio.TaskGroup() as group:
        group.create_task(own.call(work))
        await wait_until(has_begun.is_set)
        may_end.set()
        own.close()
        assert done == ["done"]


async def test_a_file_whose_thread_cannot_be_started_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(RuntimeError):
        async with asyncio.timeout(PATIENCE_SECONDS), SqliteFile(tmp_path / "a.sqlite", "CREATE TABLE a (b)"):
            pass


async def test_nothing_of_a_call_stays_when_it_is_done(thread: OwnThread) -> None:
    class Held:
        pass

    held = Held()
    gone = weakref.ref(held)
    await thread.call(partial(id, held))
    del held
    await wait_until(lambda: gone() is None)


async def test_behind_its_end_nothing_is_taken_and_no_thread_is_started() -> None:
    own = OwnThread("hub.test.ended")
    await own.call(lambda: None)
    own.close()
    with pytest.raises(UnavailableError, match="closed"):
        await own.call(lambda: None)
    assert "hub.test.ended" not in [one.name for one in threading.enumerate()]
