"""The bodies of revisions: each stays as long as a record names it, and goes with the last one that does."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator

from hub.journal.records import checksum
from hub.model import Record

PREFIX = "body/"
"""``body/HASH`` in the table ``meta``: the last record that names it, and a checksum."""
_NAMED = "SELECT name, value FROM meta WHERE name >= 'body/' AND name < 'body0'"


def first_named(connection: sqlite3.Connection, last: int) -> int:
    """Return the least record with which a body goes; those that a former version wrote go with record ``last``."""
    known = {digest for digest, _ in _named(connection)}
    _name(connection, {row[0] for row in connection.execute("SELECT hash FROM bodies")} - known, last)
    return _first(connection)


def put_bodies(connection: sqlite3.Connection, record: Record) -> None:
    """Write the bodies that ``record`` names, each once."""
    sealed = [(name, body, checksum(body, name)) for name, body in sorted(record.bodies.items())]
    connection.executemany("INSERT OR IGNORE INTO bodies VALUES (?, ?, ?)", sealed)
    _name(connection, record.bodies, record.position)


def trim_bodies(connection: sqlite3.Connection, first: int) -> int:
    """Remove what no record from ``first`` on names; return the least record with which another body goes."""
    gone = [(digest,) for digest, position in _named(connection) if position < first]
    connection.executemany("DELETE FROM bodies WHERE hash = ?", gone)
    connection.executemany("DELETE FROM meta WHERE name = ?", [(PREFIX + digest,) for (digest,) in gone])
    return _first(connection)


def _name(connection: sqlite3.Connection, digests: Iterable[str], position: int) -> None:
    rows = [(PREFIX + digest, f"{position} {checksum(b'', digest, position)}") for digest in sorted(digests)]
    connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", rows)


def _first(connection: sqlite3.Connection) -> int:
    return min((position for _, position in _named(connection)), default=0)


def _named(connection: sqlite3.Connection) -> Iterator[tuple[str, int]]:
    """Yield each body with the last record that names it; where a bit has flipped nothing, so that it stays."""
    for name, value in connection.execute(_NAMED).fetchall():
        digest, position = name.removeprefix(PREFIX), str(value).partition(" ")[0]
        if position.isdecimal() and value == f"{position} {checksum(b'', digest, int(position))}":
            yield digest, int(position)
