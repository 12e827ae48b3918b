"""Who leaves next: of each lane the oldest, when it is due; one at a time of a lane, while others flow."""

from __future__ import annotations

import heapq
from bisect import insort
from collections.abc import Iterable

from hub.outward.parcel import Slip


class Lanes:
    """The slips of one channel that wait. A lane whose oldest was taken is closed until ``release``."""

    def __init__(self) -> None:
        self._known: set[int] = set()
        self._lanes: dict[str, list[Slip]] = {}
        self._away: set[str] = set()
        self._heads: list[
            tuple[int, int, str]
        ] = []  # (due, number, lane); those that no longer are heads are passed over

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
            if lane[0] is slip and slip.lane not in self._away:
                self._offer(slip)

    def take(self, now: int) -> Slip | None:
        """Return the one that has been due longest at ``now``, and close its lane."""
        while self._heads and self._heads[0][0] <= now:
            _, number, lane = heapq.heappop(self._heads)
            if lane not in self._away and self._is_head(number, lane):
                self._away.add(lane)
                return self._lanes[lane][0]
        return None

    def release(self, taken: Slip, again: Slip | None) -> None:
        """Open the lane of what was ``taken``: it is gone for good, or waits ``again``."""
        lane = self._lanes[taken.lane]
        lane.remove(taken)
        self._away.discard(taken.lane)
        if again is None:
            self._known.discard(taken.number)
        else:
            insort(lane, again)
        if lane:
            self._offer(lane[0])
        else:
            del self._lanes[taken.lane]

    def shift(self, by: int) -> None:
        """Move when those are due that were never tried: they wait for a moment of a clock that somebody has set."""
        for name, lane in self._lanes.items():
            taken = lane[:1] if name in self._away else []
            rest = [slip if slip.attempts else slip._replace(due=slip.due + by) for slip in lane[len(taken) :]]
            self._lanes[name] = [*taken, *rest]
        self._heads = [
            (lane[0].due, lane[0].number, name) for name, lane in self._lanes.items() if name not in self._away
        ]
        heapq.heapify(self._heads)

    def next_due(self) -> int | None:
        """Return when the next one is due, among those whose lanes are open."""
        while self._heads:
            due, number, lane = self._heads[0]
            if lane not in self._away and self._is_head(number, lane):
                return due
            heapq.heappop(self._heads)
        return None

    def _offer(self, slip: Slip) -> None:
        heapq.heappush(self._heads, (slip.due, slip.number, slip.lane))

    def _is_head(self, number: int, lane: str) -> bool:
        return lane in self._lanes and self._lanes[lane][0].number == number
