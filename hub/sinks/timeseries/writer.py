"""The writer of time series: owed lines to the store, in large writes, the same ones until it took them."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import structlog

from hub.clock import Clock
from hub.errors import UnavailableError
from hub.model.effects import LineWork, Owed
from hub.sinks.timeseries.lines import EVENT_LINE_START
from hub.sinks.timeseries.store import Store, Written

LINES_PER_WRITE: Final = 5_000
LINGER: Final = timedelta(milliseconds=250)
REST_NS: Final = 1_000_000_000
"""Between two writes while less than a whole one waits: each costs 1 ms with what confirms it, however small."""
_FIRST_PAUSE_SECONDS: Final = 0.1
_LONGEST_PAUSE_SECONDS: Final = 2.0
_DOUBLINGS_MAX: Final = 6
_LOGGED_PER_WRITE: Final = 3

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class WriterState:
    """How the writer is doing, for readyz.

    ``behind_since``: monotonic ns of the first question that the store has not taken, None when it took all; a write
    that is under way counts, for a store that hangs says nothing at all.
    """

    healthy: bool = True
    last_error: str | None = None
    behind_since: int | None = None


@dataclass(frozen=True, slots=True)
class _Delivery:
    """Whole works that are written and confirmed together; ``position`` is that of the last one."""

    position: int
    lines: list[bytes]
    points: int
    events: int


class SeriesWriter:
    """Delivers what ``owed`` holds to ``store``; what will never be stored is counted and logged.

    ``wake`` returns when this process may write, and raises when it never may. ``jitter`` returns 0 to 1. Owed work is
    confirmed when all of its lines are accepted or rejected; after a crash what was not confirmed is written again,
    and stays the same points.
    """

    def __init__(
        self,
        owed: Owed[LineWork],
        store: Store,
        clock: Clock,
        wake: Callable[[], Awaitable[None]],
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._owed = owed
        self._store = store
        self._clock = clock
        self._wake = wake
        self._jitter = jitter
        self._rests_until = self._wished_until = 0
        self.state = WriterState()
        self.writes = self.writes_failed = 0

    def rests(self, now: int) -> bool:
        """Return whether it waits at monotonic time ``now`` for as long as the store has wished."""
        return now < self._wished_until

    async def run(self) -> None:
        """Deliver until cancelled."""
        while True:
            for delivery in _deliveries(await self._take()):
                await self._deliver(delivery)

    async def _take(self) -> list[tuple[int, LineWork]]:
        """Return what comes together within a moment, or behind a write within a second."""
        owed = await self._owed_within(LINGER)
        rest = self._rests_until - self._clock.monotonic_ns()
        if rest > 0 and sum(work.points + work.events for _, work in owed) < LINES_PER_WRITE:
            owed = await self._owed_within(timedelta(microseconds=rest / 1e3))
        self._rests_until = self._clock.monotonic_ns() + REST_NS
        return owed

    async def _owed_within(self, linger: timedelta) -> list[tuple[int, LineWork]]:
        """Return what is owed; what lies on a disk that cannot be read now waits for it."""
        failures = 0
        while True:
            try:
                return await self._owed.take(items=LINES_PER_WRITE, linger=linger)
            except UnavailableError as error:
                self._fall_behind(error)
                await self._clock.sleep(self._pause(error, failures))
                failures += 1

    async def _deliver(self, delivery: _Delivery) -> None:
        rejected: list[tuple[bytes, str]] = []
        for start in range(0, len(delivery.lines), LINES_PER_WRITE):
            rejected += (await self._write(delivery.lines[start : start + LINES_PER_WRITE])).rejected
        events_rejected = sum(line.startswith(EVENT_LINE_START) for line, _ in rejected)
        points_rejected = len(rejected) - events_rejected
        self._report(rejected)
        await self._owed.confirm(
            delivery.position,
            {
                "written": delivery.points - points_rejected,
                "rejected": points_rejected,
                "events_written": delivery.events - events_rejected,
                "events_rejected": events_rejected,
            },
        )

    async def _write(self, lines: Sequence[bytes]) -> Written:
        failures = 0
        while True:
            await self._wake()
            if self.state.behind_since is None:
                self.state.behind_since = self._clock.monotonic_ns()
            try:
                written = await self._store.write(lines)
            except UnavailableError as error:
                self._fall_behind(error)
                await self._clock.sleep(self._pause(error, failures))
                failures += 1
            else:
                self.writes += 1
                self._recover()
                return written

    def _pause(self, error: UnavailableError, failures: int) -> float:
        """Return seconds: the store's wish and up to a tenth more, else a doubling pause and half of it by chance."""
        if error.retry_after is not None:
            wish = max(error.retry_after.total_seconds(), _FIRST_PAUSE_SECONDS) * (1 + self._jitter() / 10)
            self._wished_until = self._clock.monotonic_ns() + int(wish * 1e9)
            return wish
        doubled = _FIRST_PAUSE_SECONDS * 2.0 ** min(failures, _DOUBLINGS_MAX)
        return min(doubled, _LONGEST_PAUSE_SECONDS) * (1 + self._jitter()) / 2

    def _fall_behind(self, error: UnavailableError) -> None:
        self.writes_failed += 1
        if self.state.behind_since is None:
            self.state.behind_since = self._clock.monotonic_ns()
        if self.state.healthy:
            _log.warning("series_store_lost", error=str(error))
        self.state.healthy = False
        self.state.last_error = str(error)

    def _recover(self) -> None:
        if not self.state.healthy:
            _log.info("series_store_regained")
            self.state.healthy, self.state.last_error = True, None
        self.state.behind_since = None

    def _report(self, rejected: Sequence[tuple[bytes, str]]) -> None:
        for line, reason in rejected[:_LOGGED_PER_WRITE]:
            # The series only: fields may hold a plate.
            series = line.partition(b" ")[0].decode("utf-8", "replace")
            _log.warning("line_rejected", series=series, reason=reason, of=len(rejected))


def _deliveries(owed: Iterable[tuple[int, LineWork]]) -> Iterator[_Delivery]:
    """Return the works in groups of about a write each; a work is never divided, its position ends it."""
    last = 0
    lines: list[bytes] = []
    points = events = 0
    for position, work in owed:
        for some in work.lines:
            lines += some.split(b"\n")
        points += work.points
        events += work.events
        last = position
        if len(lines) >= LINES_PER_WRITE:
            yield _Delivery(last, lines, points, events)
            last, lines, points, events = 0, [], 0, 0
    if last:
        yield _Delivery(last, lines, points, events)
