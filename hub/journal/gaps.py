"""Positions that were never given: the journal goes on above what was cut or lost, or anew where it was restored."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from hub.errors import CorruptError
from hub.journal.files import connect, is_damage, translate
from hub.journal.records import checksum, is_sealed


class Gap(NamedTuple):
    """No record has a position from ``first`` up to, not including, ``beyond``; its end is a moment like a record's.

    It may be empty: then the journal was restored there, at that moment.
    """

    first: int
    beyond: int
    t: int
    received_at: int

    @property
    def mark(self) -> int:
        """What tells the journal behind it from what else has gone on with the same records, wherever that was."""
        return self.beyond + self.received_at


NONE = Gap(1, 1, 0, 0)
"""Where nothing is missing; its mark is 1."""


class Gaps:
    """The gaps of one journal, in order."""

    def __init__(self, gaps: Iterable[Gap] = ()) -> None:
        self._gaps = list(gaps)

    def __iter__(self) -> Iterator[Gap]:
        return iter(self._gaps)

    @property
    def last(self) -> Gap:
        """The last one; an empty one at 1 when there is none."""
        return self._gaps[-1] if self._gaps else NONE

    def before(self, position: int) -> Gap:
        """Return the last one before ``position``; an empty one at 1 when there is none."""
        return max((gap for gap in self._gaps if gap.beyond <= position), default=NONE)

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
    """Write ``gap``; it takes the place of an empty one."""
    connection.execute("INSERT OR REPLACE INTO gaps VALUES (?, ?, ?, ?, ?)", (*gap, checksum(b"", *gap)))


def begin_anew(path: Path, now: int) -> None:
    """Let the journal at ``path`` go on behind an empty gap: it is a copy, with whose records another has gone on.

    One that is damaged stays as it is. UnavailableError: ``disk_full`` and its like.
    """
    try:
        with closing(connect(path)) as connection:
            query = "SELECT position + 1, t, received_at FROM records ORDER BY position DESC LIMIT 1"
            ends = [read_gaps(connection).last[1:], *connection.execute(query)]
            position, t, received_at = max(ends)
            write_gap(connection, Gap(position, position, t + max(0, now - received_at), now))
    except CorruptError:
        return
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise translate(error, path) from error
