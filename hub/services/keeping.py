"""Keeping a service: it is started again when it ends, for as long as somebody needs it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

import structlog

from hub.clock import Clock
from hub.errors import HubError

AGAIN_SECONDS = 1.0

log = structlog.get_logger(__name__)


class Endable(Protocol):
    """A service that runs and may end, wanted or not."""

    async def wait(self) -> int:
        """Return its return code when it has ended."""


@asynccontextmanager
async def kept(make: Callable[[], AbstractAsyncContextManager[Endable]], clock: Clock) -> AsyncIterator[None]:
    """Run what ``make`` returns for the length of an ``async with``, ready at first, started again whenever it ends.

    Valkey with ``appendfsync always`` leaves when the disk is full, and comes back with all that it acknowledged.
    """
    ready = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        keeper = group.create_task(_keep(make, clock, ready), name="hub.services.keeping")
        await ready.wait()
        yield
        keeper.cancel()


async def _keep(make: Callable[[], AbstractAsyncContextManager[Endable]], clock: Clock, ready: asyncio.Event) -> None:
    while True:
        try:
            async with make() as service:
                ready.set()
                log.error("service_ended", returncode=await service.wait())
        except (HubError, OSError) as error:  # a disk that is full has no room for its configuration either
            if not ready.is_set():
                raise
            log.error("service_not_restarted", reason=str(error))  # noqa: TRY400 -- its traceback says nothing more
        await clock.sleep(AGAIN_SECONDS)
