"""Timers in engine time: when something is due, in the order (due, rule, key)."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from enum import IntEnum


class TimerClass(IntEnum):
    """What blind time does to a timer (engine.md, Blind time)."""

    RUNNING = 0
    """Leases, expiries, shelves: fires while blind."""
    JUDGED = 1
    """``for``, ``clear``: waits while blind, is judged at caught_up."""
    AWAKE = 2
    """``absent_for``, ``offline_after``: lives on the awake clock, so it moves by the blind time."""


Key = tuple[str, str]
"""(rule or owner, key)"""


class Timers:
    """At most one due time per (owner, key) and class; the heap forgets replaced entries lazily."""

    def __init__(self) -> None:
        self._due: tuple[dict[Key, int], ...] = ({}, {}, {})
        self._heap: tuple[list[tuple[int, str, str]], ...] = ([], [], [])

    def set(self, kind: TimerClass, due: int, owner: str, key: str) -> None:
        """Make ``(owner, key)`` due at ``due``, replacing an earlier wish."""
        self._due[kind][(owner, key)] = due
        heapq.heappush(self._heap[kind], (due, owner, key))

    def drop(self, kind: TimerClass, owner: str, key: str) -> None:
        """Forget ``(owner, key)``."""
        self._due[kind].pop((owner, key), None)

    def due(self, kind: TimerClass, now: int) -> Iterator[tuple[int, str, str]]:
        """Yield and forget what is due at ``now``; what is set while iterating and due is yielded too."""
        heap, wanted = self._heap[kind], self._due[kind]
        while heap and heap[0][0] <= now:
            due, owner, key = heapq.heappop(heap)
            if wanted.get((owner, key)) == due:
                del wanted[(owner, key)]
                yield due, owner, key

    def next_due(self, kind: TimerClass) -> int | None:
        """Return the earliest due time of a class, or None."""
        heap, wanted = self._heap[kind], self._due[kind]
        while heap and wanted.get((heap[0][1], heap[0][2])) != heap[0][0]:
            heapq.heappop(heap)
        return heap[0][0] if heap else None
