"""The state file: checkpoint, outbox, dead letters and what the sinks have confirmed, in one SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import msgspec

from hub.errors import CorruptError
from hub.journal.files import SqliteFile, connect
from hub.model import DeadLetter

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outbox (
    sink TEXT NOT NULL, record INTEGER NOT NULL, n INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (sink, record, n)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS cursors (sink TEXT PRIMARY KEY, record INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tallies (
    sink TEXT NOT NULL, name TEXT NOT NULL, value INTEGER NOT NULL, PRIMARY KEY (sink, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS dead_letters (
    number INTEGER PRIMARY KEY, code TEXT NOT NULL, device TEXT NOT NULL, size INTEGER NOT NULL, body BLOB NOT NULL
);
"""
MAX_DEAD_LETTER_BYTES = 256 * 1024 * 1024
OutboxRow = tuple[str, int, bytes]
"""(sink, record position, encoded work)"""


class Saved(NamedTuple):
    """What a state file holds at start: ``position`` 0 means it is new."""

    journal: str
    position: int
    entries: list[tuple[str, bytes]]
    cursors: dict[str, int]
    tallies: dict[str, dict[str, int]]
    epoch: int


class StateFile:
    """``state.sqlite``: a file apart from the journal, so that hearing never waits for its lock."""

    def __init__(self, path: Path, journal: str, *, must_exist: bool = False) -> None:
        self._file = SqliteFile(path, SCHEMA, must_exist=must_exist)
        self._journal = journal
        self.dead_letter_bytes = 0
        self.dead_letters_dropped = 0

    async def __aenter__(self) -> Self:
        """Open the file; CorruptError ``foreign_state`` when it belongs to another journal."""
        await self._file.__aenter__()
        await self._file.run(self._begin)
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close the file."""
        await self._file.__aexit__(*exc)

    def _begin(self, connection: sqlite3.Connection) -> None:
        connection.execute("INSERT OR IGNORE INTO meta VALUES ('journal', ?)", (self._journal,))
        connection.execute("INSERT OR IGNORE INTO meta VALUES ('position', '0'), ('epoch', '0')")
        found = connection.execute("SELECT value FROM meta WHERE name = 'journal'").fetchone()[0]
        if found != self._journal:
            code = "foreign_state"
            message = f"it belongs to journal {found}, the journal beside it is {self._journal}"
            raise CorruptError(code, message, file=str(self._file.path))
        self.dead_letter_bytes = connection.execute("SELECT coalesce(sum(size), 0) FROM dead_letters").fetchone()[0]

    async def load(self) -> Saved:
        """Return the last checkpoint; CorruptError when the file is damaged."""

        def read(connection: sqlite3.Connection) -> Saved:
            check = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if check != "ok":
                code = "corrupt_file"
                raise CorruptError(code, str(check), file=str(self._file.path))
            meta = dict(connection.execute("SELECT name, value FROM meta"))
            tallies: dict[str, dict[str, int]] = {}
            for sink, name, value in connection.execute("SELECT sink, name, value FROM tallies"):
                tallies.setdefault(sink, {})[name] = value
            return Saved(
                journal=meta["journal"],
                position=int(meta["position"]),
                entries=list(connection.execute("SELECT key, body FROM entries ORDER BY key")),
                cursors=dict(connection.execute("SELECT sink, record FROM cursors")),
                tallies=tallies,
                epoch=int(meta["epoch"]),
            )

        return await self._file.run(read)

    async def checkpoint(
        self,
        position: int,
        entries: Mapping[str, bytes | None],
        outbox: Sequence[OutboxRow],
        dead_letters: Sequence[DeadLetter],
    ) -> None:
        """Write in one transaction the state at ``position``, what no sink has confirmed, and the dead letters."""

        def write(connection: sqlite3.Connection) -> None:
            connection.executemany(
                "INSERT OR REPLACE INTO entries VALUES (?, ?)",
                [(key, body) for key, body in entries.items() if body is not None],
            )
            connection.executemany(
                "DELETE FROM entries WHERE key = ?", [(key,) for key, body in entries.items() if body is None]
            )
            _put_outbox(connection, outbox)
            self._put_dead_letters(connection, dead_letters)
            connection.execute("UPDATE meta SET value = ? WHERE name = 'position'", (str(position),))

        await self._file.run(write)

    async def spill(self, outbox: Sequence[OutboxRow]) -> None:
        """Write undelivered work ahead of the next checkpoint."""
        await self._file.run(lambda connection: _put_outbox(connection, outbox))

    async def owed(self, sink: str, after: int, limit_bytes: int) -> list[tuple[int, bytes]]:
        """Return the outbox of ``sink`` behind ``after`` in order, up to ``limit_bytes`` but at least one row."""

        def read(connection: sqlite3.Connection) -> list[tuple[int, bytes]]:
            rows: list[tuple[int, bytes]] = []
            size = 0
            for record, body in connection.execute(
                "SELECT record, body FROM outbox WHERE sink = ? AND record > ? ORDER BY record", (sink, after)
            ):
                rows.append((record, body))
                size += len(body)
                if size >= limit_bytes:
                    break
            return rows

        return await self._file.run(read)

    async def last_owed(self, sink: str) -> int:
        """Return the last record of which the outbox holds work of ``sink``, or 0."""
        return await self._file.run(
            lambda connection: connection.execute(
                "SELECT coalesce(max(record), 0) FROM outbox WHERE sink = ?", (sink,)
            ).fetchone()[0]
        )

    async def confirm(self, sink: str, record: int, tally: Mapping[str, int]) -> None:
        """Move the cursor of ``sink`` and its counts, and forget its outbox up to there, in one transaction."""

        def write(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR REPLACE INTO cursors VALUES (?, ?)", (sink, record))
            connection.execute("DELETE FROM outbox WHERE sink = ? AND record <= ?", (sink, record))
            connection.executemany(
                "INSERT INTO tallies VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = value + excluded.value",
                [(sink, name, value) for name, value in tally.items()],
            )

        await self._file.run(write)

    async def keep_epoch(self, epoch: int) -> None:
        """Remember the epoch under which this hub owns its partition."""
        await self._file.run(
            lambda connection: connection.execute("UPDATE meta SET value = ? WHERE name = 'epoch'", (str(epoch),))
        )

    async def bury(self, dead_letters: Sequence[DeadLetter]) -> None:
        """Write dead letters ahead of the next checkpoint; a known number is ignored."""
        await self._file.run(lambda connection: self._put_dead_letters(connection, dead_letters))

    def _put_dead_letters(self, connection: sqlite3.Connection, letters: Iterable[DeadLetter]) -> None:
        for letter in letters:
            body = msgspec.msgpack.encode(letter)
            row = (letter.number, letter.code, f"{letter.site}/{letter.device}", len(body), body)
            if connection.execute("INSERT OR IGNORE INTO dead_letters VALUES (?, ?, ?, ?, ?)", row).rowcount > 0:
                self.dead_letter_bytes += len(body)
        while self.dead_letter_bytes > MAX_DEAD_LETTER_BYTES:
            number, size = connection.execute(
                "SELECT number, size FROM dead_letters ORDER BY number LIMIT 1"
            ).fetchone()
            connection.execute("DELETE FROM dead_letters WHERE number = ?", (number,))
            self.dead_letter_bytes -= size
            self.dead_letters_dropped += 1


def _put_outbox(connection: sqlite3.Connection, rows: Sequence[OutboxRow]) -> None:
    cursors = dict(connection.execute("SELECT sink, record FROM cursors"))
    connection.executemany(
        "INSERT OR IGNORE INTO outbox VALUES (?, ?, 0, ?)",
        [row for row in rows if row[1] > cursors.get(row[0], 0)],
    )


def read_dead_letters(path: Path, *, limit: int, before: int | None = None, code: str = "") -> list[DeadLetter]:
    """Return dead letters, newest first, from the file of a running or stopped hub."""
    connection = connect(path, read_only=True)
    try:
        rows = connection.execute(
            "SELECT body FROM dead_letters WHERE number < ? AND (? = '' OR code = ?) ORDER BY number DESC LIMIT ?",
            (before if before is not None else 2**62, code, code, limit),
        ).fetchall()
    finally:
        connection.close()
    return [msgspec.msgpack.decode(row[0], type=DeadLetter) for row in rows]


def read_tallies(path: Path) -> dict[str, dict[str, int]]:
    """Return the counts of the sinks from the file of a running or stopped hub."""
    connection = connect(path, read_only=True)
    try:
        tallies: dict[str, dict[str, int]] = {}
        for sink, name, value in connection.execute("SELECT sink, name, value FROM tallies"):
            tallies.setdefault(sink, {})[name] = value
    finally:
        connection.close()
    return tallies
