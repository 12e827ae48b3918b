"""Rows of the outbox in the state file: put there while a sink is behind, gone with what it confirms."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
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
    """So many rows of the outbox of a sink, and their bytes; of what goes, less than nothing."""

    sink: str
    number: int
    size: int


def all_owed(connection: sqlite3.Connection) -> list[Rows]:
    """Return what the outbox holds of each sink."""
    return [Rows(*row) for row in connection.execute("SELECT sink, count(*), sum(length(body)) FROM outbox GROUP BY 1")]


def put_owed(connection: sqlite3.Connection, rows: Iterable[OwedRow]) -> list[Rows]:
    """Insert what is neither confirmed nor there already; return how much that is."""
    cursors = dict(connection.execute("SELECT sink, record FROM cursors"))
    added: defaultdict[str, list[int]] = defaultdict(list)
    for sink, record, work in rows:
        if record > cursors.get(sink, 0):
            body = _encode(work)
            row = (sink, record, body, checksum(body, sink, record))
            if connection.execute("INSERT OR IGNORE INTO outbox VALUES (?, ?, 0, ?, ?)", row).rowcount > 0:
                added[sink].append(len(body))
    return [Rows(sink, len(sizes), sum(sizes)) for sink, sizes in added.items()]


def confirm(connection: sqlite3.Connection, confirmed: Confirmed) -> Rows:
    """Move a cursor with its counts unless it is further already; return what of the outbox goes with it."""
    sink, record, tally = confirmed
    known = connection.execute("SELECT record FROM cursors WHERE sink = ?", (sink,)).fetchone()
    if record <= (0 if known is None else known[0]):
        return Rows(sink, 0, 0)
    connection.execute("INSERT OR REPLACE INTO cursors VALUES (?, ?, ?)", (sink, record, checksum(b"", sink, record)))
    behind = "FROM outbox WHERE sink = ? AND record <= ?"
    gone = connection.execute(f"SELECT -count(*), -coalesce(sum(length(body)), 0) {behind}", (sink, record)).fetchone()
    connection.execute(f"DELETE {behind}", (sink, record))
    counts = [(sink, name, value, checksum(b"", sink, name, value)) for name, value in tally.items()]
    connection.executemany("INSERT OR REPLACE INTO tallies VALUES (?, ?, ?, ?)", counts)
    return Rows(sink, *gone)
