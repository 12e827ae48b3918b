"""A journal that may be damaged anywhere, read as far as it can be read, and what is missing of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from hub.errors import CorruptError
from hub.journal.bodies import PREFIX
from hub.journal.files import connect
from hub.journal.gaps import Gaps, read_gaps
from hub.journal.records import COLUMNS, Decode, Row, bodies_of, from_row, is_sealed
from hub.model.records import Record

LOOK_AHEAD = 10_000
"""How many positions behind the last known one are tried where the way to them is damaged."""


class Damaged:
    """Read only; records are looked up one by one. An empty or missing file is one without records."""

    def __init__(self, path: Path, decode: Decode) -> None:
        self._decode = decode
        # SQLite would take the WAL of an empty file away.
        is_there = path.exists() and path.stat().st_size
        self._connection = connect(path, read_only=True) if is_there else sqlite3.connect(":memory:")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def tables(self) -> set[tuple[str, str]]:
        """Return (name, SQL) of what is in the file, nothing when it cannot be read."""
        with suppress(sqlite3.DatabaseError):
            return set(self._connection.execute("SELECT name, sql FROM sqlite_master"))
        return set()

    def meta(self) -> dict[str, str]:
        """Return the words about the journal that can be read; those about bodies are made anew."""
        with suppress(sqlite3.DatabaseError):
            return {
                name: value
                for name, value in self._connection.execute("SELECT name, value FROM meta")
                if not str(name).startswith(PREFIX)
            }
        return {}

    def gaps(self) -> Gaps | None:
        """Return the gaps, None when they cannot be read."""
        with suppress(sqlite3.DatabaseError, CorruptError):
            return read_gaps(self._connection)
        return None

    def bodies(self) -> Iterator[tuple[str, bytes, int]]:
        """Yield the documents of revisions that are what was written, as rows."""
        with suppress(sqlite3.DatabaseError):
            for digest, body, seal in self._connection.execute("SELECT hash, body, checksum FROM bodies"):
                if is_sealed(seal, body, digest):
                    yield digest, body, seal

    def records(self, known_to: int) -> Iterator[tuple[Row, Record]]:
        """Yield every record that is what was written, by position; there should be some up to ``known_to``."""
        query = f"SELECT {COLUMNS} FROM records WHERE position > ? ORDER BY position LIMIT 1"  # noqa: S608 -- a constant
        after = 0
        while after < known_to + LOOK_AHEAD:  # known_to grows with what is found
            try:
                row = self._connection.execute(query, (after,)).fetchone()
            except sqlite3.DatabaseError:
                row = (after,)
            if row is None:
                return
            if row[0] <= after:  # no way to the next one, or one that leads back
                after += 1
                continue
            with suppress(CorruptError, sqlite3.DatabaseError):
                yield row, from_row(row, self._decode, partial(bodies_of, self._connection))
                known_to = max(known_to, row[0])
            after = row[0]


@dataclass(frozen=True, slots=True)
class Seen:
    """A record that is what was written."""

    position: int
    received_at: int
    messages: int


@dataclass(slots=True)
class Survey:
    """What is left of a journal behind which the engine's state stands at ``state``; ``highest`` was given once.

    ``bad`` are runs of positions whose record is gone or not what was written; ``t`` and ``received_at`` the last
    moment that is known.
    """

    state: int
    highest: int
    gaps: Gaps
    first: int = 1
    t: int = 0
    received_at: int = 0
    seen: list[Seen] = field(default_factory=list)
    bad: list[tuple[int, int]] = field(default_factory=list)

    def look(self, damaged: Damaged) -> None:
        """Read all of it."""
        expected = self.gaps.after(self.state)
        for row, record in damaged.records(self.highest):
            if not self.seen:
                expected = min(expected, record.position)
            self.first = self.first if self.seen else expected
            self._note_bad(expected, record.position - 1)
            expected = self.gaps.after(record.position)
            self.seen.append(Seen(record.position, record.received_at, len(record.messages)))
            self.t, self.received_at = max(self.t, row[1] + len(record.messages)), record.received_at
            self.highest = max(self.highest, record.position)
        if not self.seen:
            self.first = expected
        self._note_bad(expected, self.highest)
        if (last := self.gaps.last).beyond > (self.seen[-1].position if self.seen else 0):
            self.t, self.received_at = max(self.t, last.t), last.received_at

    def kept(self) -> tuple[int, int]:
        """Return the run of whole records that goes on from the state; the last is before the first for none."""
        first = max((min(last, self.state) + 1 for begin, last in self.bad if begin <= self.state), default=self.first)
        last = min((max(begin, self.state + 1) - 1 for begin, last in self.bad if last > self.state), default=None)
        return first, self.highest if last is None else last

    def _note_bad(self, first: int, last: int) -> None:
        if first <= last:
            self.bad.append((first, last))
