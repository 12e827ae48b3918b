"""What people ask of a running hub, into the audit: who asked, which verb, of what; each request once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog

from hub.clock import Clock
from hub.errors import UnavailableError
from hub.model import Control, Scalar
from hub.registry import audit
from hub.registry.audit import Note
from hub.registry.author import Author, masked
from hub.registry.registry import Registry
from hub.sinks.control import ControlReader
from hub.sinks.redis_link import Link, RedisAddress

log = structlog.get_logger(__name__)

VIA = "control stream"
RETRY_SECONDS = 1.0
_PERSONAL = frozenset({"card", "plate", "person", "value", "face"})


class Auditing:
    """Follows the control stream of a partition by itself, from the last request that the audit knows.

    It waits for the registry as long as it takes; nothing else waits for it. A request is written before its outcome is
    known: that is in the events.
    """

    def __init__(self, registry: Registry, address: RedisAddress, clock: Clock, partition: str) -> None:
        self._registry = registry
        self._link = Link(address)
        self._reader = ControlReader(self._link, clock, partition=partition)
        self._clock = clock
        self._subject = f"control/{partition}/"

    async def run(self) -> None:
        """Write down every request, until cancelled."""
        try:
            position: str | None = None
            while True:
                try:
                    position = await self._last() if position is None else await self._some(position)
                except UnavailableError as error:
                    log.debug("audit_waits", reason=str(error))
                    await self._clock.sleep(RETRY_SECONDS)
        finally:
            await self._link.close()

    async def _last(self) -> str:
        async with self._registry.transaction() as connection:
            found = await audit.lines(connection, what=self._subject, limit=1)
        return str((found[0].after or {}).get("entry", "0-0")) if found else "0-0"

    async def _some(self, position: str) -> str:
        requests: list[Control] = []
        await self._link.open()
        after = await self._reader.read_after(position, requests.append)
        for request in requests:
            await self._write(request)
        return after

    async def _write(self, request: Control) -> None:
        after: dict[str, Any] = {"entry": request.entry, **_unpersonal(request.args)}
        note = Note(what=f"control.{request.verb}", subject=self._subject + request.id, after=after)
        await self._registry.note(note, Author(os_user=VIA, actor=request.actor))


def _unpersonal(args: Mapping[str, Scalar]) -> dict[str, Scalar]:
    return {name: masked(str(value)) if name in _PERSONAL else value for name, value in args.items()}
