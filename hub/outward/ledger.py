"""The ledger: how far streams are read and what became of each parcel, moved in one transaction, on disk."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from hub.clock import Clock
from hub.errors import CorruptError
from hub.journal.files import SqliteFile
from hub.outward.parcel import UNMASKED, URGENT, Outcome, Parcel, Slip, State
from hub.outward.standing import FILE, MAY_GO, Standing, standing_by
from hub.sinks.rounds import Position

_SCHEMA = """
CREATE TABLE position (
    stream TEXT PRIMARY KEY, written_at INTEGER NOT NULL, number INTEGER NOT NULL, entries INTEGER NOT NULL
) STRICT;
CREATE TABLE parcel (
    number INTEGER PRIMARY KEY AUTOINCREMENT, channel TEXT NOT NULL, lane TEXT NOT NULL, entry TEXT NOT NULL,
    event TEXT NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL, body BLOB NOT NULL,
    made_at INTEGER NOT NULL, due INTEGER NOT NULL,
    state TEXT NOT NULL, attempts INTEGER NOT NULL, changed_at INTEGER NOT NULL, answer TEXT NOT NULL,
    UNIQUE (entry, channel)
) STRICT;
CREATE INDEX parcel_state ON parcel (state, number);
CREATE TABLE tally (name TEXT PRIMARY KEY, count INTEGER NOT NULL) STRICT
"""
_SLIP = f"number, channel, lane, due, attempts, instr(kind, '{URGENT}') > 0"
_PARCEL = f"number, channel, lane, entry, event, name, kind, body, due, {MAY_GO}"
_PUT = f"""
INSERT INTO parcel (channel, lane, entry, event, name, kind, body, made_at, due, state, attempts, changed_at, answer)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?)
ON CONFLICT (entry, channel) DO UPDATE SET state = excluded.state, attempts = 0, due = excluded.due,
    made_at = excluded.made_at, changed_at = excluded.changed_at, answer = excluded.answer, body = excluded.body
WHERE state != ? RETURNING {_SLIP}
"""  # noqa: S608 -- our own words


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A parcel on its way out, and since when it may go (wall ns)."""

    parcel: Parcel
    may_go_at: int


class Ledger:
    """The ledger in ``directory``; open it with ``async with``. What is in a transaction is fsynced after it.

    Every method raises UnavailableError when the disk takes nothing now, CorruptError for a damaged file.
    """

    def __init__(self, directory: Path, clock: Clock) -> None:
        self._file = SqliteFile(directory / FILE, _SCHEMA)
        self._clock = clock
        self._version = 0
        self._opened = AsyncExitStack()

    async def __aenter__(self) -> Self:
        try:
            await self._opened.enter_async_context(self._file)
        except CorruptError as error:
            hint = "move it away: without it what comes from now on is sent, and with --from what came before"
            raise CorruptError(error.code, error.message, file=error.file, hint=hint) from error
        await self.is_changed_elsewhere()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._opened.aclose()

    async def positions(self) -> dict[str, Position]:
        """Return how far each stream is read; nothing when none ever was."""

        def read(connection: sqlite3.Connection) -> dict[str, Position]:
            found = connection.execute("SELECT stream, written_at, number, entries FROM position")
            return {stream: Position(*rest) for stream, *rest in found}

        return await self._file.run(read)

    async def keep(
        self,
        parcels: Sequence[Parcel],
        positions: Mapping[str, Position],
        counts: Mapping[str, int],
        *,
        doubtful: Collection[str] = (),
    ) -> list[Slip]:
        """Write ``parcels``, how far that is, and what was counted; return the slips of those that wait now.

        A parcel that is here already (a replay reads again what was read before) waits anew; of a ``doubtful`` entry,
        which is read again only because it may be another one now, it stays as it is when it is the same.
        """
        now = self._clock.wall_ns()

        def write(connection: sqlite3.Connection) -> list[Slip]:
            new = [each for each in parcels if each.entry not in doubtful or not _is_known(connection, each)]
            slips = [slip for parcel in new for slip in _put(connection, parcel, now)]
            connection.executemany(
                "INSERT OR REPLACE INTO position VALUES (?, ?, ?, ?)",
                [(stream, at.written_at, at.number, at.entries) for stream, at in positions.items()],
            )
            _count(connection, counts)
            return slips

        return await self._file.run(write)

    async def waiting(self) -> list[Slip]:
        """Return the slips of all that waits, the oldest first."""

        def read(connection: sqlite3.Connection) -> list[Slip]:
            found = connection.execute(
                f"SELECT {_SLIP} FROM parcel WHERE state = ? ORDER BY number",  # noqa: S608 -- our own words
                [State.WAITING.value],
            )
            return [Slip(*row) for row in found]

        return await self._file.run(read)

    async def take(self, numbers: Sequence[int]) -> dict[int, Taken]:
        """Return those parcels with these numbers that still wait."""

        def read(connection: sqlite3.Connection) -> dict[int, Taken]:
            marks = ", ".join("?" * len(numbers))
            words = f"SELECT {_PARCEL} FROM parcel WHERE number IN ({marks}) AND state = ?"  # noqa: S608 -- marks
            rows = connection.execute(words, [*numbers, State.WAITING.value])
            return {row[0]: _taken(row) for row in rows}

        return await self._file.run(read)

    async def settle(self, outcomes: Sequence[Outcome]) -> None:
        """Write what became of attempts, and count the ends."""
        now = self._clock.wall_ns()
        ends: dict[str, int] = {}
        for outcome in outcomes:
            name = "retried" if outcome.state is State.WAITING else outcome.state.value
            ends[name] = ends.get(name, 0) + 1

        def write(connection: sqlite3.Connection) -> None:
            connection.executemany(
                f"UPDATE parcel SET state = ?, answer = ?, attempts = ?, due = ?, changed_at = ?, made_at = {MAY_GO}"  # noqa: S608 -- our own words
                " WHERE number = ?",
                [(each.state.value, each.answer, each.attempts, each.due, now, each.number) for each in outcomes],
            )
            _count(connection, ends)

        await self._file.run(write)

    async def retry(self, numbers: Sequence[int] | None) -> int:
        """Let dead parcels wait again (with None all of them); return how many. A running process takes them up."""
        now = self._clock.wall_ns()
        chosen = "" if numbers is None else f" AND number IN ({', '.join('?' * len(numbers))})"
        values = [State.WAITING.value, now, now, now, State.DEAD.value, *(numbers or ())]

        def write(connection: sqlite3.Connection) -> int:
            return connection.execute(
                "UPDATE parcel SET state = ?, attempts = 0, due = ?, made_at = ?, changed_at = ?"  # noqa: S608 -- marks
                f" WHERE state = ?{chosen}",
                values,
            ).rowcount

        return await self._file.run(write)

    async def drop(self, numbers: Sequence[int] | None, why: str) -> int:
        """Drop dead parcels (with None all of them), counted, as ``why`` says; return how many. They are forgotten."""
        chosen = "" if numbers is None else f" AND number IN ({', '.join('?' * len(numbers))})"
        values = [State.DROPPED.value, why, self._clock.wall_ns(), State.DEAD.value, *(numbers or ())]

        def write(connection: sqlite3.Connection) -> int:
            words = f"UPDATE parcel SET state = ?, answer = ?, changed_at = ? WHERE state = ?{chosen}"  # noqa: S608 -- marks
            dropped = connection.execute(words, values).rowcount
            _count(connection, {State.DROPPED.value: dropped})
            return dropped

        return await self._file.run(write)

    async def standing(self) -> Standing:
        """Return what waits and what is dead by channel, and what was counted."""
        now = self._clock.wall_ns()
        return await self._file.run(lambda connection: standing_by(connection.execute, now))

    async def told_since(self, since: int) -> list[tuple[str, str, str, int]]:
        """Return (channel, lane, kind, when) of what was made from a moment (wall ns) on and not dropped."""

        def read(connection: sqlite3.Connection) -> list[tuple[str, str, str, int]]:
            words = "SELECT channel, lane, kind, made_at FROM parcel WHERE made_at >= ? AND state != ? ORDER BY number"
            return connection.execute(words, [since, State.DROPPED.value]).fetchall()

        return await self._file.run(read)

    async def forget(self, before: int) -> int:
        """Remove what has ended before a moment (wall ns), but never what is dead; return how much that was."""

        def write(connection: sqlite3.Connection) -> int:
            words = "DELETE FROM parcel WHERE state IN (?, ?) AND changed_at < ?"
            return connection.execute(words, [State.DELIVERED.value, State.DROPPED.value, before]).rowcount

        return await self._file.run(write)

    async def is_changed_elsewhere(self) -> bool:
        """Return whether another process has written since this was last asked."""
        (version,) = await self._file.run(lambda connection: connection.execute("PRAGMA data_version").fetchone())
        before, self._version = self._version, int(version)
        return before != self._version


def _put(connection: sqlite3.Connection, parcel: Parcel, now: int) -> list[Slip]:
    """Write one parcel; return its slip if it waits now."""
    if parcel.replaces:
        _give_way(connection, parcel, now)
    row = connection.execute(
        _PUT,
        [
            *(parcel.channel, parcel.lane, parcel.entry, parcel.event, parcel.name, parcel.kind, parcel.body),
            *(now, parcel.due, parcel.state.value, now, parcel.answer, State.WAITING.value),
        ],
    ).fetchone()
    if row is None:
        return []
    if parcel.state is not State.WAITING:
        _count(connection, {parcel.state.value: 1})
        return []
    return [Slip(*row)]


def _is_known(connection: sqlite3.Connection, parcel: Parcel) -> bool:
    words = "SELECT 1 FROM parcel WHERE entry = ? AND channel = ? AND event = ?"
    return connection.execute(words, [parcel.entry, parcel.channel, parcel.event]).fetchone() is not None


def _give_way(connection: sqlite3.Connection, parcel: Parcel, now: int) -> None:
    """Drop what waits for later in the lane that ``parcel`` replaces, masked or not."""
    channel = parcel.channel.removesuffix(UNMASKED)
    changed = connection.execute(
        "UPDATE parcel SET state = ?, answer = ?, changed_at = ?"
        " WHERE channel IN (?, ?) AND lane = ? AND state = ? AND due > ?",
        [
            *(State.DROPPED.value, "newer news took its place", now),
            *(channel, channel + UNMASKED, parcel.replaces, State.WAITING.value, now),
        ],
    )
    _count(connection, {State.DROPPED.value: changed.rowcount})


def _count(connection: sqlite3.Connection, counts: Mapping[str, int]) -> None:
    connection.executemany(
        "INSERT INTO tally VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET count = count + excluded.count",
        [(name, count) for name, count in counts.items() if count],
    )


def _taken(row: Sequence[Any]) -> Taken:
    _, channel, lane, entry, event, name, kind, body, due, may_go_at = row
    words = {"channel": channel, "lane": lane, "entry": entry, "event": event, "name": name, "kind": kind}
    parcel = Parcel(**words, body=body, due=due)
    return Taken(parcel=parcel, may_go_at=may_go_at)
