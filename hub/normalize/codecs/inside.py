"""Blocks inside a payload: base64, hexadecimal or text in a field, with a format of their own."""

from __future__ import annotations

import binascii
import zlib
from collections.abc import Callable, Mapping, Sequence

from hub.errors import PoisonError
from hub.normalize.codecs.codec import Codec, Decode, Row, Unread
from hub.normalize.limits import MAX_BYTES
from hub.normalize.payload import Format, Inside, Payload
from hub.normalize.places import Coding, InPlace, Place, SlicePlace

_Block = tuple[int, Callable[[object], bytes], Decode, int]
"""(index of the carrier, how it becomes bytes, how these are decoded, how many values they hold)."""


class Blocks:
    """The blocks of a payload: a row with their carriers becomes a row with what they hold.

    A block that cannot be read is absent, and told to ``unread`` with ``bad_block``, ``bad_length`` or the code of its
    own format.
    """

    def __init__(
        self, payload: Payload, places: Sequence[Place], unread: Unread, codecs: Mapping[Format, Codec]
    ) -> None:
        names = list(payload.inside)
        outer = [place for place in places if not (isinstance(place, InPlace) and place.block in payload.inside)]
        self.asked: Sequence[Place] = [*outer, *(carrier_of(name, payload.inside[name]) for name in names)]
        self._width = len(outer)
        self._unread, self._inside = unread, Unread(is_strict=True)
        self._blocks: list[_Block] = []
        held: list[Place] = list(outer)
        for index, (name, words) in enumerate(payload.inside.items(), len(outer)):
            mine = [place for place in places if isinstance(place, InPlace) and place.block == name]
            decode = codecs[Format(words.format)](words.payload(), [place.place for place in mine], self._inside)
            self._blocks.append((index, unpacker(words), decode, len(mine)))
            held += mine
        self.held: Sequence[Place] = held

    def opened(self, row: Row) -> Row:
        """Return a row of ``held`` for a row of ``asked``."""
        found = [*row[: self._width]]
        for index, unpack, decode, count in self._blocks:
            carrier = row[index]
            if carrier is None:
                found += [None] * count
                continue
            try:
                found += decode(unpack(carrier))
            except PoisonError as error:
                self._unread.error = error
                found += [None] * count
        if self._inside.error is not None:
            self._unread.error, self._inside.error = self._inside.error, None
        return found


def carrier_of(name: str, words: Inside) -> Place:
    return (words.path or name) if words.at is None else SlicePlace(words.at, None, Coding.RAW)


def unpacker(words: Inside) -> Callable[[object], bytes]:
    unpack = {"base64": _base64, "hex": _hex, "text": str.encode}[words.as_]
    lengths = frozenset(words.lengths or ())
    promised = " or ".join(str(length) for length in words.lengths or ())

    def read(raw: object) -> bytes:
        if raw.__class__ is not str and raw.__class__ is not bytes:
            raise PoisonError("bad_block", "not a text")
        try:
            data = raw if isinstance(raw, bytes) else unpack(raw)  # type: ignore[operator]
        except (binascii.Error, ValueError):
            raise PoisonError("bad_block", f"not {words.as_}") from None
        if lengths and len(data) not in lengths:
            raise PoisonError("bad_length", f"{len(data)} bytes inside, not {promised}")
        return data

    return read


def _base64(text: str) -> bytes:
    return binascii.a2b_base64(text, strict_mode=True)


def _hex(text: str) -> bytes:
    return bytes.fromhex(text)


def inflated(data: bytes) -> bytes:
    """Return what ``data`` says without its compression (zlib, gzip or bare deflate), or itself when it has none.

    Some devices promise a compression and send plain text; so only what unpacks to its very end was packed. Raises
    PoisonError ``too_large``, before it has unpacked more than that.
    """
    for window in (zlib.MAX_WBITS | 32, -zlib.MAX_WBITS):
        unpacker = zlib.decompressobj(window)
        try:
            found = unpacker.decompress(data, MAX_BYTES + 1)
        except zlib.error:
            continue
        if len(found) > MAX_BYTES:
            raise PoisonError("too_large", f"more than {MAX_BYTES} bytes when unpacked")
        if unpacker.eof and not unpacker.unused_data:
            return found
    return data
