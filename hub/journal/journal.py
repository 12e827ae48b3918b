"""The journal: append and fsync what was heard, read it again in order, trim what nobody needs."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple, Self

from hub.end_mark import EndMark
from hub.errors import CorruptError, UnavailableError
from hub.failpoints import NEVER, Failpoints, Place
from hub.journal.bodies import (
    LAID_AHEAD,
    LAID_AT_ONCE,
    NOTHING_NAMED,
    Names,
    lay_bodies,
    put_bodies,
    read_names,
    sweep_bodies,
)
from hub.journal.files import RESTORE, SqliteFile
from hub.journal.gaps import Gap, Gaps, read_gaps, write_gap
from hub.journal.records import COLUMNS, Decode, Row, bodies_of, from_row, to_row
from hub.journal.room import LOW_BYTES, Need, Past, Room, Untrimmed, free_bytes
from hub.model.records import Batch, Record

SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE records (
    position INTEGER PRIMARY KEY, t INTEGER NOT NULL, received_at INTEGER NOT NULL,
    body BLOB NOT NULL, checksum INTEGER NOT NULL
);
CREATE TABLE bodies (hash TEXT PRIMARY KEY, body BLOB NOT NULL, checksum INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE gaps (
    first INTEGER PRIMARY KEY, beyond INTEGER NOT NULL, t INTEGER NOT NULL, received_at INTEGER NOT NULL,
    checksum INTEGER NOT NULL
)
"""
VERSION = "1"
BYTES_PER_READ = 4 * 1024 * 1024
ROWS_PER_READ = 1_000
ROWS_PER_TRIM = 4
"""And two for each that is appended, so that trimming always gets ahead of a flood."""
MEASURE_EVERY_BYTES = 64 * 1024
"""How much is appended between two looks at the file's pages: a look costs an append 34 of its 500 us."""


class _Appended(NamedTuple):
    rows: list[Row]
    trimmed: int
    first: int
    names: Names
    is_low: bool


class Journal:
    """One partition's append-only file. Every append is one fsynced transaction.

    ``first`` and ``last`` are positions (``last`` + 1 comes next); ``last_t`` and ``last_received_at`` the moment of
    the last message. Counts: ``appended_records``, ``trimmed_records``; ``size_bytes`` is what the
    file used when it was last measured, ``untrimmed_bytes`` what no checkpoint covers. ``past`` tells of a disk that is
    nearly full.
    """

    def __init__(
        self,
        path: Path,
        partition: str,
        decode: Decode,
        *,
        must_exist: bool = False,
        free: Callable[[Path], int] = free_bytes,
    ) -> None:
        self._mark = EndMark(path.with_suffix(".end"))
        self._must_exist = must_exist or self._mark.path.exists()
        self._file = SqliteFile(path, SCHEMA, must_exist=self._must_exist)
        self.thread = self._file.thread
        self._partition = partition
        self._decode = decode
        self._room = Room(path.parent, free)
        self.past = Past()
        self._gaps = Gaps()
        self._untrimmed = Untrimmed()
        self._page_bytes = 0
        self._free_pages_bytes = 0
        self._unmeasured_bytes = 0
        self._names = NOTHING_NAMED
        self._laid: dict[str, int] = {}
        self._front = (0, 0)
        self.id = ""
        self.first = 1
        self.last = 0
        self.last_t = 0
        self.last_received_at = 0
        self.size_bytes = 0
        self.appended_records = 0
        self.trimmed_records = 0

    async def __aenter__(self) -> Self:
        """Open the file; CorruptError when it is damaged, shorter than it was, or of another partition or version."""
        await self._file.__aenter__()
        try:
            await self._file.run(self._begin)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close the file."""
        await self._file.__aexit__(*exc)
        self._mark.close()

    @property
    def is_whole(self) -> bool:
        """True while nothing was trimmed: the state can be made from the journal alone."""
        return self.first == self.after(0)

    @property
    def began(self) -> int:
        """The mark of its last gap."""
        return self._gaps.last.mark

    @property
    def untrimmed_bytes(self) -> int:
        """Bytes of the records that no checkpoint covers, as of the last append."""
        return self._untrimmed.bytes

    def after(self, position: int) -> int:
        """Return the position that follows ``position``: the next one, except before a gap."""
        return self._gaps.after(position)

    # --------------------------------------------------------------------------------------------------------- opening

    def _begin(self, connection: sqlite3.Connection) -> None:
        meta = dict(connection.execute("SELECT name, value FROM meta WHERE name IN ('id', 'partition', 'version')"))
        if not meta and not self._must_exist:
            meta = {"id": str(uuid.uuid4()), "partition": self._partition, "version": VERSION}
            connection.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
        if meta.get("partition") != self._partition or meta.get("version") != VERSION or "id" not in meta:
            message = f"this journal is of partition {meta.get('partition')!r}, version {meta.get('version')!r}"
            raise self._corrupt("foreign_journal", message)
        self.id = meta["id"]
        self._gaps = read_gaps(connection)
        self._find_ends(connection)
        self._check_mark()
        self._names = read_names(connection, self.last)
        self._page_bytes = connection.execute("PRAGMA page_size").fetchone()[0]
        self._measure(connection)

    def _find_ends(self, connection: sqlite3.Connection) -> None:
        gap = self._gaps.last
        self.last, self.last_t, self.last_received_at = gap.beyond - 1, gap.t, gap.received_at
        self.first = gap.beyond
        row = connection.execute(f"SELECT {COLUMNS} FROM records ORDER BY position DESC LIMIT 1").fetchone()  # noqa: S608 -- a constant
        if row is None:
            return
        record = from_row(row, self._decode, partial(bodies_of, connection))
        self.first = connection.execute("SELECT min(position) FROM records").fetchone()[0]
        if record.position >= self.last:
            self._end_at(record)

    def _check_mark(self) -> None:
        journal, position = self._mark.read() or (self.id, 0)
        if journal != self.id:
            message = f"{self._mark.path.name} belongs to journal {journal}, this one is {self.id}"
            raise self._corrupt("foreign_mark", message)
        if position > self.last:
            message = f"it ends at record {self.last}, but record {position} has been acknowledged"
            raise self._corrupt("journal_shortened", message)

    def _corrupt(self, code: str, message: str) -> CorruptError:
        return CorruptError(code, message, file=str(self._file.path), hint=RESTORE)

    def _measure(self, connection: sqlite3.Connection) -> None:
        pages, free = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count"))
        self.size_bytes = (pages - free) * self._page_bytes
        self._free_pages_bytes = free * self._page_bytes
        self._unmeasured_bytes = 0

    def _end_at(self, record: Record) -> None:
        more = max(0, len(record.messages) - 1)
        self.last, self.last_t, self.last_received_at = record.position, record.t + more, record.received_at + more

    # ------------------------------------------------------------------------------------------------------- appending

    async def append(
        self,
        records: Sequence[Record],
        *,
        trim_to: int = 0,
        limits: tuple[int, int] = (0, 0),
        outbox_bytes: int = 0,
    ) -> None:
        """Append ``records`` (positions already given, without gap) and fsync, all or none.

        UnavailableError: ``disk_full`` and its like; ``journal_full`` when what waits to be delivered (records behind
        ``trim_to``, and ``outbox_bytes``) reaches ``limits[1]`` bytes. Only batches are refused, and while the last
        16 MiB of either are untouched; records without messages go into those, and beyond the limit.

        In the same transaction a few old records go: those up to ``trim_to`` that are older than ``limits[0]``
        (t: no wrong clock moves it), or any when all together is above ``limits[1]`` or the disk is nearly full. So do
        a few of the bodies that none of the others names.
        """
        if not records:
            return
        oldest, limit = limits
        self._untrimmed.cover(trim_to)
        has_messages = any(isinstance(record.body, Batch) for record in records)

        def write(connection: sqlite3.Connection) -> _Appended:
            rows = [to_row(record) for record in records]
            size = sum(len(row[3]) for row in rows)
            free = self._room.left(records[-1].t, size) + self._free_pages_bytes
            need = Need(records=self._untrimmed.bytes, outbox=outbox_bytes, limit=limit)
            need.check(size, free, has_messages=has_messages)
            names = put_bodies(connection, self._names, records, self._laid)
            connection.executemany("INSERT INTO records VALUES (?, ?, ?, ?, ?)", rows)
            self._unmeasured_bytes += size
            is_low = free < LOW_BYTES
            is_over = is_low or 0 < limit < self.size_bytes + self._unmeasured_bytes + outbox_bytes
            trimmed, first = self._trim(connection, trim_to, None if is_over else oldest, len(rows))
            names = sweep_bodies(connection, names, first, records[-1].position, has_room=not is_low)
            if trimmed or self._unmeasured_bytes >= MEASURE_EVERY_BYTES:
                self._measure(connection)
            return _Appended(rows, trimmed, first, names, is_low)

        done = await self._file.run(write, lambda: self._mark.write(self.id, records[-1].position))
        self._untrimmed.add([(row[0], len(row[3])) for row in done.rows])
        self.first, self._names = done.first, done.names
        self.trimmed_records += done.trimmed
        self.past.tell(is_low=done.is_low, trimmed=done.trimmed, first=done.first)
        self.appended_records += len(done.rows)
        self._end_at(records[-1])
        if self._laid and any(record.bodies for record in records):
            self._laid = {}

    async def lay_down(self, bodies: Mapping[str, bytes], failpoints: Failpoints = NEVER) -> None:
        """Write many ``bodies`` ahead of the record that will name them, a few at a time: appends go in between.

        What cannot be written now goes with the record. Where that never comes, they go as all that no record names.
        """
        waiting = sorted(bodies)
        for start in range(0, len(waiting) if len(waiting) > LAID_AT_ONCE else 0, LAID_AT_ONCE):
            some = {digest: bodies[digest] for digest in waiting[start : start + LAID_AT_ONCE]}
            position = self.last + LAID_AHEAD
            if self._room.ask() < LOW_BYTES:
                return
            try:
                await self._file.run(partial(lay_bodies, bodies=some, position=position))
            except UnavailableError:
                return
            self._laid |= dict.fromkeys(some, position)
            failpoints.reach(Place.LAID_DOWN)

    def _trim(self, connection: sqlite3.Connection, trim_to: int, oldest: int | None, appended: int) -> tuple[int, int]:
        """Remove a few records from the front (any age for None); return how many, and the first that stays.

        While that one is known to be too young nobody looks: 25 of an append's 600 us.
        """
        position, t = self._front
        is_young = oldest is not None and position == self.first and t >= oldest
        if is_young or trim_to < self.first:
            return 0, self.first
        front = connection.execute(
            "SELECT position, t FROM records WHERE position <= ? ORDER BY position LIMIT ?",
            (trim_to, ROWS_PER_TRIM + 2 * appended),
        ).fetchall()
        old = list(takewhile(lambda row: oldest is None or row[1] < oldest, front))
        self._front = (*front, (0, 0))[len(old)]
        if not old:
            return 0, self.first
        connection.execute("DELETE FROM records WHERE position <= ?", (old[-1][0],))
        return len(old), connection.execute("SELECT min(position) FROM records").fetchone()[0]

    async def count_untrimmed(self, checkpoint: int) -> None:
        """Count what an earlier process left behind ``checkpoint``, until one covers all of it; once, at start."""
        query = "SELECT coalesce(sum(length(body)), 0) FROM records WHERE position > ?"
        older: int = await self._file.read(lambda connection: connection.execute(query, (checkpoint,)).fetchone()[0])
        self._untrimmed.add([(self.last, older)])

    async def start_above(self, position: int) -> None:
        """Give no record from here on a position up to ``position``; nothing changes when that is so already."""
        if position <= self.last:
            return
        gap = Gap(self.last + 1, position + 1, self.last_t, self.last_received_at)
        is_empty = self.first > self.last
        await self._file.run(lambda connection: write_gap(connection, gap), lambda: self._mark.write(self.id, position))
        self._gaps.add(gap)
        self.last = position
        if is_empty:
            self.first = position + 1

    # --------------------------------------------------------------------------------------------------------- reading

    async def read(self, after: int) -> AsyncIterator[Record]:
        """Yield the records behind position ``after`` in order; CorruptError for a damaged or missing one."""
        expected = self.after(after)
        while expected <= self.last:
            for record in await self._file.read(partial(self._read, expected)):
                if record.position != expected:
                    raise self._corrupt("gap_in_journal", f"record {expected} is missing")
                yield record
                expected = self.after(expected)

    def _read(self, start: int, connection: sqlite3.Connection) -> list[Record]:
        rows = connection.execute(
            f"SELECT {COLUMNS} FROM records WHERE position >= ? ORDER BY position LIMIT ?",  # noqa: S608 -- a constant
            (start, ROWS_PER_READ),
        )
        found: list[Record] = []
        size = 0
        for row in rows:
            found.append(from_row(row, self._decode, partial(bodies_of, connection)))
            size += len(row[3])
            if size >= BYTES_PER_READ:
                break
        if not found:
            raise self._corrupt("gap_in_journal", f"record {start} is missing")
        return found
