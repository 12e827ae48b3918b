"""Engine time: what records are stamped with."""

from __future__ import annotations

from hub.clock import Clock


class JournalTime:
    """Stamps records: engine time that only grows, and the wall clock."""

    def __init__(self, clock: Clock, last_t: int, last_received_at: int) -> None:
        wall = clock.wall_ns()
        self._clock = clock
        self._next = last_t + 1
        start = last_t + max(0, wall - last_received_at) if last_t else wall
        self._offset = start - clock.monotonic_ns()

    def stamp(self, messages: int) -> tuple[int, int]:
        """Return (t, received_at) of a record that carries ``messages``."""
        t = max(self._next, self._clock.monotonic_ns() + self._offset)
        self._next = t + messages + 1
        return t, self._clock.wall_ns()
