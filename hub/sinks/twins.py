"""Shows twins in Redis: the whole of each site on every new connection and loss, then once a second what changed."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import structlog

from hub.clock import Clock, stroke
from hub.errors import UnavailableError
from hub.model.effects import Twin
from hub.sinks.ownership import Ownership
from hub.sinks.redis_link import Link, checked, pack
from hub.sinks.streams import twin_draft_key, twin_fields, twin_key

WRITE_EVERY_SECONDS = 1.0
LONGEST_REST_SECONDS = 16.0
"""While Redis refuses them: each try reads a whole site."""
ROWS_PER_WRITE = 500  # about 1 ms of encoding between two turns of the loop
ROWS_PER_SECOND = 10_000
"""Of more that change, as when 100,000 devices say at once what they have kept, those that wait longest go first: a row
is as it is when it is its turn, so that a device which speaks again meanwhile costs 2.5 us once."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TwinChanges:
    """Rows to write, each as it is when its turn comes, and (site, name) to remove; no row is in both."""

    changed: Iterator[Twin]
    removed: Sequence[tuple[str, str]]


class Twins(Protocol):
    """The twins of the partition, as the engine holds them."""

    def take_changes(self, most: int = sys.maxsize) -> TwinChanges:
        """Return ``most`` of the rows that changed, those first that wait longest, each once with its newest content.

        The others come with a later call, and all that was removed with this one.
        """
        ...

    def sites(self) -> Sequence[str]:
        """Return every site of the partition, also one without twins."""
        ...

    def of_site(self, site: str) -> Sequence[Twin]:
        """Return all rows of a site."""
        ...


class TwinSink:
    """The sink of ``hub:twin:{site}``.

    Counts: ``written``, ``removed`` and ``rejected`` rows, ``wholes`` (full writes). For readyz: ``behind_since``
    (monotonic ns of the first refusal since the last write, None while Redis takes them) and ``last_error``.

    Nothing is owed: after a failure the whole is written again. A loser of the partition stops writing.
    """

    def __init__(self, link: Link, clock: Clock, ownership: Ownership, twins: Twins) -> None:
        self.written = 0
        self.removed = 0
        self.rejected = 0
        self.wholes = 0
        self.behind_since: int | None = None
        self.last_error = ""
        self._link = link
        self._clock = clock
        self._ownership = ownership
        self._twins = twins
        self._is_whole = False
        self._gone: list[tuple[str, str]] = []  # and Redis was not told yet: of a site that is gone no whole is written

    def lost(self) -> None:
        """Hear that Redis has forgotten what it was told: the next write is a whole."""
        self._is_whole = False

    async def run(self) -> None:
        """Write once a second, less often while Redis refuses, until cancelled or until the partition is lost."""
        rest = WRITE_EVERY_SECONDS
        while not self._ownership.is_lost:
            try:
                await self.write()
            except UnavailableError as error:
                self._is_whole = False
                log.debug("twins_missed", reason=str(error))
                if error.code == "redis_refused":  # that Redis is away others say
                    self._fall_behind(error)
                    rest = min(2 * rest, LONGEST_REST_SECONDS)
            else:
                self.behind_since, rest = None, WRITE_EVERY_SECONDS
            await stroke(self._clock, rest)

    async def close(self) -> None:
        """Close the connection; for after ``run`` has ended."""
        await self._link.close()

    async def write(self) -> None:
        """Write what changed since the last call, or the whole; UnavailableError."""
        await self._ownership.hold()
        await self._ownership.wake()
        if not self._link.is_open:
            self._is_whole = False
            await self._link.open()
        if not self._is_whole:
            await self._remove(self._twins.take_changes().removed)  # what changes from here on comes with the next ones
            await self._write_whole()
            return
        changes = self._twins.take_changes(ROWS_PER_SECOND)
        await self._remove(changes.removed)  # first: one of the same name may have come since, and have spoken
        await self._write_rows(changes.changed)

    def _fall_behind(self, error: UnavailableError) -> None:
        self.last_error = str(error)
        if self.behind_since is None:
            self.behind_since = self._clock.monotonic_ns()
            log.warning("twins_refused", reason=self.last_error)

    async def _write_rows(self, changed: Iterator[Twin]) -> None:
        while some := [*islice(changed, ROWS_PER_WRITE)]:
            sites = [(site, self._fields(rows)) for site, rows in _by_site(some).items()]
            await self._send([part for site, fields in sites for part in self._pack(twin_key(site), fields)])

    async def _remove(self, gone: Sequence[tuple[str, str]]) -> None:
        self._gone += gone
        await self._send([pack("HDEL", twin_key(site), name) for site, name in self._gone])
        self.removed += len(self._gone)
        self._gone.clear()

    async def _write_whole(self) -> None:
        self._is_whole = True  # until one who hears of a loss meanwhile says otherwise
        for site in self._twins.sites():
            key, draft = twin_key(site), twin_draft_key(site, self._ownership.partition)
            rows, before = self._twins.of_site(site), self.written
            await self._send([pack("DEL", draft)])
            for start in range(0, len(rows), ROWS_PER_WRITE):
                await self._send(self._pack(draft, self._fields(rows[start : start + ROWS_PER_WRITE])))
            await self._send([pack("RENAME", draft, key) if self.written > before else pack("DEL", key)])
        self.wholes += 1

    def _fields(self, rows: Sequence[Twin]) -> list[str | bytes]:
        """Return rows as they are written; one that cannot be encoded costs itself, not the others."""
        fields = twin_fields(rows)
        self.rejected += len(rows) - len(fields) // 2
        return fields

    def _pack(self, key: str, fields: Sequence[str | bytes]) -> list[bytes]:
        """Return the command that writes rows, if there are any."""
        self.written += len(fields) // 2
        return [pack("HSET", key, *fields)] if fields else []

    async def _send(self, packed: Sequence[bytes]) -> None:
        if packed:
            for answer in await self._link.exchange(packed, len(packed)):
                checked(answer)


def _by_site(twins: Iterable[Twin]) -> dict[str, list[Twin]]:
    sites: dict[str, list[Twin]] = {}
    for twin in twins:
        sites.setdefault(twin.site, []).append(twin)
    return sites
