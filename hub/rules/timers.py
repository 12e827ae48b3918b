"""Timers in engine time: when something is due, in the order (due, rule, key)."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from enum import IntEnum
from functools import lru_cache

_SLACK = 64
_MINUTE_BITS = 36
"""Of nanoseconds: 69 seconds."""


class TimerClass(IntEnum):
    """What blind time does to a timer (engine.md, Blind time)."""

    RUNNING = 0
    """Leases, expiries, shelves: fires while blind."""
    JUDGED = 1
    """``for``, ``clear``: waits while blind, is judged at caught_up."""
    AWAKE = 2
    """``absent_for``, ``offline_after``: lives on the awake clock, so it moves by the blind time."""
    WINDOW = 3
    """Inputs that change by themselves as time passes: waits while blind, like JUDGED."""
    ALARM = 4
    """Ladder and reminders of active alarms, shelves: fires while blind."""
    MODE = 5
    """The ends of tests and drills: fires while blind, before anything else."""
    FORGET = 6
    """Values of which nothing is known any more: lives on the awake clock and waits while blind."""


ON_AWAKE_CLOCK = frozenset({TimerClass.AWAKE, TimerClass.FORGET})


class _Heap:
    """The due times of one class. Replaced and dropped ones stay in the heap until they surface, or are too many.

    Nearly all that move become later, with each word of a device: those move in the heap only when they surface, and
    for each wanted one there is an entry that is not later than it. What is due in a minute that has not begun waits
    there by its key alone: an entry of its own takes 64 bytes more, of every device that may fall silent.
    """

    def __init__(self) -> None:
        self.wanted: dict[str, dict[str, int]] = {}
        """By owner, then key: a tuple for each (owner, key) took 56 bytes of each device that may fall silent."""
        self._size = self._held = 0
        self._entries: list[tuple[int, str, str]] = []
        self._minutes: dict[int, dict[str, list[str]]] = {}
        self._coming: list[int] = []
        """The minutes that wait, as a heap; none has begun, and all others have."""
        self._unbegun = 0

    def set(self, due: int, owner: str, key: str) -> None:
        mine = self.wanted.get(owner)
        if mine is None:
            mine = self.wanted[owner] = {}
        known = mine.get(key)
        mine[key] = due
        if known is None:
            self._size += 1
        elif known <= due:
            return  # the entry that is there surfaces before
        self._put(due, owner, key)
        if self._held > 2 * self._size + _SLACK:
            self._entries, self._minutes, self._coming, self._held = [], {}, [], 0
            for each, keys in self.wanted.items():
                for name, when in keys.items():
                    self._put(when, each, name)

    def _put(self, due: int, owner: str, key: str) -> None:
        """Hold an entry."""
        self._held += 1
        minute = due >> _MINUTE_BITS
        if minute < self._unbegun:
            heapq.heappush(self._entries, (due, owner, key))
            return
        if minute not in self._minutes:
            self._minutes[minute] = {}
            heapq.heappush(self._coming, minute)
        self._minutes[minute].setdefault(owner, []).append(key)

    def begins(self, due: int) -> int:
        """Return when the minute of ``due`` begins, the same object each time; ``due`` itself once it has."""
        minute = due >> _MINUTE_BITS
        return due if minute < self._unbegun else _start_of(minute)

    def _begin(self) -> None:
        """Let the next minute begin: what is wanted then has entries from now on."""
        minute = heapq.heappop(self._coming)
        self._unbegun = minute + 1
        for owner, keys in self._minutes.pop(minute).items():
            self._held -= len(keys)
            for key in keys:
                due = self.wanted.get(owner, {}).get(key)
                if due is not None and due >> _MINUTE_BITS >= minute:
                    self._put(due, owner, key)

    def drop(self, owner: str, key: str) -> None:
        mine = self.wanted.get(owner)
        if mine is not None and mine.pop(key, None) is not None:
            self._size -= 1
            if not mine:
                del self.wanted[owner]

    def first(self, now: int | None = None) -> tuple[int, str, str] | None:
        """Return the earliest entry that is still wanted; with ``now`` perhaps none where none is due by then."""
        while True:
            if self._coming and (not self._entries if now is None else self._coming[0] << _MINUTE_BITS <= now):
                self._begin()
                continue
            if not self._entries:
                return None
            due, owner, key = self._entries[0]
            wanted = self.wanted.get(owner, {}).get(key)
            if wanted == due:
                return self._entries[0]
            heapq.heappop(self._entries)
            self._held -= 1
            if wanted is not None and wanted > due:
                self._put(wanted, owner, key)


class Timers:
    """At most one due time per (owner, key) and class."""

    def __init__(self) -> None:
        self._heaps = tuple(_Heap() for _ in TimerClass)
        self.fired = 0
        """When what was yielded last was due."""

    def set(self, kind: TimerClass, due: int, owner: str, key: str) -> None:
        """Make ``(owner, key)`` due at ``due``, replacing an earlier wish."""
        self._heaps[kind].set(due, owner, key)

    def look(self, kind: TimerClass, due: int, owner: str, key: str) -> None:
        """As :meth:`set`, for who looks whether it is time yet: it may fire up to a minute before, once.

        Of each device that may fall silent a moment of its own takes 48 bytes.
        """
        heap = self._heaps[kind]
        heap.set(heap.begins(due), owner, key)

    def put(self, kind: TimerClass, due: int | None, owner: str, key: str) -> None:
        """Make ``(owner, key)`` due at ``due``, or forget it when that is None."""
        if due is None:
            self.drop(kind, owner, key)
        else:
            self.set(kind, due, owner, key)

    def drop(self, kind: TimerClass, owner: str, key: str) -> None:
        """Forget ``(owner, key)``."""
        self._heaps[kind].drop(owner, key)

    def due_of(self, kind: TimerClass, owner: str, key: str) -> int | None:
        """Return when ``(owner, key)`` is due, if it is."""
        return self._heaps[kind].wanted.get(owner, {}).get(key)

    def due(self, kind: TimerClass, now: int) -> Iterator[tuple[int, str, str]]:
        """Yield and forget what is due at ``now``; what is set while iterating and due is yielded too."""
        heap = self._heaps[kind]
        while (entry := heap.first(now)) is not None and entry[0] <= now:
            heap.drop(entry[1], entry[2])
            self.fired = entry[0]
            yield entry

    def next_due(self, kind: TimerClass) -> int | None:
        """Return the earliest due time of a class, or None."""
        entry = self._heaps[kind].first()
        return None if entry is None else entry[0]


@lru_cache(1_000)
def _start_of(minute: int) -> int:
    return minute << _MINUTE_BITS
