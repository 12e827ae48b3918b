"""The journal: append and fsync what was heard, read it again in order, trim what nobody needs."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Self

from hub.errors import CorruptError
from hub.journal.files import SqliteFile
from hub.journal.records import Decode, from_row, to_row
from hub.model import Record, Revision

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS records (
    position INTEGER PRIMARY KEY, t INTEGER NOT NULL, received_at INTEGER NOT NULL,
    body BLOB NOT NULL, checksum INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS bodies (hash TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
"""
VERSION = "1"
ROWS_PER_READ = 64
ROWS_PER_TRIM = 4
RESERVED_BYTES = 16 * 1024 * 1024
"""Kept free below the size limit for ticks, outcomes and control (engine.md, Retention)."""


class Journal:
    """One partition's append-only file. Every append is one fsynced transaction."""

    def __init__(self, path: Path, partition: str, decode: Decode, *, must_exist: bool = False) -> None:
        self._file = SqliteFile(path, SCHEMA, must_exist=must_exist)
        self._partition = partition
        self._decode = decode
        self.id = ""
        self.first = 1
        self.last = 0
        self.last_t = 0
        self.last_received_at = 0
        self.size_bytes = 0
        self.appended_records = 0
        self.trimmed_records = 0

    async def __aenter__(self) -> Self:
        """Open the file; CorruptError when it is damaged, of another partition or of another version."""
        await self._file.__aenter__()
        await self._file.run(self._begin)
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close the file."""
        await self._file.__aexit__(*exc)

    def _begin(self, connection: sqlite3.Connection) -> None:
        meta = dict(connection.execute("SELECT name, value FROM meta"))
        if not meta:
            meta = {"id": str(uuid.uuid4()), "partition": self._partition, "version": VERSION}
            connection.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
        if meta.get("partition") != self._partition or meta.get("version") != VERSION:
            code = "foreign_journal"
            message = f"this journal is of partition {meta.get('partition')!r}, version {meta.get('version')}"
            raise CorruptError(code, message, file=str(self._file.path))
        self.id = meta["id"]
        row = connection.execute("SELECT min(position), max(position), count(*) FROM records").fetchone()
        if row[1] is not None:
            self.first, self.last = row[0], row[1]
            if row[2] != row[1] - row[0] + 1:
                code = "gap_in_journal"
                raise CorruptError(code, f"{row[2]} records from {row[0]} to {row[1]}", file=str(self._file.path))
            self.last_t, self.last_received_at = connection.execute(
                "SELECT t, received_at FROM records WHERE position = ?", (self.last,)
            ).fetchone()
        self._measure(connection)

    def _measure(self, connection: sqlite3.Connection) -> None:
        pages, free, size = (
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        self.size_bytes = (pages - free) * size

    async def append(self, records: Sequence[Record], *, trim_to: int = 0, limits: tuple[int, int] = (0, 0)) -> None:
        """Append ``records`` (positions already given, without gap) and fsync; UnavailableError ``disk_full``.

        In the same transaction at most a few old records go: those up to ``trim_to`` that are older than
        ``limits[0]`` (received_at ns) or stand above the size ``limits[1]`` (bytes).
        """
        rows = [to_row(record) for record in records]
        bodies = [pair for record in records for pair in record.bodies.items()]

        def write(connection: sqlite3.Connection) -> int:
            if bodies:
                connection.executemany("INSERT OR IGNORE INTO bodies VALUES (?, ?)", bodies)
            connection.executemany("INSERT INTO records VALUES (?, ?, ?, ?, ?)", rows)
            self._measure(connection)
            return self._trim(connection, trim_to, *limits) if trim_to >= self.first else 0

        trimmed = await self._file.run(write)
        self.first += trimmed
        self.trimmed_records += trimmed
        self.appended_records += len(rows)
        self.last, self.last_t, self.last_received_at = rows[-1][0], rows[-1][1], rows[-1][2]

    def _trim(self, connection: sqlite3.Connection, trim_to: int, oldest: int, size: int) -> int:
        """Remove a few records from the front; bodies stay: they are small and every revision may name them."""
        over = 0 < size < self.size_bytes
        found = connection.execute(
            "SELECT position FROM records WHERE position <= ? AND (? OR received_at < ?) ORDER BY position LIMIT ?",
            (trim_to, over, oldest, ROWS_PER_TRIM),
        ).fetchall()
        if found and found[0][0] == self.first:
            count = next((i for i, row in enumerate(found) if row[0] != self.first + i), len(found))
            connection.execute("DELETE FROM records WHERE position < ?", (self.first + count,))
            return count
        return 0

    async def read(self, after: int) -> AsyncIterator[Record]:
        """Yield the records behind position ``after`` in order; CorruptError for a damaged or missing one."""
        expected = after + 1
        while expected <= self.last:
            start = expected
            rows = await self._file.run(partial(self._read, start))
            for record in rows:
                if record.position != expected:
                    break
                yield record
                expected += 1
            if expected == start:
                code = "gap_in_journal"
                raise CorruptError(code, f"record {start} is missing", file=str(self._file.path))


    def _read(self, start: int, connection: sqlite3.Connection) -> list[Record]:
        rows = connection.execute(
            "SELECT position, t, received_at, body, checksum FROM records"
            " WHERE position >= ? ORDER BY position LIMIT ?",
            (start, ROWS_PER_READ),
        )
        return [from_row(row, self._decode, partial(_bodies, connection)) for row in rows]

def _bodies(connection: sqlite3.Connection, revision: Revision) -> Mapping[str, bytes]:
    found: dict[str, bytes] = {}
    for digest in dict.fromkeys(revision.put.values()):
        row = connection.execute("SELECT body FROM bodies WHERE hash = ?", (digest,)).fetchone()
        if row is None:
            code = "missing_body"
            raise CorruptError(code, f"the body {digest} of a revision is missing")
        found[digest] = row[0]
    return found
