"""Tapes: records in order, out of the journal of a running or stopped hub; nothing is written, nobody is disturbed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from hub.bridge.frames import decode_packets
from hub.errors import ConfigError, UnavailableError
from hub.journal.files import connect, translate
from hub.journal.gaps import Gaps, read_gaps
from hub.journal.neighbours import journal_path
from hub.journal.records import COLUMNS, Row, bodies_of, from_row
from hub.model.records import Record

R = TypeVar("R")

ROWS_PER_READ = 1_000
BYTES_PER_READ = 4 * 1024 * 1024


class Tape(Protocol):
    """Records ``first`` to ``last`` of ``journal``, received from ``begins_at`` to ``ends_at`` (wall ns).

    ``is_whole``: nothing before ``first`` is missing, so that the state can be made from the tape alone. ``began`` is
    the mark of the last gap before ``first``, 1 for none.
    """

    journal: str
    first: int
    last: int
    begins_at: int
    ends_at: int
    is_whole: bool
    began: int

    def read(self, after: int) -> Iterator[Record]:
        """Yield the records behind position ``after`` in order; CorruptError for a damaged one."""
        ...

    def before(self, moment: int) -> int:
        """Return the position of the last record received before ``moment`` (wall ns); ``first`` - 1 when none was."""
        ...

    def find(self, position: int) -> Record | None:
        """Return one record; None when it is not, or no longer, there."""
        ...


class JournalTape:
    """The journal at ``path`` as far as it goes now. Many short reads: a long one would let the hub's WAL grow."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise ConfigError(
                "journal_missing",
                "no hub has worked in this data_dir yet",
                file=str(path),
                hint="run this where the hub runs, or give a recording",
            )
        self._path = path
        self._ask(self._open)

    def _open(self, connection: sqlite3.Connection) -> None:
        self.journal: str = connection.execute("SELECT value FROM meta WHERE name = 'id'").fetchone()[0]
        self._gaps: Gaps = read_gaps(connection)
        ends = connection.execute("SELECT min(position), max(position) FROM records").fetchone()
        self.first: int = ends[0] or self._gaps.last.beyond
        self.last: int = ends[1] or self.first - 1
        query = "SELECT received_at FROM records WHERE position IN (?, ?) ORDER BY position"
        moments = [row[0] for row in connection.execute(query, (self.first, self.last))]
        self.begins_at: int = moments[0] if moments else 0
        self.ends_at: int = moments[-1] if moments else 0
        self.is_whole: bool = self.first == self._gaps.after(0)
        self.began: int = self._gaps.before(self.first).mark

    def read(self, after: int) -> Iterator[Record]:
        """Yield the records behind ``after``; UnavailableError ``journal_trimmed`` when the hub trims them now."""
        expected = max(self._gaps.after(after), self.first)
        while expected <= self.last:
            for record in self._ask(partial(self._page, expected)):
                if record.position != expected:
                    message = f"record {expected} is gone: the hub has trimmed its journal meanwhile"
                    raise UnavailableError("journal_trimmed", message, file=str(self._path))
                yield record
                expected = self._gaps.after(expected)

    def _page(self, start: int, connection: sqlite3.Connection) -> list[Record]:
        found: list[Record] = []
        size = 0
        for row in connection.execute(
            f"SELECT {COLUMNS} FROM records WHERE position BETWEEN ? AND ? ORDER BY position LIMIT ?",  # noqa: S608 -- a constant
            (start, self.last, ROWS_PER_READ),
        ):
            found.append(self._record(connection, row))
            size += len(row[3])
            if size >= BYTES_PER_READ:
                break
        if not found:
            raise UnavailableError("journal_trimmed", f"record {start} is gone", file=str(self._path))
        return found

    @staticmethod
    def _record(connection: sqlite3.Connection, row: Row) -> Record:
        return from_row(row, decode_packets, partial(bodies_of, connection))

    def before(self, moment: int) -> int:
        """Return the last position received before ``moment``, by halving: the wall clock mostly grows."""

        def search(connection: sqlite3.Connection) -> int:
            low, high = self.first - 1, self.last
            query = "SELECT position, received_at FROM records WHERE position > ? ORDER BY position LIMIT 1"
            while low < high:
                middle = (low + high) // 2
                row = connection.execute(query, (middle,)).fetchone()
                if row is None or row[0] > high or row[1] >= moment:
                    high = middle
                else:
                    low = row[0]
            return low

        return self._ask(search)

    def find(self, position: int) -> Record | None:
        """Return one record; None when it is not, or no longer, there."""
        query = f"SELECT {COLUMNS} FROM records WHERE position = ?"  # noqa: S608 -- a constant

        def look(connection: sqlite3.Connection) -> Record | None:
            row = connection.execute(query, (position,)).fetchone()
            return None if row is None else self._record(connection, row)

        return self._ask(look)

    def _ask(self, work: Callable[[sqlite3.Connection], R]) -> R:
        try:
            with closing(connect(self._path, read_only=True)) as connection:
                connection.execute("BEGIN")  # one look: what is read belongs together
                return work(connection)
        except sqlite3.DatabaseError as error:
            raise translate(error, self._path) from error


def tape_of(directory: Path) -> JournalTape:
    """Return the journal of a data directory; ConfigError ``journal_missing``."""
    return JournalTape(journal_path(directory))
