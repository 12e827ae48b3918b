"""A clock that tests move: sleeping advances it at once and is recorded."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

START_NS = int(datetime(2026, 3, 1, 8, 0, tzinfo=UTC).timestamp()) * 1_000_000_000


class ManualClock:
    """A :class:`hub.clock.Clock` whose two times move only when a test or a sleeper moves them.

    ``sleeps`` are the seconds that were asked for, in order. A sleep yields to the loop once, so that a loop which
    only sleeps cannot starve the test.
    """

    def __init__(self, wall_ns: int = START_NS, monotonic_ns: int = 1_000_000_000) -> None:
        self._wall_ns = wall_ns
        self._monotonic_ns = monotonic_ns
        self.sleeps: list[float] = []

    def wall_ns(self) -> int:
        return self._wall_ns

    def monotonic_ns(self) -> int:
        return self._monotonic_ns

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.advance(seconds)
        await asyncio.sleep(0)  # noqa: TID251 -- yields, does not wait

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass on both clocks."""
        elapsed = round(seconds * 1e9)
        self._wall_ns += elapsed
        self._monotonic_ns += elapsed

    def step_wall(self, seconds: float) -> None:
        """Move the wall clock alone, back or forth, as an operator or NTP does."""
        self._wall_ns += round(seconds * 1e9)
