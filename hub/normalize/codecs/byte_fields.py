"""Payloads of bytes: numbers and texts at fixed offsets, in a frame that is checked."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Sequence
from typing import Any

from hub.errors import ConfigError
from hub.normalize.codecs.codec import Decode, Unread
from hub.normalize.codecs.frames import compile_frame
from hub.normalize.codecs.slices import slice_reader
from hub.normalize.payload import OwnLength, Payload
from hub.normalize.places import FRACTIONS, BytePlace, Number, Place, SlicePlace

_LAYOUTS: dict[Number, struct.Struct] = {
    Number.U8: struct.Struct("<B"),
    Number.I8: struct.Struct("<b"),
    Number.U16LE: struct.Struct("<H"),
    Number.U16BE: struct.Struct(">H"),
    Number.I16LE: struct.Struct("<h"),
    Number.I16BE: struct.Struct(">h"),
    Number.U32LE: struct.Struct("<I"),
    Number.U32BE: struct.Struct(">I"),
    Number.I32LE: struct.Struct("<i"),
    Number.I32BE: struct.Struct(">i"),
    Number.U64LE: struct.Struct("<Q"),
    Number.U64BE: struct.Struct(">Q"),
    Number.F32LE: struct.Struct("<f"),
    Number.F32BE: struct.Struct(">f"),
}
_THREE = {Number.U24LE: "little", Number.U24BE: "big"}
_WRITTEN = re.compile(r"(?P<at>[0-9]{1,5})(?::(?P<number>[a-z0-9]+))?(?:\[(?P<lowest>[0-9]+),(?P<count>[0-9]+)\])?")
_Spot = BytePlace | SlicePlace
ReadAt = Callable[[bytes, int], Any]
"""Reads one value of bytes that begin at an offset; the caller has made sure that they are there."""


def compile_bytes(payload: Payload, places: Sequence[Place], _unread: Unread) -> Decode:
    """Prepare decoding. A place beyond the end is absent.

    PoisonErrors are ``bad_length``, ``bad_frame`` and ``bad_checksum``.
    """
    check = compile_frame(payload)
    read = compile_spots(payload, places)
    if check is None:
        return read

    def decode(data: bytes) -> Sequence[object]:
        check(data)
        return read(data)

    return decode


def compile_spots(payload: Payload, places: Sequence[Place]) -> Callable[[bytes], Sequence[Any]]:
    """Return the reading of ``places`` in bytes whose frame has been checked."""
    spots = [spot_of(place) for place in places]
    length = None if payload.length is None or isinstance(payload.length, OwnLength) else max(payload.length)
    for place, spot in zip(places, spots, strict=True):
        if length is not None and end_of(spot) > length:
            message = f"byte {end_of(spot) - 1} lies beyond the length {length}"
            raise ConfigError("beyond_end", message, place=place)
    is_fixed = length is not None and isinstance(payload.length, tuple) and len(payload.length) == 1
    return _fixed(spots, length) if is_fixed and length is not None else _variable(spots)


def spot_of(place: Place) -> _Spot:
    """Return where a place is; that of a condition is written ``3``, ``3:u16le`` or ``3[0,4]``."""
    if isinstance(place, str):
        place = _written(place)
    if not isinstance(place, BytePlace | SlicePlace):
        raise ConfigError("bad_place", "not a place in these bytes", hint="write at: 3", place=place)
    if isinstance(place, BytePlace) and place.bits is not None:
        lowest, count = place.bits
        if place.number in FRACTIONS or lowest + count > 8 * size_of(place):
            raise ConfigError("bad_bits", f"{place.number.value} has no bits [{lowest}, {count}]", place=place)
    return place


def _written(text: str) -> BytePlace:
    found = _WRITTEN.fullmatch(text) if text.isascii() else None
    known = {number.value for number in Number}
    if found is None or (found["number"] or "u8") not in known:
        hint = "write at: 3, or 3 as a condition (3:u16le, 3[0,4])"
        raise ConfigError("bad_place", f"{text!r} is no offset of a byte", hint=hint, place=text)
    bits = (int(found["lowest"]), int(found["count"])) if found["count"] else None
    return BytePlace(int(found["at"]), Number(found["number"] or "u8"), bits)


def size_of(spot: _Spot) -> int:
    """Return how many bytes a value takes; a slice to the end takes none that must be there."""
    if isinstance(spot, SlicePlace):
        return spot.size or 0
    return 3 if spot.number in _THREE else _LAYOUTS[spot.number].size


def end_of(spot: _Spot) -> int:
    """Return the offset after the last byte of a value."""
    return spot.at + size_of(spot)


def reader(spot: _Spot) -> ReadAt:
    """Return what reads one value, ``spot.at`` further than it is told."""
    if isinstance(spot, SlicePlace):
        return slice_reader(spot)
    at, (lowest, mask) = spot.at, _bits(spot)
    order = _THREE.get(spot.number)
    if order is not None:
        return lambda data, base: int.from_bytes(data[base + at : base + at + 3], order) >> lowest & mask  # type: ignore[arg-type]
    unpack = _LAYOUTS[spot.number].unpack_from
    if spot.bits is None:
        return lambda data, base: unpack(data, base + at)[0]
    return lambda data, base: unpack(data, base + at)[0] >> lowest & mask


def _variable(spots: Sequence[_Spot]) -> Callable[[bytes], Sequence[Any]]:
    """Read what is there of a payload whose length varies."""
    columns = tuple((end_of(spot), reader(spot)) for spot in spots)

    def read(data: bytes) -> Sequence[object]:
        size = len(data)
        return [read_at(data, 0) if end <= size else None for end, read_at in columns]

    return read


def _fixed(spots: Sequence[_Spot], length: int) -> Callable[[bytes], Sequence[Any]]:
    """Read everything by one layout when the places neither overlap nor differ in byte order: 0.4 us less for four."""
    layout = _one_layout(spots, length)
    if layout is None:
        return _variable(spots)
    shifts = tuple(
        (index, *_bits(spot)) for index, spot in enumerate(spots) if isinstance(spot, BytePlace) and spot.bits
    )
    if not shifts:
        return layout.unpack

    def read(data: bytes) -> Sequence[object]:
        row = [*layout.unpack(data)]
        for index, lowest, mask in shifts:
            row[index] = row[index] >> lowest & mask
        return row

    return read


def _one_layout(spots: Sequence[_Spot], length: int) -> struct.Struct | None:
    words, end, orders = "", 0, set()
    for spot in spots:
        layout = _LAYOUTS.get(spot.number) if isinstance(spot, BytePlace) else None
        if layout is None or spot.at < end:
            return None
        orders |= {layout.format[0]} if layout.size > 1 else set()
        words += f"{spot.at - end}x{layout.format[1]}"
        end = end_of(spot)
    if len(orders) > 1:
        return None
    return struct.Struct(f"{''.join(orders) or '<'}{words}{length - end}x")


def _bits(spot: BytePlace) -> tuple[int, int]:
    """Return (shift, mask) of the bits of a place, all of them when it names none."""
    lowest, count = spot.bits or (0, 8 * size_of(spot))
    return lowest, (1 << count) - 1
