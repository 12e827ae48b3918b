"""Rows of the outbox in the state file: put there while a sink is behind, gone with what it confirms."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from hub.journal.records import checksum

OwedRow = tuple[str, int, object]
"""(sink, record position, work); encoded in the file's thread."""

_encode = msgspec.msgpack.Encoder().encode


class Confirmed(NamedTuple):
    """How far a sink is: everything up to ``record``, and its counts up to there."""

    sink: str
    record: int
    tally: Mapping[str, int]


class Rows(NamedTuple):
    """So many rows of the outbox, and their bytes."""

    number: int
    size: int


def rows_of(connection: sqlite3.Connection, sink: str, up_to: int) -> Rows:
    """Return what the outbox holds of ``sink`` up to a record."""
    query = "SELECT count(*), coalesce(sum(length(body)), 0) FROM outbox WHERE sink = ? AND record <= ?"
    return Rows(*connection.execute(query, (sink, up_to)).fetchone())


def put_owed(connection: sqlite3.Connection, rows: Iterable[OwedRow]) -> int:
    """Insert what is neither confirmed nor there already; return its bytes."""
    cursors = dict(connection.execute("SELECT sink, record FROM cursors"))
    added = 0
    for sink, record, work in rows:
        if record > cursors.get(sink, 0):
            body = _encode(work)
            row = (sink, record, body, checksum(body, sink, record))
            if connection.execute("INSERT OR IGNORE INTO outbox VALUES (?, ?, 0, ?, ?)", row).rowcount > 0:
                added += len(body)
    return added


def confirm(connection: sqlite3.Connection, confirmed: Confirmed) -> Rows:
    """Move a cursor with its counts unless it is further already; return what of the outbox goes with it."""
    sink, record, tally = confirmed
    known = connection.execute("SELECT record FROM cursors WHERE sink = ?", (sink,)).fetchone()
    if record <= (0 if known is None else known[0]):
        return Rows(0, 0)
    connection.execute("INSERT OR REPLACE INTO cursors VALUES (?, ?, ?)", (sink, record, checksum(b"", sink, record)))
    gone = rows_of(connection, sink, record)
    connection.execute("DELETE FROM outbox WHERE sink = ? AND record <= ?", (sink, record))
    counts = [(sink, name, value, checksum(b"", sink, name, value)) for name, value in tally.items()]
    connection.executemany("INSERT OR REPLACE INTO tallies VALUES (?, ?, ?, ?)", counts)
    return gone
