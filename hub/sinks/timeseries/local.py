"""The embedded store: time series in one SQLite file, as durable as a commit, for installations without a server.

``points`` is ordered by time, so that a write appends to the end of the tree, whatever devices it is about (4.7 us of
CPU a line; ordered by series twice that, and a page of the log for nearly every line), and what is too old is a cut at
its front. A question therefore reads all points of its span (15 million a second): right for the hours and days of a
community, not for the years of a city. The fields stay as they were spelled: reading takes them apart, writing does
not. Beside the file an end mark names the newest point of what was confirmed last: the outbox has forgotten it, so
without it the file is refused.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, ParamSpec, Self, TypeVar

from hub.clock import Clock
from hub.end_mark import EndMark, refuse_emptiness
from hub.errors import ConfigError, CorruptError, UnavailableError
from hub.sinks.timeseries.lines import read_fields, split_fields, split_line, split_series
from hub.sinks.timeseries.store import Order, Query, Row, Written

P = ParamSpec("P")
T = TypeVar("T")

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS series (
    id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, measurement TEXT NOT NULL, tags TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS points (
    time INTEGER NOT NULL, series INTEGER NOT NULL, fields BLOB NOT NULL, PRIMARY KEY (time, series)
) WITHOUT ROWID;
"""
_INSERT: Final = """
INSERT INTO points (time, series, fields) VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET fields = merged(fields, excluded.fields) WHERE fields <> excluded.fields
"""
_EXPIRE: Final = """
DELETE FROM points WHERE (time, series) IN (SELECT time, series FROM points WHERE time < ? ORDER BY time LIMIT ?)
"""
_SELECT: Final = {
    order: f"""
SELECT time, series.tags, fields FROM points JOIN series ON series.id = points.series
WHERE time >= ? AND time < ? AND points.series IN (SELECT value FROM json_each(?)) ORDER BY time {order.value}
"""  # noqa: S608 -- ASC or DESC
    for order in Order
}
_RESTORE: Final = "restore it from a backup; to go on with what is left delete the file beside it that ends in .end"
_TIME_MAX: Final = 2**63 - 1
_EXPIRED_MIN: Final = 1_000
_BUSY: Final = timedelta(seconds=5)
_DEADLINE: Final = timedelta(seconds=30)


class LocalStore:
    """A :class:`hub.sinks.timeseries.store.Store` in the file ``path``; points older than ``keep`` go, a few a write.

    ``keep`` None keeps them for ever; ``deadline`` is for a question. Writes run in one thread and questions in
    another, each with its own connection. Entering raises ConfigError ``store_not_opened``, and CorruptError
    ``store_damaged`` for a file that is no store, ``store_shortened`` or ``missing_file`` for one that had more.
    """

    def __init__(
        self, path: Path, clock: Clock, *, keep: timedelta | None = None, deadline: timedelta = _DEADLINE
    ) -> None:
        self._path = path
        self._clock = clock
        self._deadline = deadline
        self._keep_ns = None if keep is None else int(keep.total_seconds()) * 1_000_000_000
        self._ids: dict[bytes, int] = {}
        self._mark = EndMark(path.with_suffix(".end"))

    async def __aenter__(self) -> Self:
        self._writer = ThreadPoolExecutor(1, "timeseries-write")
        self._reader = ThreadPoolExecutor(1, "timeseries-read")
        try:
            self._writing = await self._in(self._writer, self._open)
            self._reading = await self._in(self._reader, self._open)
        except BaseException:
            self._shut_down()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._in(self._reader, self._reading.close)
        await self._in(self._writer, self._writing.close)
        self._shut_down()

    def _shut_down(self) -> None:
        self._reader.shutdown()
        self._writer.shutdown()
        self._mark.close()

    async def write(self, lines: Sequence[bytes]) -> Written:
        return await self._in(self._writer, self._write, lines)

    async def query(self, select: Query) -> list[Row]:
        try:
            async with asyncio.timeout(self._deadline.total_seconds()):
                return await self._in(self._reader, self._query, select)
        except TimeoutError as error:
            self._reading.interrupt()
            raise UnavailableError("query_took_too_long", hint="ask for a shorter span") from error

    async def ping(self) -> None:
        await self._in(self._writer, self._writing.execute, "SELECT 1")

    async def _in(self, thread: ThreadPoolExecutor, work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(thread, partial(work, *args, **kwargs))
        except sqlite3.DatabaseError as error:
            raise UnavailableError("store_unavailable", str(error), file=str(self._path)) from error

    def _open(self) -> sqlite3.Connection:
        refuse_emptiness(self._path, must_exist=self._mark.path.exists())
        mark = self._mark.read()
        try:
            with ExitStack() as refused:
                connection = refused.enter_context(closing(self._connect()))
                with suppress(PermissionError):  # somebody else's, who lets us write
                    self._path.chmod(0o600)  # before what SQLite lays beside it, with the same mode
                connection.execute("PRAGMA journal_mode = WAL")
                # A confirmed line is forgotten by the outbox, so a commit has to reach the disk.
                connection.execute("PRAGMA synchronous = FULL")
                connection.create_function("merged", 2, _merged, deterministic=True)
                connection.executescript(_SCHEMA)
                self._learn(connection)
                if mark is not None and not _reaches(connection, int(mark[0]), mark[1]):
                    message = "the last points that it had confirmed are gone"
                    raise CorruptError("store_shortened", message, file=str(self._path), hint=_RESTORE)
                refused.pop_all()
        except sqlite3.OperationalError as error:
            raise ConfigError("store_not_opened", str(error), file=str(self._path)) from error
        except sqlite3.DatabaseError as error:
            raise CorruptError("store_damaged", str(error), file=str(self._path), hint=_RESTORE) from error
        return connection

    def _connect(self) -> sqlite3.Connection:
        busy = _BUSY.total_seconds()
        return sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=busy)

    def _learn(self, connection: sqlite3.Connection) -> None:
        self._ids = dict(connection.execute("SELECT key, id FROM series"))

    def _write(self, lines: Sequence[bytes]) -> Written:
        rejected: list[tuple[bytes, str]] = []
        points: list[tuple[int, int, bytes]] = []
        with self._transaction():
            for line in lines:
                split = split_line(line)
                if split is None:
                    rejected.append((line, "unable to parse"))
                elif abs(split[2]) > _TIME_MAX:
                    rejected.append((line, "time outside range"))
                else:
                    key, fields, time = split
                    points.append((time, self._ids.get(key) or self._id_of(key), fields))
            self._writing.executemany(_INSERT, points)
            time, series, _ = max(points, default=(0, 0, b""))
            self._expire(time, max(_EXPIRED_MIN, 2 * len(lines)))
        if points:
            self._mark.write(f"{series:020d}", time)
        return Written(accepted=len(points), rejected=rejected)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._writing.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._writing.execute("COMMIT")
        except BaseException:
            self._ids = {}  # also where they cannot be read now: of a series that is not there a point is nobody's
            if self._writing.in_transaction:
                self._writing.execute("ROLLBACK")
            self._learn(self._writing)
            raise

    def _id_of(self, key: bytes) -> int:
        measurement, tags = split_series(key)
        made = self._writing.execute(
            "INSERT INTO series (key, measurement, tags) VALUES (?, ?, ?)",
            (key, measurement, json.dumps(tags, ensure_ascii=False)),
        )
        self._ids[key] = made.lastrowid or 0
        return self._ids[key]

    def _expire(self, newest: int, most: int) -> None:
        """Remove ``most`` of what is too old, but not the ``newest`` written: the mark names it, however old it is."""
        if self._keep_ns is not None:
            self._writing.execute(_EXPIRE, (min(newest, self._clock.wall_ns() - self._keep_ns), most))

    def _query(self, select: Query) -> list[Row]:
        span, wanted = select.span, set(select.fields)
        series = json.dumps(list(self._series_of(select)))
        rows: list[Row] = []
        for time, tags, spelled in self._reading.execute(_SELECT[span.order], (span.since, span.until, series)):
            fields = read_fields(spelled)
            if wanted:
                fields = {name: value for name, value in fields.items() if name in wanted}
            if fields:
                rows.append(Row(time=time, tags=json.loads(tags), fields=fields))
            if len(rows) == span.limit:
                break
        return rows

    def _series_of(self, select: Query) -> Iterator[int]:
        for found, spelled in self._reading.execute(
            "SELECT id, tags FROM series WHERE measurement = ?", (select.measurement,)
        ):
            tags = json.loads(spelled)
            if all(tags.get(tag, "") == value for tag, value in select.where.items()):
                yield found


def _reaches(connection: sqlite3.Connection, series: int, time: int) -> bool:
    """Return whether a point is there, or older than all that are, and so may have expired."""
    query = "SELECT EXISTS (SELECT 1 FROM points WHERE (time, series) = (?, ?)) OR (SELECT min(time) FROM points) > ?"
    return bool(connection.execute(query, (time, series, time)).fetchone()[0])


def _merged(old: bytes, new: bytes) -> bytes:
    """Return the fields of both, the newer ones winning, as InfluxDB keeps them."""
    return b",".join(b"%b=%b" % field for field in {**dict(split_fields(old)), **dict(split_fields(new))}.items())
