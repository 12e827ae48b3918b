"""The nouns of a trace: one raw value, where it lies, what it is for and what became of it; and those of a frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from hub.authoring.anatomy import Anatomy, Extent, Section
from hub.catalogue import Kind
from hub.model.heard import Reading
from hub.model.values import Scalar
from hub.normalize.payload import Check, OwnLength, Payload, SizeBy
from hub.normalize.places import BytePlace, ChannelPlace, InPlace, Number, Place, SlicePlace
from hub.normalize.slots import Path


class Use(StrEnum):
    """What a raw value is for; ``unused`` was read and yet nothing came of it: no value, or another one counts."""

    PROPERTY = "property"
    FLAG = "flag"
    SIGNAL = "signal"
    PART = "part"
    TIME = "time"
    IDENTITY = "identity"
    BACKFILL = "backfill"
    CONDITION = "condition"
    UNUSED = "unused"
    FRAME = "frame"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One raw value at work. ``where`` is the place as a profile writes it, ``path`` where in the profile.

    ``reading`` counts from 0. ``is_wrong``: outside its range, or what the error is about.
    """

    extent: Extent
    where: str
    use: Use
    name: str
    raw: object = None
    value: Scalar | None = None
    unit: str | None = None
    path: Path = ()
    reading: int | None = None
    is_wrong: bool = False


FRAME_CODES = {"bad_checksum": "checksum", "bad_length": "length", "bad_frame": "frame"}
"""Errors of a frame whose bytes can be looked at all the same, and the mark that they are about."""

_CHECK_BYTES = {"sum8": 1, "xor8": 1, "crc16_modbus": 2, "crc16_ccitt": 2}


def written(place: Place) -> str:
    """Return a place as a profile writes it: ``3:u16le``, ``3[0,4]``, ``04 82@0``, ``D>10``, ``ANPR/line``."""
    match place:
        case BytePlace(at, number, bits):
            return (
                f"{at}{'' if number is Number.U8 else f':{number}'}{'' if bits is None else f'[{bits[0]},{bits[1]}]'}"
            )
        case SlicePlace(at, size, coding):
            return f"{at}:{coding}{'' if size is None else f'({size})'}"
        case ChannelPlace(channel, inner):
            return f"{channel.hex(' ').upper()}@{written(inner)}"
        case InPlace(block, inner):
            return f"{block}>{written(inner)}"
        case _:
            return place


def frame_marks(payload: Payload, anatomy: Anatomy, code: str) -> Iterator[Mark]:
    """Yield the bytes that frame the others; ``code`` is the error of the whole, or ""."""
    wrong = FRAME_CODES.get(code)
    data = anatomy.whole.data
    is_summed = wrong in {None, "checksum"}  # of a frame that is not whole nobody looks at the sum
    for name, begin, end in (*_spans(payload, len(data)), *_keys(anatomy)):
        if 0 <= begin < end <= len(data) and (is_summed or name != "checksum"):
            kind = "frame" if name in {"start", "end"} else name
            yield Mark(
                extent=Extent("", (begin, end)), where=str(begin), use=Use.FRAME, name=name,
                raw=data[begin:end].hex(" "), path=("payload",), is_wrong=kind == wrong,
            )  # fmt: skip
    if payload.check == "sum8_zero" and is_summed:
        yield Mark(
            extent=Extent("", ()), where="all bytes", use=Use.FRAME, name="checksum", raw=f"sum {sum(data) & 0xFF}",
            path=("payload", "check"), is_wrong=wrong == "checksum",
        )  # fmt: skip
    for name, extent in anatomy.carriers():
        yield Mark(extent=extent, where=name, use=Use.FRAME, name=f"block {name}", path=("payload", "inside", name))


def _spans(payload: Payload, size: int) -> Iterator[tuple[str, int, int]]:
    if payload.starts:
        yield "start", 0, len(payload.starts) // 2
    if payload.ends:
        yield "end", size - len(payload.ends) // 2, size
    if isinstance(payload.length, OwnLength):
        yield "length", payload.length.at, payload.length.at + (1 if payload.length.as_ is Number.U8 else 2)
    if isinstance(payload.check, Check):
        at = payload.check.at + (size if payload.check.at < 0 else 0)
        yield "checksum", at, at + _CHECK_BYTES[payload.check.as_]
    if payload.records is not None and payload.records.count is not None:
        yield "count of records", payload.records.count, payload.records.count + 1
    if payload.records is not None and isinstance(payload.records.size, SizeBy):
        yield "sort of records", payload.records.size.at, payload.records.size.at + 1


def _keys(anatomy: Anatomy) -> Iterator[tuple[str, int, int]]:
    for extent in anatomy.whole.channel_keys():
        yield ("key of a channel", *extent.bytes)


_NATIVE = {"part": Use.PART, "t": Use.TIME}


def native_marks(whole: Section, readings: Sequence[Reading], kind: Kind) -> Iterator[Mark]:
    """Yield the leaves of the hub's own payload that became something."""
    for leaf in whole.leaves or ():
        number, steps = (int(leaf.steps[0]), leaf.steps[1:]) if leaf.steps[0].isdigit() else (0, leaf.steps)
        reading = readings[number] if number < len(readings) else Reading({})
        extent = Extent("", (leaf.path,))
        match steps:
            case ("values", str() as name) if name in reading.values:
                yield Mark(
                    extent=extent, where=leaf.path, use=Use.PROPERTY, name=name, raw=leaf.raw, reading=number,
                    value=reading.values[name], unit=kind.properties[name].unit, is_wrong=name in reading.bad,
                )  # fmt: skip
            case ("signals", _, str() as key):
                yield Mark(extent=extent, where=leaf.path, use=Use.SIGNAL, name=key, raw=leaf.raw, reading=number)
            case (str() as word,) if word in _NATIVE:
                yield Mark(extent=extent, where=leaf.path, use=_NATIVE[word], name=word, raw=leaf.raw, reading=number)
            case _:
                continue
