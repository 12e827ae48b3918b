"""The registry's database: opened and upgraded, read at one moment, changed by one writer at a time."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self
from weakref import WeakKeyDictionary

import orjson
from sqlalchemy import URL, Connection, event, func, make_url, select
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DatabaseError, InternalError, OperationalError, StatementError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from hub.clock import Clock, SystemClock
from hub.end_mark import EndMark, refuse_emptiness
from hub.errors import ConfigError, CorruptError, UnavailableError
from hub.registry import audit, schema, upgrading
from hub.registry.audit import Change, Note
from hub.registry.author import Author, os_user
from hub.registry.refusals import refusal_of

POSTGRES = "postgresql+psycopg"
_CORRUPT = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()


class Database:
    """The tables at ``url``: SQLite, or PostgreSQL (``postgresql://user:password@host/name``), for an ``async with``.

    What is changed is changed by the OS user, for ``actor`` when that is named. A transaction that takes longer than
    ``answer_seconds`` is an UnavailableError: a server may accept a connection and then say nothing, for ever. Only
    bringing the tables to this version takes as long as it takes. Opening is a ConfigError where the server knows us or
    the database not, or the file is not ours to write (hub/registry/refusals.py); later that is as if it were away.
    With ``must_exist`` none is begun: ConfigError ``registry_missing``.
    """

    def __init__(
        self,
        url: str,
        *,
        actor: str = "",
        clock: Clock | None = None,
        answer_seconds: float | None = None,
        must_exist: bool = False,
    ) -> None:
        self._answer_seconds = answer_seconds
        self._must_exist = must_exist
        self._url = address_of(url)
        self._author = Author(os_user=os_user(), actor=actor)
        self._clock = clock or SystemClock()
        self._file = Path(self._url.database) if self._is_sqlite and self._url.database else None
        self._mark = None if self._file is None else EndMark(self._file.with_suffix(".end"))
        try:
            # A server may have been away since a connection was last used.
            self._engine = create_async_engine(
                self._url,
                pool_pre_ping=not self._is_sqlite,
                json_serializer=_readable,
                json_deserializer=orjson.loads,
            )
        except ModuleNotFoundError as error:
            hint = f"for PostgreSQL: {sys.executable} -m pip install 'psycopg[binary]'"
            raise ConfigError("driver_missing", f"no database driver {error.name!r}", hint=hint) from error
        if self._is_sqlite:
            event.listen(self._engine.sync_engine, "connect", _prepare_sqlite)
            event.listen(self._engine.sync_engine, "begin", _begin)
            event.listen(self._engine.sync_engine, "invalidate", _let_go)
            self._reading = self._engine
            self._writing = self._engine.execution_options(immediate=True)
        else:
            # A reader sees one moment. Writers wait for each other at the revision's row, then see what was written.
            self._reading = self._engine.execution_options(isolation_level="REPEATABLE READ")
            self._writing = self._engine.execution_options(isolation_level="READ COMMITTED")

    @property
    def _is_sqlite(self) -> bool:
        return self._url.get_backend_name() == "sqlite"

    @property
    def shown_url(self) -> str:
        """The URL without its password."""
        return self._url.render_as_string(hide_password=True)

    async def __aenter__(self) -> Self:
        if self._file is not None and self._mark is not None:
            refuse_emptiness(self._file, must_exist=self._mark.path.exists())
            if self._must_exist and not self._file.exists():
                raise self._missing()
            _make_file(self._file)
        try:
            await self._upgrade()
        except UnavailableError as error:
            await self._close()
            raise refusal_of(error, await self._sqlstate()) or error from error
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def _close(self) -> None:
        await self._engine.dispose()
        if self._mark is not None:
            self._mark.close()

    async def _sqlstate(self) -> str:
        """Return why a server refuses to be connected to, if that is a PostgreSQL and it does."""
        if self._is_sqlite:
            return ""
        from hub.registry.handshake import sqlstate_of  # noqa: PLC0415 -- its driver may not be installed

        words = self._engine.dialect.create_connect_args(self._url)[1]
        return await asyncio.to_thread(sqlstate_of, words)

    async def _upgrade(self) -> None:
        marked = (self._mark and self._mark.read()) or ("", -1)
        async with self.transaction() as connection:
            version = await connection.run_sync(upgrading.version)
            revision = await _revision(connection) if version else -1
        if revision < marked[1]:
            raise CorruptError(
                "registry_shortened",
                f"it reached revision {marked[1]} and now ends at {max(0, revision)}",
                file=str(self._file),
                hint="restore it from a backup; to go on with what is left delete the file beside it that ends in .end",
            )
        if self._must_exist and not version:
            raise self._missing()
        if version != upgrading.HEAD:
            await self._migrate()
        self._reached(max(0, revision))

    def _missing(self) -> ConfigError:
        hint = "is the disk of data_dir mounted, and is that where it was? a new one begins with `hub sites add`"
        return ConfigError("registry_missing", "there is no registry yet", url=self.shown_url, hint=hint)

    async def _migrate(self) -> None:
        with told(self._url):
            async with _turn(), self._writing.begin() as connection:
                if not self._is_sqlite:  # two hubs that start at once: SQLite's lock is held since BEGIN
                    await connection.exec_driver_sql("SELECT pg_advisory_xact_lock(742001)")
                await connection.run_sync(upgrading.upgrade)

    def _reached(self, revision: int) -> None:
        if self._mark is not None:
            self._mark.write("registry", revision)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Begin a transaction: what is read in it is of one moment. CorruptError ``registry_row_invalid``."""
        async with self._in_time(), self._reading.begin() as connection:
            try:
                yield connection
            except ValueError as error:
                message = f"a row was written by something else than hub: {error}"
                raise CorruptError("registry_row_invalid", message, hint="put right there what it wrote") from error

    @asynccontextmanager
    async def change(self) -> AsyncIterator[Change]:
        """Begin a transaction that makes the next revision and says in the audit what it did: all, or nothing."""
        with suppress(_NothingToDoError):
            async with self._in_time(), self._writing.begin() as connection:
                # First, so that the lock is held before anything is read: two writers cannot both pass the checks.
                state = schema.state
                await connection.execute(state.update().values(revision=state.c.revision + 1))
                revision = int((await connection.execute(select(state.c.revision))).scalar_one())
                change = Change(connection)
                yield change
                if change.may_be_none and not change.notes:
                    raise _NothingToDoError
                await audit.write(connection, self._author, self._clock.wall_ns(), revision, change.notes)
            self._reached(revision)

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        """Turn what the driver says, and that it says nothing, into our errors."""
        limit = asyncio.timeout(self._answer_seconds)
        with told(self._url):
            try:
                async with limit:
                    yield
            except TimeoutError as error:
                if not limit.expired():
                    raise
                message = f"no answer within {self._answer_seconds} s"
                raise UnavailableError("registry_unavailable", message, url=self.shown_url) from error

    def now(self) -> int:
        """Return the wall clock in ns."""
        return self._clock.wall_ns()

    async def look(self, what: str, subject: str, reason: str = "") -> None:
        """Write down that somebody is about to see what is secret or personal. Call it first: no line, no look."""
        await self.note(Note(what=what, subject=subject, reason=reason), self._author)

    async def note(self, note: Note, author: Author) -> None:
        """Write down what ``author`` did that changed nothing here."""
        async with self._in_time(), self._writing.begin() as connection:
            await audit.write(connection, author, self._clock.wall_ns(), None, [note])

    async def revision(self) -> int:
        """Return the number of changes so far; cheap enough to ask every few seconds."""
        async with self.transaction() as connection:
            return await _revision(connection)

    async def counts(self) -> dict[str, int]:
        """Return how many rows each table has."""
        async with self.transaction() as connection:
            tables = [table for table in schema.metadata.sorted_tables if table is not schema.state]
            found = [await connection.execute(select(func.count()).select_from(table)) for table in tables]
            return {str(table.name): int(result.scalar_one()) for table, result in zip(tables, found, strict=True)}


def _turn() -> asyncio.Lock:
    """Return what lets one migration follow the other: Alembic keeps in a module which database it is at.

    Two at once ran the steps of one in the other, or waited for each other for ever.
    """
    return _turns.setdefault(asyncio.get_running_loop(), asyncio.Lock())


async def _revision(connection: AsyncConnection) -> int:
    return int((await connection.execute(select(schema.state.c.revision))).scalar_one())


def _make_file(path: Path) -> None:
    """Make an empty database for our eyes only, unless there is one: who lives where is nobody else's business.

    It gets its name when it is in WAL mode already: of hubs that start at once and change the mode of one file, SQLite
    tells some that it is locked, without waiting.
    """
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f"{path.name}.", dir=path.parent) as directory:
        born = Path(directory) / path.name
        born.touch(mode=0o600)
        with closing(sqlite3.connect(born)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
        with suppress(FileExistsError):
            path.hardlink_to(born)


class _NothingToDoError(Exception):
    """Rolls a transaction back without an error."""


def address_of(text: str) -> URL:
    """Return where the registry is, with the driver that we know where it names none; ConfigError for no address."""
    names = {"postgresql": POSTGRES, "postgres": POSTGRES, "sqlite": "sqlite+aiosqlite"}
    try:
        url = make_url(text)
        found = url.set(drivername=names.get(url.drivername, url.drivername))
        found.get_dialect()
    except (ArgumentError, ValueError):  # whose words may hold a part of the password
        hint = "postgresql://user:password@host/name, what is special in the password %-encoded"
        raise ConfigError("registry_url_invalid", "registry.url is no address of a database", hint=hint) from None
    return found


def _readable(value: object) -> str:
    """Return JSON that can be read again: with half a character in it, or NaN, no hub could read its registry any more.

    ConfigError ``value_invalid``.
    """
    text = json.dumps(value)
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError as error:
        hint = "text is UTF-8 (was it typed or saved in GBK?), and a number is neither NaN nor infinite"
        raise ConfigError("value_invalid", f"nobody could read it again: {error}", hint=hint) from error
    return text


@contextmanager
def told(url: URL) -> Iterator[None]:
    """Turn what the driver says into our errors."""
    try:
        yield
    except (OperationalError, InternalError) as error:  # the latter of a PostgreSQL that became a standby
        shown = url.render_as_string(hide_password=True)
        is_full = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL
        raise UnavailableError(
            "disk_full" if is_full else "registry_unavailable", str(error.orig), url=shown
        ) from error
    except DatabaseError as error:
        if getattr(error.orig, "sqlite_errorcode", 0) & 0xFF in _CORRUPT:
            raise CorruptError("registry_corrupt", str(error.orig), file=url.database) from error
        raise
    except StatementError as error:
        if isinstance(error.orig, ConfigError):  # of a value that we refuse
            raise error.orig from error
        raise


def _prepare_sqlite(connection: sqlite3.Connection, _record: ConnectionPoolEntry) -> None:
    # The driver begins a transaction before a write only; two reads of a snapshot would then see two moments.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("foreign_keys=ON", "journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    is_immediate = connection.get_execution_options().get("immediate", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_immediate else "BEGIN")


def _let_go(connection: DBAPIConnection, _record: ConnectionPoolEntry, _error: BaseException | None) -> None:
    """Undo what a cancelled transaction did: behind a statement that was cut off SQLite's lock outlives the connection.

    It went when the collector came by, and until then nobody could change the registry.
    """
    connection.rollback()
