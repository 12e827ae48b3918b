"""Shows twins in Redis: the whole of each site on every new connection, then once a second what changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import structlog

from hub.clock import Clock
from hub.errors import UnavailableError
from hub.model import Twin
from hub.sinks.ownership import Ownership
from hub.sinks.redis_link import Link, checked, pack
from hub.sinks.streams import twin_draft_key, twin_fields, twin_key

WRITE_EVERY_SECONDS = 1.0
ROWS_PER_WRITE = 500  # about 1 ms of encoding between two turns of the loop

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TwinChanges:
    """Rows to write, each as it is when its turn comes, and (site, name) to remove; no row is in both."""

    changed: Iterator[Twin]
    removed: Sequence[tuple[str, str]]


class Twins(Protocol):
    """The twins of the partition, as the engine holds them."""

    def take_changes(self) -> TwinChanges:
        """Return what changed since the last call, each row once with its newest content."""
        ...

    def sites(self) -> Sequence[str]:
        """Return every site of the partition, also one without twins."""
        ...

    def of_site(self, site: str) -> Sequence[Twin]:
        """Return all rows of a site."""
        ...


class TwinSink:
    """The sink of ``hub:twin:{site}``.

    Counts: ``written``, ``removed`` and ``rejected`` rows, ``wholes`` (full writes).

    Nothing is owed: after a failure the whole is written again. A loser of the partition stops writing.
    """

    def __init__(self, link: Link, clock: Clock, ownership: Ownership, twins: Twins) -> None:
        self.written = 0
        self.removed = 0
        self.rejected = 0
        self.wholes = 0
        self._link = link
        self._clock = clock
        self._ownership = ownership
        self._twins = twins
        self._is_whole = False

    async def run(self) -> None:
        """Write once a second until cancelled, or until the partition is lost."""
        while not self._ownership.is_lost:
            try:
                await self._write()
            except UnavailableError as error:
                self._is_whole = False
                log.debug("twins_missed", reason=str(error))
            await self._clock.sleep(WRITE_EVERY_SECONDS)

    async def close(self) -> None:
        """Close the connection; for after ``run`` has ended."""
        await self._link.close()

    async def _write(self) -> None:
        await self._ownership.hold()
        await self._ownership.wake()
        if not self._link.is_open:
            self._is_whole = False
            await self._link.open()
        # Taken before the whole is read: what changes from here on comes again with the next changes.
        changes = self._twins.take_changes()
        if self._is_whole:
            await self._write_changes(changes)
        else:
            await self._write_whole()

    async def _write_changes(self, changes: TwinChanges) -> None:
        while some := [*islice(changes.changed, ROWS_PER_WRITE)]:
            sites: dict[str, list[Twin]] = {}
            for twin in some:
                sites.setdefault(twin.site, []).append(twin)
            await self._send([part for site, rows in sites.items() for part in self._pack(twin_key(site), rows)])
        await self._send([pack("HDEL", twin_key(site), name) for site, name in changes.removed])
        self.removed += len(changes.removed)

    async def _write_whole(self) -> None:
        for site in self._twins.sites():
            key, draft = twin_key(site), twin_draft_key(site, self._ownership.partition)
            rows = self._twins.of_site(site)
            await self._send([pack("DEL", draft)])
            for start in range(0, len(rows), ROWS_PER_WRITE):
                await self._send(self._pack(draft, rows[start : start + ROWS_PER_WRITE]))
            await self._send([pack("DEL", key) if not rows else pack("RENAME", draft, key)])
        self._is_whole = True
        self.wholes += 1

    def _pack(self, key: str, rows: Sequence[Twin]) -> list[bytes]:
        """Return the command that writes rows; one that cannot be encoded costs itself, not the others."""
        fields = twin_fields(rows)
        self.written += len(fields) // 2
        self.rejected += len(rows) - len(fields) // 2
        return [pack("HSET", key, *fields)] if fields else []

    async def _send(self, packed: Sequence[bytes]) -> None:
        if packed:
            for answer in await self._link.exchange(packed, len(packed)):
                checked(answer)
