"""A disk that has become read-only under the outbox: what lies there is delivered all the same, and no sink ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from hub.clock import SystemClock
from hub.errors import UnavailableError
from hub.journal.outbox import STREAMS, TIMESERIES, Outbox
from hub.journal.state_file import StateFile
from hub.model.effects import LineWork, StreamWork
from hub.sinks.stream_readers import read_events
from hub.sinks.timeseries.local import LocalStore
from hub.sinks.timeseries.query import telemetry
from hub.sinks.timeseries.store import Span
from hub.sinks.timeseries.writer import SeriesWriter
from tests.journal.papers import set_read_only
from tests.servers.valkey import ValkeyServer
from tests.sinks.streams.rig import Rig, event
from tests.sinks.streams.rig import work as stream_work
from tests.sinks.timeseries.samples import NOON, work
from tests.waiting import wait_until

W = TypeVar("W")
EVERYTHING = telemetry("smoke_sensor", Span(since=0, until=2 * NOON, limit=1_000), {})
UNREADABLE = "disk_failing"


async def awake() -> None:
    """Let the writer write: nobody else owns the partition."""


class Series:
    """An outbox on disk, a store, and the writer between them."""

    def __init__(self, file: StateFile, store: LocalStore) -> None:
        self.file, self.store = file, store
        self.box = Outbox(TIMESERIES, file, LineWork, cursor=0)
        self.writer = SeriesWriter(self.box, store, SystemClock(), awake)
        self._owed = 0

    def owe(self, count: int) -> None:
        for number in range(self._owed, self._owed + count):
            self.box.add(number + 1, work(number, 1), 1, 100)
        self._owed += count

    async def is_stored(self) -> bool:
        rows = await self.store.query(EVERYTHING)
        return [row.fields["number"] for row in rows] == list(range(self._owed))

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.writer.run())
            yield
            task.cancel()


@pytest.fixture
async def series(tmp_path: Path) -> AsyncIterator[Series]:
    state, store = StateFile(tmp_path / "state.sqlite", "j"), LocalStore(tmp_path / "series.sqlite", SystemClock())
    async with state, store:
        yield Series(state, store)


async def test_points_that_lie_on_a_read_only_disk_are_written_and_counted_once_it_takes_that(series: Series) -> None:
    series.owe(3)
    await series.box.spill(0)
    set_read_only(series.file, is_on=True)
    async with series.writing():
        await wait_until(series.is_stored)
        series.owe(2)
        await wait_until(series.is_stored)
        set_read_only(series.file, is_on=False)
        series.owe(1)
        await wait_until(lambda: series.box.is_empty)
    saved = await series.file.load()
    assert (saved.cursors, saved.tallies["timeseries"]["written"]) == ({"timeseries": 6}, 6)
    assert series.file.outbox_bytes == 0


async def test_events_that_lie_on_a_read_only_disk_are_told_once(valkey: ValkeyServer, tmp_path: Path) -> None:
    async with valkey.link() as link, StateFile(tmp_path / "state.sqlite", "j") as file:
        box = Outbox(STREAMS, file, StreamWork, cursor=0)
        for number in (1, 2):
            box.add(number, stream_work([event(number)]), 1, 300)
        await box.spill(0)
        set_read_only(file, is_on=True)
        async with Rig(valkey.address, box).running():
            await wait_until(lambda: box.is_empty)
            set_read_only(file, is_on=False)
            box.add(3, stream_work([event(3)]), 1, 300)
            await wait_until(lambda: not file.outbox_bytes)
        assert [int(each.id, 16) for each in await read_events(link)] == [1, 2, 3]


def unreadable(
    read: Callable[[str, int, int], Awaitable[list[tuple[int, bytes]]]], times: int
) -> Callable[[str, int, int], Awaitable[list[tuple[int, bytes]]]]:
    """Return ``read``, which fails the first ``times`` as on a disk that gives nothing back."""
    left = [times]

    async def owed(sink: str, after: int, limit_bytes: int) -> list[tuple[int, bytes]]:
        left[0] -= 1
        if left[0] >= 0:
            raise UnavailableError(UNREADABLE, "disk I/O error")
        return await read(sink, after, limit_bytes)

    return owed


async def test_points_that_cannot_be_read_now_are_waited_for_and_readyz_can_say_why(
    series: Series, monkeypatch: pytest.MonkeyPatch
) -> None:
    series.owe(3)
    await series.box.spill(0)
    monkeypatch.setattr(series.file, "owed", unreadable(series.file.owed, 3))
    async with series.writing():
        await wait_until(lambda: UNREADABLE in (series.writer.state.last_error or ""))
        assert series.writer.state.behind_since is not None
        await wait_until(series.is_stored)
        await wait_until(lambda: series.writer.state.behind_since is None)
    assert series.writer.writes_failed == 3


async def test_events_that_cannot_be_read_now_are_waited_for(
    valkey: ValkeyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with valkey.link() as link, StateFile(tmp_path / "state.sqlite", "j") as file:
        box = Outbox(STREAMS, file, StreamWork, cursor=0)
        box.add(1, stream_work([event(1)]), 1, 300)
        await box.spill(0)
        monkeypatch.setattr(file, "owed", unreadable(file.owed, 2))
        rig = Rig(valkey.address, box)
        async with rig.running():
            await wait_until(lambda: UNREADABLE in rig.sink.last_error)
            await wait_until(lambda: box.is_empty)
        assert (rig.sink.retries, rig.sink.behind_since) == (2, None)
        assert [int(each.id, 16) for each in await read_events(link)] == [1]
