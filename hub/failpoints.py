"""Failpoints: named places in the pipeline at which a test may kill the process; a look-up per batch otherwise."""

from __future__ import annotations

import os
import signal
from enum import StrEnum


class Place(StrEnum):
    """The awaits of the pipeline; what is lost or done twice when the process dies there is what tests ask."""

    TAKEN = "taken"
    JOURNALED = "journaled"
    ACKNOWLEDGED = "acknowledged"
    APPLIED = "applied"
    STREAMS_TAKEN = "streams_taken"
    STREAMS_DELIVERED = "streams_delivered"
    TIMESERIES_TAKEN = "timeseries_taken"
    TIMESERIES_DELIVERED = "timeseries_delivered"
    CHECKPOINT_BEGUN = "checkpoint_begun"
    CHECKPOINT_WRITTEN = "checkpoint_written"
    SPILLED = "spilled"  # undelivered work is on the disk ahead of the checkpoint that covers it
    BURIED = "buried"  # dead letters are
    LAID_DOWN = "laid_down"  # some of a revision's bodies are in the journal, and no record names them
    EPOCH_CLAIMED = "epoch_claimed"  # Redis has given an epoch, and the state file does not know it
    EPOCH_KEPT = "epoch_kept"
    COMMAND_TOLD = "command_told"  # what became of a command is known, and in no journal yet


class Failpoints:
    """Kills this process (SIGKILL) the n-th time a place is reached; ``wish`` is ``place:n``, empty for never."""

    def __init__(self, wish: str = "") -> None:
        place, _, count = wish.partition(":")
        self._place = Place(place) if place else None
        self._left = int(count or 1)

    def reach(self, place: Place) -> None:
        """Die here, if that was the wish."""
        if place is self._place:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


NEVER = Failpoints()
