"""What is owed to Redis on both sides of the cursor: ahead of it, and behind it what keys have refused; in portions."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from hub.model.effects import Owed, StreamWork
from hub.sinks.fence import Telling
from hub.sinks.parcels import Parcel, keys_of, load, new_tally, parcel

PORTION = 10_000
"""So many items are read at once, where they lie in memory; of what lies on disk the outbox knows how much."""


class OwedBehind(Owed[StreamWork], Protocol):
    """What is owed, also what lies behind that which was taken and cannot be confirmed yet."""

    async def more(self, *, after: int, items: int) -> list[tuple[int, StreamWork]]:
        """Return what is owed behind record ``after`` by now, ``items`` of it at most; nothing is waited for."""
        ...

    async def arrival(self, *, after: int) -> None:
        """Return when something is owed behind record ``after``; nobody is in ``take`` meanwhile."""
        ...


class Ahead:
    """What the cursor has not reached: a portion in memory, the rest where the outbox has it.

    ``last`` is the last record that was read, ``tally`` counts what was, once, however often it is read.
    """

    def __init__(self, owed: OwedBehind, source: str, taken: Sequence[tuple[int, StreamWork]]) -> None:
        self.last = 0
        self.tally = new_tally()
        self._owed = owed
        self._source = source
        self._dropped_to = 0
        self._parcels: deque[Parcel] = deque()
        self._take(taken)

    def beyond(self, delivered: int) -> Sequence[Parcel]:
        """Return what of it is in memory.

        A cursor that has gone back, because its server has forgotten, is followed: nothing of that is confirmed yet.
        """
        if delivered < self._dropped_to:
            self._parcels.clear()
            self._dropped_to = delivered
        while self._parcels and self._parcels[0].position <= delivered:
            self._dropped_to = self._parcels.popleft().position
        return self._parcels

    async def read_on(self, delivered: int) -> Sequence[Parcel]:
        """Return the next portion, when nothing is in memory; nothing when the cursor has reached all there is."""
        while not self.beyond(delivered) and (portion := await self._owed.more(after=self._dropped_to, items=PORTION)):
            self._take(portion)
        return self._parcels

    def _take(self, portion: Sequence[tuple[int, StreamWork]]) -> None:
        again = new_tally()
        for position, work in portion:
            tally = self.tally if position > self.last else again
            self._parcels.append(parcel(position, work, self._source, tally))
        self.last = max(self.last, portion[-1][0])


@dataclass(slots=True)
class _Lacking:
    """What one key has not taken of records above one, and up to ``end``."""

    above: int
    end: int
    parcels: deque[Parcel] = field(default_factory=deque)

    def follow(self, above: int, delivered: int) -> None:
        """Forget what it has taken; everything, should its note or the cursor say something else than what we know."""
        if not self.above <= above <= self.end <= delivered:
            self.end = above
            self.parcels.clear()
        self.above = above
        while self.parcels and self.parcels[0].position <= above:
            self.parcels.popleft()

    def shrink(self) -> None:
        """Keep one record, to ask with."""
        if len(self.parcels) > 1:
            self.parcels = deque([self.parcels[0]])
            self.end = self.parcels[0].position

    def has_news(self, delivered: int) -> bool:
        """Return whether its note would change, if it takes what it is told."""
        return bool(self.parcels) or self.end > self.above or self.end >= delivered

    def telling(self, delivered: int) -> Telling:
        """Return what it may be told at once; ``delivered`` is how far the cursor is."""
        some = load(self.parcels)
        commands = [(b"%d" % (each.position - 1), command) for each in some for command in each.packed]
        end = self.end if len(some) == len(self.parcels) else some[-1].position
        return Telling(commands, b"" if end >= delivered else b"%d" % end)


class Behind:
    """What keys have refused of what the cursor has passed, each in the order of the records.

    A portion is read of what a key lacks when it has taken the one before; of a key that refuses, one record is kept.
    """

    def __init__(self, owed: OwedBehind, source: str) -> None:
        self._owed = owed
        self._source = source
        self._lacking: dict[str, _Lacking] = {}

    async def telling(self, untold: Mapping[str, int], delivered: int, refusing: Collection[str]) -> dict[str, Telling]:
        """Return what keys are told next: those ``untold``, each above a record; ``refusing`` did so just now."""
        self._lacking = {key: self._lacking.get(key) or _Lacking(above, above) for key, above in untold.items()}
        for key, each in self._lacking.items():
            each.follow(untold[key], delivered)
            if key in refusing:
                each.shrink()
        wanting = {key: each for key, each in self._lacking.items() if not each.parcels and each.end < delivered}
        if wanting:
            await self._read(wanting, delivered)
        return {key: each.telling(delivered) for key, each in self._lacking.items() if each.has_news(delivered)}

    async def _read(self, wanting: Mapping[str, _Lacking], delivered: int) -> None:
        end = min(each.end for each in wanting.values())
        unwritten = new_tally()
        for position, work in await self._owed.more(after=end, items=PORTION):
            end = min(position, delivered)  # all that the cursor has passed is known once something behind it is
            if position <= delivered and not wanting.keys().isdisjoint(keys_of(work)):
                whole = parcel(position, work, self._source, unwritten)
                for key in whole.keys & wanting.keys():
                    if position > wanting[key].end:
                        wanting[key].parcels.append(whole.of(key))
        for each in wanting.values():
            each.end = max(each.end, end)
