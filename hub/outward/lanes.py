"""Who leaves next: of each lane the oldest, when it is due; one at a time of a lane, while others flow."""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from operator import attrgetter

from hub.outward.parcel import Slip

Heads = list[tuple[int, int, str]]
"""(due, number, lane), a heap; those that no longer are heads, or due then, are passed over."""

_number = attrgetter("number")


class Lanes:
    """The slips of one channel that wait. A lane whose oldest was taken is closed until ``release``.

    A lane in which something urgent waits goes before others.
    """

    def __init__(self) -> None:
        self._known: set[int] = set()
        self._lanes: dict[str, list[Slip]] = {}
        self._away: set[str] = set()
        self._heads: Heads = []
        self._urgent: Heads = []

    @property
    def waiting(self) -> int:
        """How many wait, those that were taken among them."""
        return len(self._known)

    def add(self, slips: Iterable[Slip]) -> None:
        """Let ``slips`` wait; each at most once."""
        for slip in slips:
            if slip.number in self._known:
                continue
            self._known.add(slip.number)
            lane = self._lanes.setdefault(slip.lane, [])
            insort(lane, slip)
            if (lane[0] is slip or slip.is_urgent) and slip.lane not in self._away:
                self._offer(lane)

    def take(self, now: int, *, urgent_first: bool = True) -> Slip | None:
        """Return the one that has been due longest at ``now``, and close its lane."""
        for heads in (self._urgent, self._heads) if urgent_first else (self._heads,):
            while heads and heads[0][0] <= now:
                head = heapq.heappop(heads)
                if self._is_open(head):
                    self._away.add(head[2])
                    return self._lanes[head[2]][0]
        return None

    def release(self, taken: Slip, again: Slip | None) -> None:
        """Open the lane of what was ``taken``: it is gone for good, or waits ``again``."""
        lane = self._lanes[taken.lane]
        # By its number: an older one may wait before it by now, and a clock may have been set.
        del lane[bisect_left(lane, taken.number, key=_number)]
        self._away.discard(taken.lane)
        if again is None:
            self._known.discard(taken.number)
        else:
            insort(lane, again)
        if lane:
            self._offer(lane)
        else:
            del self._lanes[taken.lane]

    def shift(self, by: int) -> None:
        """Move when those are due that were never tried: they wait for a moment of a clock that somebody has set."""
        for name, lane in self._lanes.items():
            self._lanes[name] = [slip if slip.attempts else slip._replace(due=slip.due + by) for slip in lane]
        self._heads, self._urgent = [], []
        for name, lane in self._lanes.items():
            if name not in self._away:
                self._offer(lane)

    def next_due(self) -> int | None:
        """Return when the next one is due, among those whose lanes are open."""
        while self._heads:
            if self._is_open(self._heads[0]):
                return self._heads[0][0]
            heapq.heappop(self._heads)
        return None

    def _offer(self, lane: Sequence[Slip]) -> None:
        head = lane[0]
        for heads in (self._heads, self._urgent) if any(slip.is_urgent for slip in lane) else (self._heads,):
            heapq.heappush(heads, (head.due, head.number, head.lane))

    def _is_open(self, head: tuple[int, int, str]) -> bool:
        due, number, name = head
        if name in self._away or name not in self._lanes:
            return False
        first = self._lanes[name][0]
        return (first.due, first.number) == (due, number)
