"""Records to rows and back: the columns of a journal row, checksums, and raw packets decoded again."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from zlib import crc32

import msgspec

from hub.errors import CorruptError
from hub.model.heard import Heard
from hub.model.records import Batch, Body, Control, Letter, Record, Revision

Row = tuple[int, int, int, bytes, int]
"""(position, t, received_at, body, checksum)"""

Decode = Callable[[bytes], Sequence[Heard]]
"""Raw PUBLISH packets to messages; the bridge's codec, handed in."""

COLUMNS = "position, t, received_at, body, checksum"

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Body)


def to_row(record: Record) -> Row:
    """Return the journal row of ``record``."""
    body = _encoder.encode(record.body)
    seal = checksum(body, record.position, record.t, record.received_at)
    return record.position, record.t, record.received_at, body, seal


def from_row(row: Row, decode: Decode, bodies: Callable[[Revision], Mapping[str, bytes]]) -> Record:
    """Return the record of ``row``; CorruptError ``corrupt_record`` when it is not what was written."""
    position, t, received_at, body, seal = row
    if not is_sealed(seal, body, position, t, received_at):
        raise CorruptError("corrupt_record", f"record {position} fails its checksum", position=position)
    try:
        content = _decoder.decode(body)
        messages: Sequence[Heard] = decode(content.packets) if isinstance(content, Batch) else letters_of(content)
    except ValueError as error:
        message = f"record {position} is whole, but not understood: {error}"
        raise CorruptError("unreadable_record", message, position=position) from error
    documents = bodies(content) if isinstance(content, Revision) else {}
    return Record(position, t, received_at, content, messages, documents)


def letters_of(content: object) -> Sequence[Letter]:
    """Return the messages of a record that is no batch: what a request asks to be taken again."""
    return content.letters if isinstance(content, Control) else ()


def may_be_revision(head: object) -> bool:
    """Return whether a row whose body begins with ``head`` is a revision, or damaged, without reading it."""
    return not isinstance(head, bytes) or head[1:].startswith(b"\xa4type\xa8revision")


def bodies_of(connection: sqlite3.Connection, revision: Revision) -> Mapping[str, bytes]:
    """Return the documents that ``revision`` puts, by hash; CorruptError for one that is gone or damaged."""
    found: dict[str, bytes] = {}
    for digest in dict.fromkeys(revision.put.values()):
        row = connection.execute("SELECT body, checksum FROM bodies WHERE hash = ?", (digest,)).fetchone()
        if row is None or not is_sealed(row[1], row[0], digest):
            raise CorruptError("damaged_body", f"the body {digest} of a revision is gone or damaged")
        found[digest] = row[0]
    return found


def checksum(body: bytes, *names: int | str) -> int:
    """Return the CRC-32 of a row: its body, and the columns that name it."""
    return crc32(body, crc32(repr(names).encode()))


def is_sealed(seal: object, body: object, *names: object) -> bool:
    """Return whether a row is what was written; a flipped byte may have given a column another type."""
    return isinstance(body, bytes) and seal == crc32(body, crc32(repr(names).encode()))
