"""Payloads of bytes: numbers at fixed offsets, with an optional length and checksum."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

from hub.errors import ConfigError, PoisonError
from hub.normalize.codecs.codec import Decode
from hub.normalize.profile import FRACTIONS, BytePlace, Number, Payload, Place

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
_Read = Callable[[bytes], Sequence[Any]]


def compile_bytes(payload: Payload, places: Sequence[Place]) -> Decode:
    """Prepare decoding; PoisonErrors are ``bad_length`` and ``bad_checksum``. A place beyond the end is absent."""
    spots = [_spot(place) for place in places]
    length, adds_up_to_zero = payload.length, payload.check == "sum8_zero"
    for place, spot in zip(places, spots, strict=True):
        if length is not None and _end(spot) > length:
            message = f"byte {_end(spot) - 1} lies beyond the length {length}"
            raise ConfigError("beyond_end", message, place=place)
    read = _variable(spots) if length is None else _fixed(spots, length)

    def decode(data: bytes) -> Sequence[object]:
        if length is not None and len(data) != length:
            raise PoisonError("bad_length", f"{len(data)} bytes, not {length}")
        if adds_up_to_zero and sum(data) & 0xFF:
            raise PoisonError("bad_checksum", "the bytes do not add up to 0 mod 256")
        return read(data)

    return decode


def _spot(place: Place) -> BytePlace:
    """Return where a place is; that of a condition is written as an offset, and means the byte there."""
    if isinstance(place, str):
        if not (place.isascii() and place.isdigit()):
            hint = "write at: 3, or 3 as a condition"
            raise ConfigError("bad_place", f"{place!r} is no offset of a byte", hint=hint, place=place)
        return BytePlace(int(place), Number.U8, None)
    if place.bits is not None:
        lowest, count = place.bits
        if place.number in FRACTIONS or lowest + count > 8 * _LAYOUTS[place.number].size:
            raise ConfigError("bad_bits", f"{place.number.value} has no bits [{lowest}, {count}]", place=place)
    return place


def _end(spot: BytePlace) -> int:
    return spot.at + _LAYOUTS[spot.number].size


def _variable(spots: Sequence[BytePlace]) -> _Read:
    """Read what is there of a payload whose length varies."""
    columns = tuple((spot, _end(spot), _LAYOUTS[spot.number]) for spot in spots)

    def read(data: bytes) -> Sequence[object]:
        size = len(data)
        return [_one(data, spot, layout) if end <= size else None for spot, end, layout in columns]

    return read


def _one(data: bytes, spot: BytePlace, layout: struct.Struct) -> object:
    (value,) = layout.unpack_from(data, spot.at)
    if spot.bits is None:
        return value
    lowest, mask = _bits(spot)
    return value >> lowest & mask


def _fixed(spots: Sequence[BytePlace], length: int) -> _Read:
    """Read everything by one layout when the places neither overlap nor differ in byte order: 0.4 us less for four."""
    layout = _one_layout(spots, length)
    if layout is None:
        return _variable(spots)
    shifts = tuple((index, *_bits(spot)) for index, spot in enumerate(spots) if spot.bits is not None)
    if not shifts:
        return layout.unpack

    def read(data: bytes) -> Sequence[object]:
        row = [*layout.unpack(data)]
        for index, lowest, mask in shifts:
            row[index] = row[index] >> lowest & mask
        return row

    return read


def _one_layout(spots: Sequence[BytePlace], length: int) -> struct.Struct | None:
    orders = {_LAYOUTS[spot.number].format[0] for spot in spots if _LAYOUTS[spot.number].size > 1}
    end, words = 0, ""
    for spot in spots:
        if spot.at < end or len(orders) > 1:
            return None
        words += f"{spot.at - end}x{_LAYOUTS[spot.number].format[1]}"
        end = _end(spot)
    return struct.Struct(f"{''.join(orders) or '<'}{words}{length - end}x")


def _bits(spot: BytePlace) -> tuple[int, int]:
    """Return (shift, mask) of the bits of a place, all of them when it names none."""
    lowest, count = spot.bits or (0, 8 * _LAYOUTS[spot.number].size)
    return lowest, (1 << count) - 1
