"""Records to rows and back: the columns of a journal row, its checksum, and raw packets decoded again."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence

import msgspec

from hub.errors import CorruptError
from hub.model import Batch, Body, Heard, Record, Revision

Row = tuple[int, int, int, bytes, int]
"""(position, t, received_at, body, checksum)"""

Decode = Callable[[bytes], Sequence[Heard]]
"""Raw PUBLISH packets to messages; the bridge's codec, handed in."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Body)


def to_row(record: Record) -> Row:
    """Return the journal row of ``record``."""
    body = _encoder.encode(record.body)
    return record.position, record.t, record.received_at, body, _checksum(record.position, record.t, record.received_at, body)


def from_row(row: Row, decode: Decode, bodies: Callable[[Revision], Mapping[str, bytes]]) -> Record:
    """Return the record of ``row``; CorruptError ``corrupt_record`` when it is not what was written."""
    position, t, received_at, body, checksum = row
    if _checksum(position, t, received_at, body) != checksum:
        code = "corrupt_record"
        raise CorruptError(code, f"record {position} fails its checksum", position=position)
    content = _decoder.decode(body)
    messages: Sequence[Heard] = decode(content.packets) if isinstance(content, Batch) else ()
    documents = bodies(content) if isinstance(content, Revision) else {}
    return Record(position, t, received_at, content, messages, documents)


def _checksum(position: int, t: int, received_at: int, body: bytes) -> int:
    return zlib.crc32(body, zlib.crc32(b"%d %d %d" % (position, t, received_at)))
