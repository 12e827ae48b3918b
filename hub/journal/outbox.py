"""The outbox: what one sink is owed and has not confirmed; in memory, on disk when it fell behind."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, NamedTuple, TypeVar

import msgspec

from hub.failpoints import NEVER, Failpoints, Place
from hub.journal.state_file import OutboxRow, StateFile

W = TypeVar("W")
MEMORY_BYTES = 64 * 1024 * 1024
READ_BYTES = 4 * 1024 * 1024


class _Kept(NamedTuple, Generic[W]):
    position: int
    work: W
    items: int
    size: int


@dataclass(frozen=True, slots=True)
class Places:
    """The name of a sink in the state file, and its failpoints.

    ``has_own_cursor``: its store remembers how far it is, so that confirming costs no write here as long as nothing
    is on disk.
    """

    sink: str
    taken: Place
    delivered: Place
    has_own_cursor: bool


STREAMS = Places("streams", Place.STREAMS_TAKEN, Place.STREAMS_DELIVERED, has_own_cursor=True)
TIMESERIES = Places("timeseries", Place.TIMESERIES_TAKEN, Place.TIMESERIES_DELIVERED, has_own_cursor=False)


class Outbox(Generic[W]):
    """One sink's :class:`hub.model.Owed`. Work is added in record order; a position is added at most once.

    ``cursor`` is the last confirmed record. What memory may not hold goes to the state file (``spill``), and is read
    back from there first.
    """

    def __init__(
        self, places: Places, file: StateFile, work: type[W], *, cursor: int, failpoints: Failpoints = NEVER
    ) -> None:
        sink = places.sink
        self.sink = sink
        self.cursor = cursor
        self.waiting_bytes = 0
        self.waiting_items = 0
        self.tally: dict[str, int] = {}
        self._file = file
        self._places = places
        self._failpoints = failpoints
        self._encode = msgspec.msgpack.Encoder().encode
        self._decoder = msgspec.msgpack.Decoder(work)
        self._memory: deque[_Kept[W]] = deque()
        self._on_disk_to = 0
        self._saved_to = 0
        self._arrived = asyncio.Event()

    async def open(self, tally: Mapping[str, int]) -> None:
        """Find what an earlier process left on disk."""
        self.tally = dict(tally)
        self._on_disk_to = self._saved_to = await self._file.last_owed(self.sink)
        if self._on_disk_to > self.cursor:
            self._arrived.set()

    @property
    def is_empty(self) -> bool:
        """True when everything is confirmed."""
        return not self._memory and self._on_disk_to <= self.cursor

    def add(self, position: int, work: W, items: int, size: int) -> None:
        """Owe ``work`` of the record at ``position``; ignored when its cursor or the disk already covers it."""
        if position <= self.cursor or position <= self._on_disk_to:
            return
        self._memory.append(_Kept(position, work, items, size))
        self.waiting_bytes += size
        self.waiting_items += items
        self._arrived.set()

    async def take(self, *, items: int, linger: timedelta) -> list[tuple[int, W]]:
        """Return the next work in order; see :class:`hub.model.Owed`."""
        await self._arrived.wait()
        if self._on_disk_to > self.cursor:
            rows = await self._file.owed(self.sink, self.cursor, READ_BYTES)
            if rows:
                return [(position, self._decoder.decode(body)) for position, body in rows]
            self.cursor = self._on_disk_to
            return await self.take(items=items, linger=linger)
        if self.waiting_items < items and linger:
            with suppress(TimeoutError):
                async with asyncio.timeout(linger.total_seconds()):
                    while self.waiting_items < items:
                        self._arrived.clear()
                        await self._arrived.wait()
            self._arrived.set()
        self._failpoints.reach(self._places.taken)
        taken: list[tuple[int, W]] = []
        count = 0
        for kept in self._memory:
            if taken and count + kept.items > items:
                break
            taken.append((kept.position, kept.work))
            count += kept.items
        return taken

    async def confirm(self, position: int, tally: Mapping[str, int]) -> None:
        """Forget everything up to ``position``; see :class:`hub.model.Owed`."""
        self._failpoints.reach(self._places.delivered)
        if not self._places.has_own_cursor or self._saved_to > self.cursor:
            await self._file.confirm(self.sink, position, tally)
        self.cursor = max(self.cursor, position)
        for name, value in tally.items():
            self.tally[name] = self.tally.get(name, 0) + value
        while self._memory and self._memory[0].position <= position:
            kept = self._memory.popleft()
            self.waiting_bytes -= kept.size
            self.waiting_items -= kept.items
        if self.is_empty:
            self._arrived.clear()

    def unsaved(self, up_to: int) -> list[OutboxRow]:
        """Return rows of the work up to record ``up_to`` that no disk holds yet, for a checkpoint."""
        return [
            (self.sink, kept.position, self._encode(kept.work))
            for kept in self._memory
            if self._saved_to < kept.position <= up_to
        ]

    def saved(self, up_to: int) -> None:
        """Note that :meth:`unsaved` has been written."""
        self._saved_to = max(self._saved_to, up_to)

    async def spill(self, limit: int = MEMORY_BYTES) -> None:
        """Move everything to disk when memory holds more than ``limit`` bytes; hearing and judging go on."""
        if self.waiting_bytes <= limit:
            return
        last = self._memory[-1].position
        await self._file.spill(self.unsaved(last))
        self._saved_to = self._on_disk_to = last
        while self._memory and self._memory[0].position <= last:
            kept = self._memory.popleft()
            self.waiting_bytes -= kept.size
            self.waiting_items -= kept.items
