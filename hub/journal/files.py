"""SQLite files as the journal needs them: durable, checked, owned by one process, used from one thread."""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self, TypeVar

from hub.errors import ConfigError, CorruptError, UnavailableError

R = TypeVar("R")

FULL_CODES = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN})
CORRUPT_CODES = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class Lock:
    """An flock on a data directory: one hub at a time."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "lock"
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        """Take the lock; ConfigError ``already_running`` when another process holds it."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            code = "already_running"
            message = "another hub works in this directory"
            raise ConfigError(code, message, file=str(self._path.parent), hint="stop it, or use another data_dir") from error
        self._descriptor = descriptor
        return self

    def __exit__(self, *_exc: object) -> None:
        """Let go."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class SqliteFile:
    """One SQLite file, WAL and ``synchronous=FULL``, on a thread of its own.

    ``run`` executes a function with the connection on that thread and raises UnavailableError ``disk_full`` when the
    disk cannot take it, CorruptError ``corrupt_file`` when the file is damaged.
    """

    def __init__(self, path: Path, schema: str, *, must_exist: bool = False) -> None:
        self.path = path
        self._schema = schema
        self._must_exist = must_exist
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"hub.{path.stem}")
        self._connection: sqlite3.Connection | None = None

    async def __aenter__(self) -> Self:
        """Open or make the file."""
        await self._call(self._open)
        return self

    async def __aexit__(self, *_exc: object) -> None:
        """Close after what was begun."""
        await self._call(self._close)
        self._thread.shutdown()

    async def run(self, work: Callable[[sqlite3.Connection], R]) -> R:
        """Run ``work`` in one transaction on the file's thread."""
        return await self._call(lambda: self._transact(work))

    async def _call(self, work: Callable[[], R]) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _open(self) -> None:
        if self._must_exist and not self.path.exists():
            code = "missing_file"
            raise CorruptError(code, "the file is gone but its neighbours are there", file=str(self.path))
        try:
            self._connection = connect(self.path)
            self._connection.executescript(self._schema)
        except sqlite3.DatabaseError as error:
            raise self._translate(error) from error
        self.path.chmod(0o600)

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _transact(self, work: Callable[[sqlite3.Connection], R]) -> R:
        connection = self._connection
        if connection is None:
            code = "closed"
            raise UnavailableError(code, f"{self.path.name} is closed")
        try:
            connection.execute("BEGIN IMMEDIATE")
            result = work(connection)
            connection.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise self._translate(error) from error
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return result

    def _translate(self, error: sqlite3.DatabaseError) -> Exception:
        primary = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if primary in CORRUPT_CODES:
            return CorruptError(
                "corrupt_file", str(error), file=str(self.path), hint="restore it from a backup, or `hub journal repair`"
            )
        if primary in FULL_CODES:
            return UnavailableError("disk_full", f"{self.path.name}: {error}")
        return error


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Open ``path`` the way all files of the hub are opened; a reader does not disturb the hub."""
    mode = "ro" if read_only else "rwc"
    connection = sqlite3.connect(
        f"file:{path}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False, timeout=10
    )
    if not read_only:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA wal_autocheckpoint=4000")
    return connection
