"""The city's events into the time series store, out of the box into which the transaction of each has put its line."""

from __future__ import annotations

from typing import cast

import structlog

from hub.citywide.keeping import BACKOFF_SECONDS, CITY
from hub.clock import Clock
from hub.errors import UnavailableError
from hub.sinks.redis_link import Link, rows
from hub.sinks.streams import outbox_key
from hub.sinks.timeseries.store import Store

LINES = 500
LOOK_EVERY_SECONDS = 1.0

# Of a connection that was given up the server may find this later: it must not take lines that have come since.
_TRIM = "if redis.call('LINDEX', KEYS[1], 0) == ARGV[1] then redis.call('LTRIM', KEYS[1], ARGV[2], -1) end"

log = structlog.get_logger(__name__)


class Historian:
    """Writes each line again and again until the store has it: a point that is written twice is one.

    ``last_error`` is why it could not, for ``behind_seconds``.
    """

    def __init__(self, link: Link, store: Store, clock: Clock) -> None:
        self.written = 0
        self.rejected = 0
        self.last_error = ""
        self._behind_since: int | None = None
        self._link = link
        self._store = store
        self._clock = clock

    @property
    def behind_seconds(self) -> float:
        """Return for how long nothing could be written; 0 while all is."""
        return 0.0 if self._behind_since is None else (self._clock.monotonic_ns() - self._behind_since) / 1e9

    async def run(self) -> None:
        """Write until cancelled."""
        failures = 0
        while True:
            try:
                await self._link.open()
                while await self._write_next():
                    failures, self._behind_since = 0, None
                self._behind_since = None
                await self._clock.sleep(LOOK_EVERY_SECONDS)
            except UnavailableError as error:
                self._fall_behind(error)
                await self._clock.sleep(BACKOFF_SECONDS[min(failures, len(BACKOFF_SECONDS) - 1)])
                failures += 1

    def _fall_behind(self, error: UnavailableError) -> None:
        self.last_error = str(error)
        if self._behind_since is None:
            self._behind_since = self._clock.monotonic_ns()
            log.warning("city_history_held_up", reason=self.last_error)

    async def _write_next(self) -> int:
        """Return how many lines were written; new ones are only ever added at the other end of the box."""
        lines = cast("list[bytes]", rows(await self._link.ask("LRANGE", outbox_key(CITY), 0, LINES - 1)))
        if lines:
            done = await self._store.write(lines)
            await self._link.ask("EVAL", _TRIM, 1, outbox_key(CITY), lines[0], len(lines))
            self.written += done.accepted
            self.rejected += len(done.rejected)
            for line, reason in done.rejected:
                series = line.partition(b" ")[0].decode("utf-8", "replace")  # fields may tell of somebody
                log.error("city_line_rejected", reason=reason, series=series)
        return len(lines)
