"""The outbox: what one sink is owed and has not confirmed; in memory, on disk when it fell behind."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice, takewhile
from operator import attrgetter
from typing import Generic, NamedTuple, TypeVar

import msgspec

from hub.errors import UnavailableError
from hub.failpoints import NEVER, Failpoints, Place
from hub.journal.owed_rows import Confirmed, OwedRow, Rows
from hub.journal.state_file import StateFile

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
    is on disk; a checkpoint writes it down.
    """

    sink: str
    taken: Place
    delivered: Place
    has_own_cursor: bool


STREAMS = Places("streams", Place.STREAMS_TAKEN, Place.STREAMS_DELIVERED, has_own_cursor=True)
TIMESERIES = Places("timeseries", Place.TIMESERIES_TAKEN, Place.TIMESERIES_DELIVERED, has_own_cursor=False)


_position = attrgetter("position")


class Outbox(Generic[W]):
    """One sink's :class:`hub.model.effects.Owed`. Work is added in record order; a position is added at most once.

    ``cursor`` is the last confirmed record. What memory may not hold goes to the state file (``spill``), and is read
    back from there first. A disk that takes nothing now stops nothing here: work stays in memory, and a confirmation
    that could not be written goes along with the next one, ahead of a spill, or with the checkpoint that leaves its
    work out (after a kill before that it is done again, and counted once). ``tally`` are the counts up to ``cursor``.
    Counts: ``spills``, ``writes_postponed``; ``waiting_bytes`` and ``waiting_items`` are what memory holds,
    ``owed`` is what memory and disk do.
    """

    def __init__(
        self, places: Places, file: StateFile, work: type[W], *, cursor: int, failpoints: Failpoints = NEVER
    ) -> None:
        self.sink = places.sink
        self.cursor = cursor
        self.waiting_bytes = 0
        self.waiting_items = 0
        self.spills = 0
        self.writes_postponed = 0
        self.tally: dict[str, int] = {}
        self._file = file
        self._places = places
        self._failpoints = failpoints
        self._decoder = msgspec.msgpack.Decoder(work)
        self._memory: deque[_Kept[W]] = deque()
        self._on_disk_to = 0  # work up to here is read from the disk
        self._saved_to = 0  # work up to here needs no saving
        self._handed_to = 0  # work up to here may be on the disk, or about to be
        self._is_refused = False  # the disk knows less than what is confirmed here
        self._arrived = asyncio.Event()
        self._awaited_items = 1
        self._lingers = True

    async def open(self, tally: Mapping[str, int]) -> None:
        """Find what an earlier process left on disk."""
        self.tally = dict(tally)
        self._on_disk_to = self._saved_to = self._handed_to = await self._file.last_owed(self.sink)

    @property
    def owed(self) -> Rows:
        """Return what is owed: what the disk holds (what it refuses to forget too), and what memory alone does."""
        if self.is_empty:
            return Rows(self.sink, 0, 0)
        held = self._file.held.get(self.sink, Rows(self.sink, 0, 0))
        fresh = [kept.size for kept in self._behind(self._saved_to)]
        return Rows(self.sink, held.number + len(fresh), held.size + sum(fresh))

    @property
    def is_empty(self) -> bool:
        """True when everything is confirmed."""
        return not self._memory and not self._is_on_disk()

    def add(self, position: int, work: W, items: int, size: int) -> None:
        """Owe ``work`` of the record at ``position``; ignored when its cursor or the disk already covers it."""
        if position <= self.cursor or position <= self._on_disk_to:
            return
        self._memory.append(_Kept(position, work, items, size))
        self.waiting_bytes += size
        self.waiting_items += items
        if self.waiting_items >= self._awaited_items:
            self._arrived.set()

    # --------------------------------------------------------------------------------------------------------- the sink

    async def take(self, *, items: int, linger: timedelta) -> list[tuple[int, W]]:
        """Return the next work in order; see :class:`hub.model.effects.Owed`. From disk about 4 MiB, at once."""
        taken: list[tuple[int, W]] = []
        while not taken:
            await self._until_waiting(1)
            if linger and self._lingers and not self._is_on_disk():
                with suppress(TimeoutError):
                    async with asyncio.timeout(linger.total_seconds()):
                        await self._until_waiting(items)
            taken = await self._from_disk(self.cursor) if self._is_on_disk() else self._from_memory(items, self.cursor)
            if not taken:
                self._on_disk_to = 0
        self._failpoints.reach(self._places.taken)
        return taken

    async def more(self, *, after: int, items: int) -> list[tuple[int, W]]:
        """Return what is owed behind record ``after``, without waiting: often nothing. From disk about 4 MiB."""
        behind = await self._from_disk(after) if after < self._on_disk_to else []
        return behind or self._from_memory(items, after)

    async def arrival(self, *, after: int) -> None:
        """Return when something is owed behind record ``after``; nobody is in :meth:`take` meanwhile."""
        self._awaited_items = 0
        while self._on_disk_to <= after and not (self._memory and self._memory[-1].position > after):
            self._arrived.clear()
            await self._arrived.wait()

    async def confirm(self, position: int, tally: Mapping[str, int]) -> None:
        """Forget everything up to ``position``; see :class:`hub.model.effects.Owed`."""
        self._failpoints.reach(self._places.delivered)
        sums = dict(self.tally)
        for name, value in tally.items():
            sums[name] = sums.get(name, 0) + value
        if not self._places.has_own_cursor or self._handed_to > self.cursor or self._is_refused:
            try:
                await self._file.confirm(Confirmed(self.sink, position, sums))
            except UnavailableError:
                self.writes_postponed += 1
                self._is_refused = True
            else:
                self._is_refused = False
        self.cursor, self.tally = position, sums
        self._forget(position)

    def hurry(self) -> None:
        """Linger no more, also whoever does so now: the hub is about to stop."""
        self._lingers = False
        self._arrived.set()

    def _is_on_disk(self) -> bool:
        return self._on_disk_to > self.cursor

    async def _until_waiting(self, items: int) -> None:
        """Return when ``items`` wait, or some lie on disk; woken then and not by each that is added."""
        self._awaited_items = items
        while self.waiting_items < (items if self._lingers else 1) and not self._is_on_disk():
            self._arrived.clear()
            await self._arrived.wait()

    async def _from_disk(self, after: int) -> list[tuple[int, W]]:
        rows = await self._file.owed(self.sink, after, READ_BYTES)
        return [(position, self._decoder.decode(body)) for position, body in rows]

    def _from_memory(self, items: int, after: int) -> list[tuple[int, W]]:
        taken: list[tuple[int, W]] = []
        count = 0
        for kept in self._behind(after):
            count += kept.items
            if taken and count > items:
                break
            taken.append((kept.position, kept.work))
        return taken

    def _behind(self, after: int) -> Iterator[_Kept[W]]:
        """Yield what memory holds behind record ``after``, in order."""
        return islice(self._memory, bisect_right(self._memory, after, key=_position), None)

    def _forget(self, position: int) -> None:
        while self._memory and self._memory[0].position <= position:
            kept = self._memory.popleft()
            self.waiting_bytes -= kept.size
            self.waiting_items -= kept.items

    # --------------------------------------------------------------------------------------------------------- the disk

    def unsaved(self, up_to: int) -> list[OwedRow]:
        """Return the work up to record ``up_to`` that no disk holds yet, for a checkpoint that is written now."""
        self._handed_to = max(self._handed_to, up_to)
        fresh = takewhile(lambda kept: kept.position <= up_to, self._behind(self._saved_to))
        return [(self.sink, kept.position, kept.work) for kept in fresh]

    def confirmed(self, up_to: int) -> list[Confirmed]:
        """Return what the checkpoint of record ``up_to`` must remember, for it leaves out what was confirmed.

        Of a store with a cursor of its own too: one that forgets while nobody looks must not be taken for a new one.
        What is behind ``up_to`` comes of the journal again after a start, and that store says whether it wants it.
        """
        if self._is_refused:
            return [Confirmed(self.sink, self.cursor, self.tally)]
        return [Confirmed(self.sink, min(self.cursor, up_to), {})] if self._places.has_own_cursor else []

    def saved(self, up_to: int) -> None:
        """Note that :meth:`unsaved` has been written."""
        self._saved_to = max(self._saved_to, up_to)

    async def spill(self, limit: int = MEMORY_BYTES) -> None:
        """Move everything to disk when memory holds more than ``limit`` bytes; hearing and judging go on."""
        if self.waiting_bytes <= limit:
            return
        last = self._memory[-1].position
        try:
            if self._is_refused:  # before what lies behind it: after a start nobody looks for it there again
                await self._file.confirm(Confirmed(self.sink, self.cursor, self.tally))
            await self._file.spill(self.unsaved(last))
        except UnavailableError:
            self.writes_postponed += 1
            return
        self._failpoints.reach(Place.SPILLED)
        self.spills += 1
        self._saved_to = self._on_disk_to = last
        self._forget(last)
        self._arrived.set()
