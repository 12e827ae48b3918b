"""The bodies of revisions: each stays as long as a record names it, and goes a few at a time behind the last one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import structlog

from hub.journal.files import is_damage
from hub.journal.records import checksum, may_be_revision
from hub.model.records import Record

log = structlog.get_logger(__name__)

PREFIX = "body/"
"""``body/HASH`` in the table ``meta``: the last record that names it, and a checksum."""
_NOTE = "known"
"""``body/known``: how far the names are right, the record below which they may be too low, and a checksum."""
SWEPT_PER_APPEND = 100
"""How many bodies an append looks at while a sweep is under way: its time, and its part of the WAL, have a bound."""
NOTED_EVERY = 1_000
"""Records: after an end without goodbye an opening reads no more of them than about so many."""
LAID_AT_ONCE = 500
"""How many bodies are written ahead of their record in one transaction: 8 ms, for which an append may wait."""
LAID_AHEAD = 10_000
"""Records: what is written ahead is named by one so far ahead, which it need not be named again by."""
_NEVER = 2**63 - 1
_HEADS = "SELECT substr(body, 1, 32) FROM records WHERE position > ? ORDER BY position LIMIT ?"
_PUT = "INSERT OR REPLACE INTO meta VALUES (?, ?)"
_SOME = """
SELECT hash, value FROM bodies LEFT JOIN meta ON name = 'body/' || hash WHERE hash > ? ORDER BY hash LIMIT ?
"""


class Names(NamedTuple):
    """What is known of the names of bodies, as of the last append.

    ``noted`` is the record up to which the file says that names are right. A hub of a former version names nothing:
    what it wrote, up to ``floor``, may name any body, so that none goes before that. ``after`` is where a sweep goes
    on, None when none is under way; before ``least`` none goes.
    """

    floor: int
    noted: int
    after: str | None
    least: int


NOTHING_NAMED = Names(0, -1, None, _NEVER)


def read_names(connection: sqlite3.Connection, last: int) -> Names:
    """Return what the file of a journal that ends at ``last`` says of its names; nothing is written."""
    found = connection.execute("SELECT value FROM meta WHERE name = ?", (PREFIX + _NOTE,)).fetchone()
    noted, floor = _numbers(_NOTE, found and found[0], 2) or (0, 0)
    return Names(last if _may_name(connection, noted) else floor, -1, "", _NEVER)


def _may_name(connection: sqlite3.Connection, after: int) -> bool:
    """Return whether a record behind ``after`` may name bodies; True where they are too many to look, or damaged."""
    try:
        heads = connection.execute(_HEADS, (after, 4 * NOTED_EVERY)).fetchall()
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        return True
    return len(heads) == 4 * NOTED_EVERY or any(may_be_revision(head) for (head,) in heads)


def lay_bodies(connection: sqlite3.Connection, bodies: Mapping[str, bytes], position: int) -> None:
    """Write ``bodies``, each once, as named by record ``position``."""
    digests = sorted(bodies)
    sealed = ((digest, bodies[digest], checksum(bodies[digest], digest)) for digest in digests)
    connection.executemany("INSERT OR IGNORE INTO bodies VALUES (?, ?, ?)", sealed)
    _name(connection, digests, position)


def put_bodies(
    connection: sqlite3.Connection, names: Names, records: Iterable[Record], laid: Mapping[str, int]
) -> Names:
    """Write the bodies that ``records`` name, each once, and note from time to time how far the names are right.

    Those that are ``laid`` are there already, and named up to that record.
    """
    position, is_due = 0, False
    for record in records:
        position = record.position
        if record.bodies:
            missing = {digest: body for digest, body in record.bodies.items() if laid.get(digest, 0) < position}
            lay_bodies(connection, missing, position)
            names, is_due = names._replace(least=min(names.least, position)), True
    if is_due or names.noted < 0 or position - names.noted >= NOTED_EVERY:
        connection.execute(_PUT, _row(_NOTE, position, names.floor))
        names = names._replace(noted=position)
    return names


def sweep_bodies(connection: sqlite3.Connection, names: Names, first: int, last: int, *, has_room: bool) -> Names:
    """Remove a few of the bodies that no record from ``first`` on names.

    One without a name, or in whose name a bit has flipped, is named by record ``last`` once the disk ``has_room``.
    """
    after, least = names.after, names.least
    if after is None:
        if least >= first:
            return names
        after, least = "", _NEVER
    rows = _some(connection, after)
    found = {digest: _numbers(digest, value, 1) for digest, value in rows}
    unknown = [digest for digest, known in found.items() if not known]
    if has_room:
        _name(connection, unknown, last)
    named = {digest: max(known[0], names.floor) for digest, known in found.items() if known}
    _remove(connection, [digest for digest, position in named.items() if position < first])
    staying = [position for position in named.values() if position >= first]
    staying += [last if has_room else 0] * bool(unknown)
    return names._replace(after=rows[-1][0] if len(rows) == SWEPT_PER_APPEND else None, least=min([least, *staying]))


def _some(connection: sqlite3.Connection, after: str) -> list[tuple[str, object]]:
    """Return bodies behind ``after`` with their names; none where the file is damaged: they stay, and nothing stops."""
    try:
        rows = connection.execute(_SOME, (after, SWEPT_PER_APPEND)).fetchall()
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        log.warning("bodies_unreadable", reason=str(error))
        return []
    return [(digest, value) for digest, value in rows if isinstance(digest, str)]


def _remove(connection: sqlite3.Connection, digests: Iterable[str]) -> None:
    for digest in digests:
        connection.execute("DELETE FROM bodies WHERE hash = ?", (digest,))
        connection.execute("DELETE FROM meta WHERE name = ?", (PREFIX + digest,))


def _name(connection: sqlite3.Connection, digests: Iterable[str], position: int) -> None:
    rows = ((PREFIX + digest, f"{position} {checksum(b'', digest, position)}") for digest in digests)
    connection.executemany(_PUT, rows)  # as `_row` makes them, in half the time


def _row(key: str, *numbers: int) -> tuple[str, str]:
    return PREFIX + key, " ".join(map(str, (*numbers, checksum(b"", key, *numbers))))


def _numbers(key: str, value: object, count: int) -> list[int]:
    """Return the numbers of a row; nothing where there is none, or a bit has flipped."""
    words = str(value).split(" ")
    if len(words) != count + 1 or not all(word.isdecimal() for word in words):
        return []
    numbers = [int(word) for word in words[:-1]]
    return numbers if value == _row(key, *numbers)[1] else []
