"""The process of a forwarder or notifier: what it opens, its tasks, and the way down."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import structlog

from hub.clock import Clock
from hub.errors import UnavailableError
from hub.journal.files import Lock
from hub.outward.courier import Courier, Patience, Tell
from hub.outward.follower import Follower, Packer
from hub.outward.ledger import Ledger
from hub.outward.parcel import Send
from hub.sinks.redis_link import Link, RedisAddress
from hub.sinks.rounds import Rounds

GRACE_SECONDS = 5.0
"""How long what is on its way at the end may take; without an answer by then it is sent again."""
BEGIN_AGAIN_SECONDS = 1.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """What is to be done: which streams from when on, what is made of them, who sends that, and who is told."""

    directory: Path
    address: RedisAddress
    streams: Sequence[str]
    packer: Packer
    senders: Mapping[str, Send]
    tell: Tell
    since: int | None = None
    anew: bool = False
    patience: Patience = field(default_factory=Patience)


class OutwardProcess:
    """An errand at work. Open it with ``async with``, which takes the lock of its directory; ``run`` until ``stop``."""

    def __init__(self, errand: Errand, clock: Clock) -> None:
        self._errand = errand
        self._clock = clock
        self._stop = asyncio.Event()
        self._opened = AsyncExitStack()

    async def __aenter__(self) -> Self:
        errand = self._errand
        async with AsyncExitStack() as stack:
            stack.enter_context(Lock(errand.directory))
            self.ledger = await stack.enter_async_context(Ledger(errand.directory, self._clock))
            link = Link(errand.address)
            stack.push_async_callback(link.close)
            self.courier = Courier(self.ledger, errand.senders, self._clock, errand.patience, errand.tell)
            rounds = Rounds(link, errand.streams)
            self.follower = Follower(rounds, self.ledger, errand.packer, self.courier, self._clock)
            self._opened = stack.pop_all()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._opened.aclose()

    async def run(self) -> None:
        """Work until ``stop``; errors of a task end it at once."""
        async with asyncio.TaskGroup() as group:
            following = group.create_task(self._follow(), name="hub.outward.follower")
            carrying = group.create_task(self.courier.run(), name="hub.outward.courier")
            await self._stop.wait()
            following.cancel()
            self.courier.stop()
            await asyncio.wait([carrying], timeout=GRACE_SECONDS)
            carrying.cancel()

    def stop(self) -> None:
        """Ask ``run`` to end; what is not delivered waits in the ledger."""
        self._stop.set()

    async def _follow(self) -> None:
        await self._begin()
        log.info("streams_followed", streams=len(self._errand.streams), waiting=self.courier.waiting)
        await self.follower.run()

    async def _begin(self) -> None:
        is_told = False
        while True:
            try:
                return await self.follower.begin(self._errand.since, anew=self._errand.anew)
            except UnavailableError as error:
                if not is_told:
                    log.warning("follower_held_up", reason=str(error))
                is_told = True
                await self._clock.sleep(BEGIN_AGAIN_SECONDS)
