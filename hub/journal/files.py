"""SQLite files as the journal needs them: durable, checked, owned by one process, used from one thread."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import struct
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

from hub.end_mark import refuse_emptiness
from hub.errors import ConfigError, CorruptError, UnavailableError
from hub.journal.own_thread import OwnThread

R = TypeVar("R")

_FLOCK = struct.Struct("@hhqqi0q")
"""struct flock: type, whence, start, length, and whose process; 0 for a lock that belongs to an open file."""

UNAVAILABLE = {
    sqlite3.SQLITE_FULL: "disk_full",
    sqlite3.SQLITE_IOERR: "disk_failing",
    sqlite3.SQLITE_READONLY: "disk_read_only",
    sqlite3.SQLITE_CANTOPEN: "file_unopenable",
    sqlite3.SQLITE_BUSY: "file_busy",
}
CORRUPT = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
RESTORE = "restore it from a backup, or `hub journal repair`"


class Lock:
    """An flock on a data directory: one hub at a time. With it goes a lock that can be asked for without taking it."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "lock"
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        """Take the lock; ConfigError ``already_running`` when another process holds it, ``directory_unwritable``."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            hint = "look at its disk (read-only?), its owner and its mode; or use another data_dir"
            where = str(self._path.parent)
            raise ConfigError("directory_unwritable", error.strerror or str(error), file=where, hint=hint) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise ConfigError(
                "already_running",
                "another hub works in this directory",
                file=str(self._path.parent),
                hint="stop it, or use another data_dir",
            ) from error
        with suppress(OSError):  # a file system that has none of these: then who looks sees nobody
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _ask())
        self._descriptor = descriptor
        return self

    def __exit__(self, *_exc: object) -> None:
        """Let go."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def is_held(directory: Path) -> bool:
    """Return whether a process holds the lock of a directory, without making or taking one there."""
    try:
        with (directory / "lock").open("rb") as file:
            kind, *_ = _FLOCK.unpack(fcntl.fcntl(file, fcntl.F_OFD_GETLK, _ask()))
            return bool(kind != fcntl.F_UNLCK) or _is_flocked(file.fileno())
    except OSError:
        return False


def _is_flocked(descriptor: int) -> bool:
    """Return whether the system lists an flock on a file: a process of a former version has no other lock."""
    of = os.fstat(descriptor)
    place = f"{os.major(of.st_dev):02x}:{os.minor(of.st_dev):02x}:{of.st_ino}"
    lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    return any({"FLOCK", place} <= set(line.split()) for line in lines)


def _ask() -> bytes:
    """Return the question for the whole of a file, as fcntl(2) takes it."""
    return _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)


class SqliteFile:
    """One SQLite file, WAL and ``synchronous=FULL``, on a thread of its own.

    ``must_exist``: its neighbours say that it was there, so that a missing or empty one is a CorruptError.
    """

    def __init__(self, path: Path, schema: str, *, must_exist: bool = False) -> None:
        self.path = path
        self._schema = schema
        self._must_exist = must_exist
        self.thread = OwnThread(f"hub.{path.stem}")
        self._connection: sqlite3.Connection | None = None

    async def __aenter__(self) -> Self:
        """Open or make the file; CorruptError when it is damaged, gone or has other tables."""
        try:
            await self.call(self._open)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_exc: object) -> None:
        """Close after what was begun."""
        if self.thread.is_running:
            await self.call(self._close)
        self.thread.close()

    async def run(self, work: Callable[[sqlite3.Connection], R], then: Callable[[], None] | None = None) -> R:
        """Run ``work`` in one transaction on the file's thread, and ``then`` after its fsync.

        UnavailableError (``disk_full``, ``file_busy`` …) when the disk cannot take it now, CorruptError
        ``corrupt_file`` when the file is damaged; nothing of ``work`` is in the file then.
        """
        return await self.call(partial(self._transact, work, then))

    async def read(self, work: Callable[[sqlite3.Connection], R]) -> R:
        """Run ``work``, which changes nothing, also where the disk takes no write now; errors as ``run``."""
        return await self.call(partial(self._transact, work, None, begin="BEGIN"))

    async def call(self, work: Callable[[], R]) -> R:
        """Run ``work``, which leaves the file alone, on its thread."""
        return await self.thread.call(work)

    def _open(self) -> None:
        refuse_emptiness(self.path, must_exist=self._must_exist)
        try:
            self._connection = connect(self.path)
            self._check_schema(self._connection)
        except sqlite3.DatabaseError as error:
            raise translate(error, self.path) from error
        self.path.chmod(0o600)

    def _check_schema(self, connection: sqlite3.Connection) -> None:
        found = tables(connection)
        if not found and not self._must_exist:
            connection.executescript(f"BEGIN IMMEDIATE; {self._schema}; COMMIT")
        elif found != expected_tables(self._schema):
            message = "its tables are not those of this hub"
            raise CorruptError("foreign_tables", message, file=str(self.path), hint=RESTORE)

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _transact(
        self, work: Callable[[sqlite3.Connection], R], then: Callable[[], None] | None, begin: str = "BEGIN IMMEDIATE"
    ) -> R:
        connection = self._connection
        if connection is None:
            raise UnavailableError("closed", f"{self.path.name} is closed")
        try:
            connection.execute(begin)
            result = work(connection)
            connection.execute("COMMIT")
        except BaseException as error:
            with suppress(sqlite3.DatabaseError):  # the first error tells more, and SQLite has often rolled back itself
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            if isinstance(error, sqlite3.DatabaseError):
                raise translate(error, self.path) from error
            raise
        if then is not None:
            then()
        return result


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Open ``path`` the way all files of the hub are opened; a reader does not disturb the hub."""
    uri = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=10)
    try:
        connection.execute("PRAGMA cell_size_check=ON")
        if not read_only:
            connection.execute("PRAGMA page_size=8192")  # of a new file; a batch costs a quarter less than with 4096
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            # A WAL of 4 MiB is soon written over instead of made longer: 70 us less an fsync, and shorter checkpoints.
            connection.execute("PRAGMA wal_autocheckpoint=500")
    except BaseException:
        connection.close()
        raise
    return connection


def read_rows(path: Path, query: str, values: Sequence[int | str] = ()) -> list[Any]:
    """Return what ``query`` finds in the file of a running or stopped hub; CorruptError when it is damaged."""
    try:
        with closing(connect(path, read_only=True)) as connection:
            return connection.execute(query, values).fetchall()
    except sqlite3.DatabaseError as error:
        raise translate(error, path) from error


def translate(error: sqlite3.DatabaseError, path: Path) -> Exception:
    """Return our own error for one of SQLite's, or that one itself when it is a mistake in our SQL."""
    if is_damage(error):
        return CorruptError("corrupt_file", str(error), file=str(path), hint=RESTORE)
    code = UNAVAILABLE.get(error.sqlite_errorcode & 0xFF)
    return error if code is None else UnavailableError(code, f"{path.name}: {error}")


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """Return whether the file is not what was written."""
    number = getattr(error, "sqlite_errorcode", None)
    # Without a number it comes from Python's binding: text in the file that is no UTF-8.
    return number is None or number & 0xFF in CORRUPT


def tables(connection: sqlite3.Connection) -> set[tuple[str, str]]:
    """Return (name, SQL) of what is in the file."""
    return set(connection.execute("SELECT name, sql FROM sqlite_master"))


def expected_tables(schema: str) -> set[tuple[str, str]]:
    """Return what ``schema`` makes of an empty file: a flipped byte there would otherwise be a new, empty table."""
    connection = sqlite3.connect(":memory:")
    try:
        connection.executescript(schema)
        return tables(connection)
    finally:
        connection.close()


def sync_path(path: Path) -> None:
    """Return when a file's content, or a directory's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
