"""Room in the journal: what the size limit and the disk still take, with a reserve that no batch of messages gets."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from hub.errors import UnavailableError

RESERVED_BYTES = 16 * 1024 * 1024
"""Kept free for ticks, outcomes and control (engine.md, Retention)."""
LOW_BYTES = 4 * RESERVED_BYTES
"""With less than that, records that nobody needs go whatever their age is."""
AMPLE_BYTES = 1024 * 1024 * 1024
LOOK_EVERY_NS = 1_000_000_000
"""A disk that has ample room is asked once a second, 24 us of an append's 450; with less, before every append."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What cannot be trimmed: journal records that no checkpoint covers, and undelivered work in the outbox."""

    records: int
    outbox: int
    limit: int

    def check(self, size: int, free: int, *, has_messages: bool) -> None:
        """UnavailableError ``journal_full`` or ``disk_full`` when ``size`` more bytes of messages would be too much.

        The broker keeps those. What is small goes in as long as the disk takes it: by ticks time passes and leases end,
        and no checkpoint is made, which would make room, where nothing is judged. ``free`` is what the disk has.
        """
        if not has_messages:
            return
        left = self.limit - self.records - self.outbox
        if self.limit and left < RESERVED_BYTES + size:
            raise UnavailableError("journal_full", "too much waits to be delivered", left=left, limit=self.limit)
        if free < RESERVED_BYTES + size:
            raise UnavailableError("disk_full", "what is left is kept for ticks, outcomes and control", left=free)


class Untrimmed:
    """The bytes of the records that no checkpoint covers."""

    def __init__(self) -> None:
        self.bytes = 0
        self._records: deque[tuple[int, int]] = deque()

    def add(self, sizes: Sequence[tuple[int, int]]) -> None:
        """Count records by (position, bytes), in order."""
        self._records.extend(sizes)
        self.bytes += sum(size for _, size in sizes)

    def cover(self, position: int) -> None:
        """Forget the records up to ``position``."""
        while self._records and self._records[0][0] <= position:
            self.bytes -= self._records.popleft()[1]


class Past:
    """Tells once when the past begins to go before its time, for want of room on the disk, and when that is over.

    ``is_going`` in between.
    """

    def __init__(self) -> None:
        self.is_going = False

    def tell(self, *, is_low: bool, trimmed: int, first: int) -> None:
        """Hear of an append: whether the disk was low, how many old records went, and which is the first now."""
        if self.is_going and not is_low:
            self.is_going = False
            log.info("journal_past_kept_again", first=first)
        elif is_low and trimmed and not self.is_going:
            self.is_going = True
            hint = "make room on its disk: what is delivered goes whatever retention.age says, and its proof with it"
            log.warning("journal_past_going", first=first, room_below_bytes=LOW_BYTES, hint=hint)


class Room:
    """What the disk of ``path`` has left, as ``free`` says; within a second of a look that found ample room as of then.

    Our own appends are taken off; whoever else fills a disk must write a gibibyte in that second to touch the reserve.
    """

    def __init__(self, path: Path, free: Callable[[Path], int]) -> None:
        self._path = path
        self._free = free
        self._left = 0
        self._look_at = 0

    def ask(self) -> int:
        """Return what is left now."""
        return self._free(self._path)

    def left(self, t: int, size: int) -> int:
        """Return what is left at engine time ``t`` before ``size`` bytes are appended."""
        if self._left < AMPLE_BYTES or t >= self._look_at:
            self._left = self.ask()
            self._look_at = t + LOOK_EVERY_NS
        left = self._left
        self._left -= size
        return left


def free_bytes(path: Path) -> int:
    """Return what the disk that ``path`` is on has left for us."""
    disk = os.statvfs(path)
    return disk.f_bavail * disk.f_frsize
