"""The city's events into the time series store: read back from their streams, so that history outlives these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import msgspec
import structlog

from hub.city.telling import number_of
from hub.citywide.keeping import BACKOFF_SECONDS, CITY
from hub.clock import Clock
from hub.errors import PoisonError, UnavailableError
from hub.sinks.redis_link import Answer, Link, pairs, rows
from hub.sinks.streams import decode_event, history_key, source_of
from hub.sinks.timeseries.lines import event_line
from hub.sinks.timeseries.store import Store

PAGE = 1_000
BLOCK_SECONDS = 2.0

log = structlog.get_logger(__name__)


class Historian:
    """Writes each event again and again until the store has it: a point that is written twice is one."""

    def __init__(self, link: Link, store: Store, clock: Clock, streams: Sequence[str]) -> None:
        self.written = 0
        self.rejected = 0
        self._link = link
        self._store = store
        self._clock = clock
        self._streams = tuple(sorted(streams))
        self._source = source_of(CITY).encode()

    async def run(self) -> None:
        """Write until cancelled."""
        failures = 0
        while True:
            try:
                await self._link.open()
                kept = pairs(await self._link.ask("HGETALL", history_key(CITY)))
                positions = {stream: kept.get(stream.encode(), b"0-0") for stream in self._streams}
                failures = 0
                while True:
                    await self._write_next(positions)
            except UnavailableError as error:
                log.debug("city_history_held_up", reason=str(error))
                await self._clock.sleep(BACKOFF_SECONDS[min(failures, len(BACKOFF_SECONDS) - 1)])
                failures += 1

    async def _write_next(self, positions: dict[str, bytes]) -> None:
        options = ("COUNT", PAGE, "BLOCK", int(BLOCK_SECONDS * 1000))
        streams: list[str | bytes] = [*positions, *positions.values()]
        answer = rows(await self._link.ask("XREAD", *options, "STREAMS", *streams, patience=BLOCK_SECONDS))
        lines: list[bytes] = []
        for row in answer:
            name, entries = rows(row)
            page = rows(entries)
            lines += [line for entry in page if (line := self._line(entry)) is not None]
            positions[cast("bytes", name).decode()] = cast("bytes", rows(page[-1])[0])
        if lines:
            done = await self._store.write(lines)
            self.written += done.accepted
            self.rejected += len(done.rejected)
        if answer:
            said: list[str | bytes] = [word for position in positions.items() for word in position]
            await self._link.ask("HSET", history_key(CITY), *said)

    def _line(self, entry: Answer) -> bytes | None:
        """Return the line of an entry that the city wrote, None for another's."""
        fields = pairs(rows(entry)[1])
        if fields.get(b"source") != self._source:
            return None
        try:
            event = decode_event(fields)
        except PoisonError as error:
            log.warning("entry_unreadable", reason=str(error))
            return None
        return event_line(msgspec.structs.replace(event, number=number_of(event.id)))
