"""The epoch under which a process owns its partition, on its way into the state file: the hint of the next start."""

from __future__ import annotations

import structlog

from hub.clock import Clock
from hub.errors import UnavailableError
from hub.journal.state_file import StateFile

RETRY_SECONDS = 1.0

log = structlog.get_logger(__name__)


class Epochs:
    """``last`` is what the state file knows; ``run`` writes what it is to ``keep``, and waits for the disk."""

    def __init__(self, state_file: StateFile, last: int, clock: Clock) -> None:
        self.last = last
        self._state_file = state_file
        self._clock = clock
        self._unwritten: list[int] = []

    def keep(self, epoch: int) -> None:
        """Note that the partition is ours under ``epoch``."""
        self._unwritten.append(epoch)

    async def run(self) -> None:
        """Write what was noted, until cancelled."""
        while True:
            try:
                while self._unwritten:
                    await self._state_file.keep_epoch(self._unwritten[0])
                    self.last = self._unwritten.pop(0)
            except UnavailableError as error:  # a full disk: only a start without Redis would ask for it
                log.warning("epoch_held_up", reason=str(error))
            await self._clock.sleep(RETRY_SECONDS)
