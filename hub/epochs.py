"""The epoch under which a process owns its partition, on its way into the state file: the hint of the next start."""

from __future__ import annotations

import asyncio

import structlog

from hub.clock import Clock
from hub.errors import UnavailableError
from hub.failpoints import NEVER, Failpoints, Place
from hub.journal.state_file import StateFile

RETRY_SECONDS = 1.0

log = structlog.get_logger(__name__)


class Epochs:
    """``last`` is what the state file knows; ``run`` writes what it is to ``keep``, and waits for the disk."""

    def __init__(self, state_file: StateFile, last: int, clock: Clock, failpoints: Failpoints = NEVER) -> None:
        self.last = last
        self._state_file = state_file
        self._clock = clock
        self._failpoints = failpoints
        self._unwritten: list[int] = []
        self._noted = asyncio.Event()

    def keep(self, epoch: int) -> None:
        """Note that the partition is ours under ``epoch``."""
        self._unwritten.append(epoch)
        self._noted.set()

    async def run(self) -> None:
        """Write what was noted, until cancelled."""
        while True:
            await self._noted.wait()
            self._noted.clear()
            while self._unwritten:
                await self._write(self._unwritten[0])

    async def _write(self, epoch: int) -> None:
        self._failpoints.reach(Place.EPOCH_CLAIMED)
        try:
            await self._state_file.keep_epoch(epoch)
        except UnavailableError as error:  # a full disk: only a start without Redis would ask for it
            log.warning("epoch_held_up", reason=str(error))
            await self._clock.sleep(RETRY_SECONDS)
        else:
            self.last = self._unwritten.pop(0)
            self._failpoints.reach(Place.EPOCH_KEPT)
