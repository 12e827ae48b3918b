"""Rows of dead letters: buried, the last word on each, and found again in the order in which they came."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec

from hub.errors import CorruptError
from hub.journal.files import RESTORE
from hub.journal.records import checksum, is_sealed
from hub.model.effects import DeadLetter, Settled
from hub.model.values import Scalar

MOST_LETTERS, MOST_BYTES = 500, 1024 * 1024
"""So much is taken again at once: it goes into one record, for which the journal keeps room that others need, too."""
MOST_LOOKED_AT = 8 * 1024 * 1024

Row = tuple[int, bytes, int]
"""(number, body, checksum)"""

_Number = Annotated[int, msgspec.Meta(ge=0, lt=2**62)]
_encode = msgspec.msgpack.Encoder().encode


class Buried(NamedTuple):
    """How many bytes of dead letters there are then, and how many letters made room."""

    size: int
    dropped: int


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which dead letters: with this code, of this device, received ``since`` (wall ns), behind a number.

    The device is named as :attr:`DeadLetter.whose` does, ``called`` so by its network until it was registered.
    """

    code: str = ""
    device: str = ""
    called: str = ""
    since: _Number = 0
    after: _Number = 0


class Found(NamedTuple):
    """Some letters, the oldest first; whether there may be more behind the ``last`` that was looked at.

    Beside them were so many that were ``cut``: of a message of which not every byte was kept nothing can be made.
    """

    letters: list[DeadLetter]
    last: int
    more: bool
    cut: int

    @property
    def args(self) -> dict[str, Scalar]:
        """What a request says of them beside the letters themselves."""
        return {"last": self.last, "more": self.more, "cut": self.cut}


def put_letters(
    connection: sqlite3.Connection, letters: Iterable[DeadLetter | Settled], size: int, most: int
) -> Buried:
    """Write letters, and take away which are none any more; the oldest make room. ``size``: of those that are there."""
    dropped = 0
    for letter in letters:
        known = connection.execute("SELECT size FROM dead_letters WHERE number = ?", (letter.number,)).fetchone()
        if known is not None:
            connection.execute("DELETE FROM dead_letters WHERE number = ?", (letter.number,))
            size -= known[0]
        if isinstance(letter, DeadLetter):
            body = _encode(letter)
            device, seal = f"{letter.site}/{letter.device}", checksum(body, letter.number)
            row = (letter.number, letter.code, device, len(body), body, seal)
            connection.execute("INSERT INTO dead_letters VALUES (?, ?, ?, ?, ?, ?)", row)
            size += len(body)
    oldest = "SELECT number, size FROM dead_letters ORDER BY number LIMIT 1"
    while size > most and (found := connection.execute(oldest).fetchone()):
        connection.execute("DELETE FROM dead_letters WHERE number = ?", (found[0],))
        size -= found[1]
        dropped += 1
    return Buried(size, dropped)


def letters_behind(connection: sqlite3.Connection, wanted: Wanted, path: Path) -> Found:
    """Return some of the letters that are ``wanted`` and of which every byte was kept."""
    rows = connection.execute(
        "SELECT number, body, checksum FROM dead_letters WHERE number > ? AND (? = '' OR code = ?)"
        " AND (? = '' OR device IN (?, ?)) ORDER BY number",
        (wanted.after, wanted.code, wanted.code, wanted.device, _column(wanted.device), _column(wanted.called)),
    )
    found: list[DeadLetter] = []
    last, cut, room, looks = wanted.after, 0, MOST_BYTES, MOST_LOOKED_AT
    for row in rows:
        letter = read_letter(row, path)
        is_theirs = not wanted.device or letter.whose in {wanted.device, wanted.called}
        is_wanted = is_theirs and letter.received_at >= wanted.since
        is_cut = len(letter.payload) < letter.payload_bytes
        room -= len(letter.payload) if is_wanted and not is_cut else 0
        looks -= len(row[1])
        if (room < 0 and found) or looks < 0 or len(found) >= MOST_LETTERS:
            return Found(found, last, more=True, cut=cut)
        last = letter.number
        if is_wanted and is_cut:
            cut += 1
        elif is_wanted:
            found.append(letter)
    return Found(found, last, more=False, cut=cut)


def _column(name: str) -> str:
    """Return what the column ``device`` holds of who is named so: of a network's strangers no site, and no source."""
    return f"/{name.partition('/')[2]}" if name.startswith("@") else name


def read_letter(row: Row, path: Path) -> DeadLetter:
    """Return the dead letter of a row; CorruptError ``corrupt_row``."""
    number, body, seal = row
    if not is_sealed(seal, body, number):
        message = f"dead letter {number} fails its checksum"
        raise CorruptError("corrupt_row", message, file=str(path), hint=RESTORE)
    return msgspec.msgpack.decode(body, type=DeadLetter)
