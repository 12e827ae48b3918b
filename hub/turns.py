"""The turns of the event loop: how long each took, measured where the loop asks the system what is ready."""

from __future__ import annotations

import selectors
from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from itertools import accumulate

from typing_extensions import override

from hub.metrics import Spread

BOUNDS_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SLOTS, SLOT_NS = 6, 10_000_000_000
"""The last minute, ten seconds at a time."""
_NOTED_NS = 1_000_000
_BOUNDS_NS = [round(bound * 1e9) for bound in BOUNDS_SECONDS]


class Turns(selectors.DefaultSelector):
    """The selector of a loop: between two of its questions lies one turn, in which nobody else has any.

    That costs a turn 0.5 us (measured), and nobody is woken for it. What the system kept from us (another process
    had the processor, this one was stopped) shows where a timer was due: as the time by which ``select`` came late.
    """

    def __init__(self, now: Callable[[], int]) -> None:
        super().__init__()
        self._now = now
        self._began = now()
        self._turns = self._busy_ns = 0
        self._noted = [0] * (len(_BOUNDS_NS) + 1)
        self._longest: deque[tuple[int, float]] = deque(maxlen=SLOTS)

    @override
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        asked = self._now()
        turn = asked - self._began
        self._turns += 1
        self._busy_ns += turn
        if turn > _NOTED_NS:
            self._noted[bisect_left(_BOUNDS_NS, turn)] += 1
            self._stood_still(asked, turn)
        found: list[tuple[selectors.SelectorKey, int]] = super().select(timeout)
        self._began = began = self._now()
        if timeout is not None and (late := began - asked - timeout * 1e9) > _NOTED_NS:
            self._stood_still(began, late)
        return found

    @property
    def spread(self) -> Spread:
        """Return the turns by their lengths; their sum is the time for which the loop had something to do."""
        few = [self._turns - sum(self._noted), *self._noted[1:]]
        bounds = [*map(str, BOUNDS_SECONDS), "+Inf"]
        return Spread(list(zip(bounds, accumulate(few), strict=True)), self._busy_ns / 1e9)

    @property
    def longest_seconds(self) -> float:
        """Return the longest time in the last minute in which the loop looked at nothing, one under way not counted."""
        since = self._now() // SLOT_NS - SLOTS
        return max((longest for slot, longest in self._longest if slot > since), default=0) / 1e9

    def _stood_still(self, now: int, length: float) -> None:
        slot = now // SLOT_NS
        known = self._longest.pop() if self._longest and self._longest[-1][0] == slot else (slot, 0)
        self._longest.append(max(known, (slot, length)))
