"""Positions that were never given: the journal goes on above what a repair cut or another journal delivered."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from hub.errors import CorruptError
from hub.journal.records import checksum, is_sealed


class Gap(NamedTuple):
    """No record has a position from ``first`` up to, not including, ``beyond``; its end is a moment like a record's."""

    first: int
    beyond: int
    t: int
    received_at: int


class Gaps:
    """The gaps of one journal, in order."""

    def __init__(self, gaps: Iterable[Gap] = ()) -> None:
        self._gaps = list(gaps)

    def __iter__(self) -> Iterator[Gap]:
        return iter(self._gaps)

    @property
    def last(self) -> Gap:
        """The last one; an empty one at 1 when there is none."""
        return self._gaps[-1] if self._gaps else Gap(1, 1, 0, 0)

    def add(self, gap: Gap) -> None:
        """Add one behind all others."""
        self._gaps.append(gap)

    def after(self, position: int) -> int:
        """Return the position that follows ``position``."""
        following = position + 1
        for gap in self._gaps:
            if gap.first <= following < gap.beyond:
                following = gap.beyond
        return following


def read_gaps(connection: sqlite3.Connection) -> Gaps:
    """Return the gaps of a journal; CorruptError ``damaged_gap``."""
    gaps: list[Gap] = []
    for *columns, seal in connection.execute("SELECT first, beyond, t, received_at, checksum FROM gaps ORDER BY first"):
        if not is_sealed(seal, b"", *columns):
            raise CorruptError("damaged_gap", "a gap of the journal fails its checksum")
        gaps.append(Gap(*columns))
    return Gaps(gaps)


def write_gap(connection: sqlite3.Connection, gap: Gap) -> None:
    """Write ``gap``."""
    connection.execute("INSERT INTO gaps VALUES (?, ?, ?, ?, ?)", (*gap, checksum(b"", *gap)))
