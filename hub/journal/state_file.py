"""The state file: checkpoint, outbox, dead letters and what the sinks have confirmed, in one SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple, Self, TypeVar

from hub.errors import CorruptError, UnavailableError
from hub.journal.draft import Draft, Piece
from hub.journal.files import RESTORE, SqliteFile, read_rows
from hub.journal.letter_rows import Buried, put_letters, read_letter
from hub.journal.owed_rows import Confirmed, OwedRow, Rows, all_owed, confirm, put_owed
from hub.journal.records import checksum, is_sealed
from hub.journal.room import free_bytes
from hub.model.effects import DeadLetter, Settled

SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL, checksum INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE entries (key TEXT PRIMARY KEY, body BLOB NOT NULL, checksum INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE outbox (
    sink TEXT NOT NULL, record INTEGER NOT NULL, n INTEGER NOT NULL, body BLOB NOT NULL, checksum INTEGER NOT NULL,
    PRIMARY KEY (sink, record, n)
) WITHOUT ROWID;
CREATE TABLE cursors (sink TEXT PRIMARY KEY, record INTEGER NOT NULL, checksum INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE tallies (
    sink TEXT NOT NULL, name TEXT NOT NULL, value INTEGER NOT NULL, checksum INTEGER NOT NULL, PRIMARY KEY (sink, name)
) WITHOUT ROWID;
CREATE TABLE dead_letters (
    number INTEGER PRIMARY KEY, code TEXT NOT NULL, device TEXT NOT NULL, size INTEGER NOT NULL,
    body BLOB NOT NULL, checksum INTEGER NOT NULL
)
"""
META = {"journal", "position", "epoch"}
MAX_DEAD_LETTER_BYTES = 256 * 1024 * 1024
ROWS_IN_ORDER = 20_000
"""So many of a checkpoint are written in the order of their keys, which neighbours share pages by: the rows of 100,000
devices, in the order in which these spoke, cost SQLite twice as much. All in one order, 40 MB would be held for it."""
T = TypeVar("T")


class Saved(NamedTuple):
    """What a state file holds at start: ``position`` 0 means it is new."""

    journal: str
    position: int
    entries: list[tuple[str, bytes]]
    cursors: dict[str, int]
    tallies: dict[str, dict[str, int]]
    epoch: int


class StateFile:
    """``state.sqlite``: a file apart from the journal, so that hearing never waits for its lock.

    Every row has a checksum: SQLite's own checks see a broken page, not a changed value. ``held`` is the
    undelivered work on disk, of each sink, as the last transaction left it. Counts: ``dead_letters_dropped``, oldest
    first, for the sake of ``max_dead_letter_bytes``.
    """

    def __init__(
        self,
        path: Path,
        journal: str,
        *,
        must_exist: bool = False,
        max_dead_letter_bytes: int = MAX_DEAD_LETTER_BYTES,
        free: Callable[[Path], int] = free_bytes,
    ) -> None:
        self._file = SqliteFile(path, SCHEMA, must_exist=must_exist)
        self.path = path
        self.thread = self._file.thread
        self._draft = Draft(path.parent, free)
        self._journal = journal
        self._must_exist = must_exist
        self._max_dead_letter_bytes = max_dead_letter_bytes
        self.held: dict[str, Rows] = {}
        self.dead_letter_bytes = 0
        self.dead_letters_dropped = 0

    async def __aenter__(self) -> Self:
        """Open the file; CorruptError when it is damaged, or ``foreign_state`` when it belongs to another journal."""
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
        self._draft.close()

    def _begin(self, connection: sqlite3.Connection) -> None:
        check = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if check != "ok":
            raise self._corrupt("corrupt_file", str(check))
        if not self._must_exist and connection.execute("SELECT count(*) FROM meta").fetchone()[0] == 0:
            for name, value in (("journal", self._journal), ("position", "0"), ("epoch", "0")):
                _put_meta(connection, name, value)
        found = self._meta(connection)["journal"]
        if found != self._journal:
            message = f"it belongs to journal {found}, the journal beside it is {self._journal}"
            raise self._corrupt("foreign_state", message)
        self.dead_letter_bytes = connection.execute("SELECT coalesce(sum(size), 0) FROM dead_letters").fetchone()[0]
        self._hold(all_owed(connection))

    async def load(self) -> Saved:
        """Return the last checkpoint; CorruptError when the file is damaged."""
        return await self._file.read(self._load)

    def _load(self, connection: sqlite3.Connection) -> Saved:
        meta = self._meta(connection)
        entries = connection.execute("SELECT key, body, checksum FROM entries ORDER BY key").fetchall()
        for key, body, seal in entries:
            self._check("entries", seal, body, key)
        cursors = connection.execute("SELECT sink, record, checksum FROM cursors").fetchall()
        for sink, record, seal in cursors:
            self._check("cursors", seal, b"", sink, record)
        tallies: dict[str, dict[str, int]] = {}
        for sink, name, value, seal in connection.execute("SELECT sink, name, value, checksum FROM tallies"):
            self._check("tallies", seal, b"", sink, name, value)
            tallies.setdefault(sink, {})[name] = value
        return Saved(
            journal=meta["journal"],
            position=int(meta["position"]),
            entries=[(key, body) for key, body, _ in entries],
            cursors={sink: record for sink, record, _ in cursors},
            tallies=tallies,
            epoch=int(meta["epoch"]),
        )

    def _meta(self, connection: sqlite3.Connection) -> dict[str, str]:
        meta: dict[str, str] = {}
        for name, value, seal in connection.execute("SELECT name, value, checksum FROM meta"):
            self._check("meta", seal, b"", name, value)
            meta[name] = value
        if meta.keys() != META:
            raise self._corrupt("corrupt_row", "its table meta is not whole")
        return meta

    def _check(self, table: str, seal: object, body: object, *names: object) -> None:
        if not is_sealed(seal, body, *names):
            raise self._corrupt("corrupt_row", f"the row {names!r} of {table} fails its checksum")

    def _corrupt(self, code: str, message: str) -> CorruptError:
        return CorruptError(code, message, file=str(self._file.path), hint=RESTORE)

    # ------------------------------------------------------------------------------------------------------- checkpoint

    async def checkpoint(
        self,
        position: int,
        entries: Mapping[str, bytes | None],
        outbox: Sequence[OwedRow],
        dead_letters: Sequence[DeadLetter | Settled],
        confirmed: Sequence[Confirmed] = (),
    ) -> None:
        """Write in one transaction the state at ``position``, what sinks took and did not take, and dead letters."""

        def write(connection: sqlite3.Connection) -> tuple[list[Rows], Buried]:
            gone: list[tuple[str]] = []
            connection.executemany("INSERT OR REPLACE INTO entries VALUES (?, ?, ?)", _sealed(entries, gone))
            connection.executemany("DELETE FROM entries WHERE key = ?", gone)
            changes = [confirm(connection, each) for each in confirmed]
            changes += put_owed(connection, outbox)
            _put_meta(connection, "position", str(position))
            return changes, self._bury(connection, dead_letters)

        try:
            changes, buried = await self._file.run(write, self._draft.clear)
        except UnavailableError:  # the draft may hold the very room that the checkpoint lacks
            if not await self._file.call(self._draft.give_back):
                raise
            changes, buried = await self._file.run(write)
        self._hold(changes)
        self._count(buried)

    async def set_aside(self, pieces: Sequence[Piece]) -> None:
        """Hold pieces of the checkpoint that is written next, so that memory need not."""
        if pieces:
            await self._file.call(partial(self._draft.take, pieces))

    async def keep_epoch(self, epoch: int) -> None:
        """Remember the epoch under which this hub owns its partition."""
        await self._file.run(lambda connection: _put_meta(connection, "epoch", str(epoch)))

    # ----------------------------------------------------------------------------------------------------------- outbox

    async def spill(self, outbox: Sequence[OwedRow]) -> None:
        """Write undelivered work ahead of the next checkpoint."""
        self._hold(await self._file.run(lambda connection: put_owed(connection, outbox)))

    async def owed(self, sink: str, after: int, limit_bytes: int) -> list[tuple[int, bytes]]:
        """Return the outbox of ``sink`` behind ``after`` in order, up to ``limit_bytes`` but at least one row."""

        def read(connection: sqlite3.Connection) -> list[tuple[int, bytes]]:
            rows: list[tuple[int, bytes]] = []
            size = 0
            for record, body, seal in connection.execute(
                "SELECT record, body, checksum FROM outbox WHERE sink = ? AND record > ? ORDER BY record", (sink, after)
            ):
                self._check("outbox", seal, body, sink, record)
                rows.append((record, body))
                size += len(body)
                if size >= limit_bytes:
                    break
            return rows

        return await self._file.read(read)

    async def last_owed(self, sink: str) -> int:
        """Return the last record of which the outbox holds work of ``sink``, or 0."""
        query = "SELECT coalesce(max(record), 0) FROM outbox WHERE sink = ?"
        return await self._file.read(lambda connection: connection.execute(query, (sink,)).fetchone()[0])

    async def count_owed(self, sink: str, up_to: int) -> int:
        """Return of how many records up to ``up_to`` the outbox holds work of ``sink``."""
        query = "SELECT count(DISTINCT record) FROM outbox WHERE sink = ? AND record <= ?"
        return await self._file.read(lambda connection: connection.execute(query, (sink, up_to)).fetchone()[0])

    async def confirm(self, confirmed: Confirmed) -> None:
        """Move a cursor and its counts, and forget its outbox up to there, in one transaction; never back."""
        self._hold([await self._file.run(partial(confirm, confirmed=confirmed))])

    @property
    def outbox_bytes(self) -> int:
        """Return how much undelivered work is on disk."""
        return sum(rows.size for rows in self.held.values())

    def _hold(self, changes: Iterable[Rows]) -> None:
        """Take over what a transaction that is on disk has added and taken."""
        for sink, number, size in changes:
            held = self.held.get(sink, Rows(sink, 0, 0))
            self.held[sink] = Rows(sink, held.number + number, held.size + size)

    # ----------------------------------------------------------------------------------------------------- dead letters

    async def bury(self, dead_letters: Sequence[DeadLetter | Settled]) -> None:
        """Write dead letters, and which are none any more, ahead of the next checkpoint; the last word holds."""
        self._count(await self._file.run(lambda connection: self._bury(connection, dead_letters)))

    def _bury(self, connection: sqlite3.Connection, letters: Iterable[DeadLetter | Settled]) -> Buried:
        return put_letters(connection, letters, self.dead_letter_bytes, self._max_dead_letter_bytes)

    async def letters(self, read: Callable[[sqlite3.Connection], T]) -> T:
        """Return what ``read`` finds behind all that was buried."""
        return await self._file.read(read)

    def _count(self, buried: Buried) -> None:
        """Take the new counts over, now that the transaction is on disk."""
        self.dead_letter_bytes = buried.size
        self.dead_letters_dropped += buried.dropped


def _sealed(entries: Mapping[str, bytes | None], gone: list[tuple[str]]) -> Iterator[tuple[str, bytes, int]]:
    """Yield the rows of entries, many at a time in order, and put the keys of those that are removed into ``gone``."""
    found = iter(entries.items())
    while some := sorted(islice(found, ROWS_IN_ORDER), key=itemgetter(0)):
        for key, body in some:
            if body is None:
                gone.append((key,))
            else:
                yield key, body, checksum(body, key)


def _put_meta(connection: sqlite3.Connection, name: str, value: str) -> None:
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?, ?)", (name, value, checksum(b"", name, value)))


def read_dead_letters(path: Path, *, limit: int, before: int | None = None, code: str = "") -> list[DeadLetter]:
    """Return dead letters, newest first, from the file of a running or stopped hub."""
    rows = read_rows(
        path,
        "SELECT number, body, checksum FROM dead_letters WHERE number < ? AND (? = '' OR code = ?)"
        " ORDER BY number DESC LIMIT ?",
        (before if before is not None else 2**62, code, code, limit),
    )
    return [read_letter(row, path) for row in rows]


def read_entry(path: Path, key: str) -> bytes | None:
    """Return an entry of the last checkpoint from the file of a running or stopped hub; None when there is none."""
    for body, seal in read_rows(path, "SELECT body, checksum FROM entries WHERE key = ?", (key,)):
        if not is_sealed(seal, body, key):
            raise CorruptError("corrupt_row", f"entry {key} fails its checksum", file=str(path), hint=RESTORE)
        return bytes(body)
    return None


def read_tallies(path: Path) -> dict[str, dict[str, int]]:
    """Return the counts of the sinks from the file of a running or stopped hub."""
    tallies: dict[str, dict[str, int]] = {}
    for sink, name, value in read_rows(path, "SELECT sink, name, value FROM tallies"):
        tallies.setdefault(sink, {})[name] = value
    return tallies
