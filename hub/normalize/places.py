"""Where a raw value stands in a payload: an offset, a slice, a channel, a dotted path, or one of these in a block."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

_ESCAPED = re.compile(r'["\\\x00-\x1f]')


class Number(StrEnum):
    """How bytes of a payload make one number."""

    U8 = "u8"
    I8 = "i8"
    U16LE = "u16le"
    U16BE = "u16be"
    I16LE = "i16le"
    I16BE = "i16be"
    U24LE = "u24le"
    U24BE = "u24be"
    U32LE = "u32le"
    U32BE = "u32be"
    I32LE = "i32le"
    I32BE = "i32be"
    U64LE = "u64le"
    U64BE = "u64be"
    F32LE = "f32le"
    F32BE = "f32be"


FRACTIONS = (Number.F32LE, Number.F32BE)


class Coding(StrEnum):
    """How a slice of bytes makes a text, or (the two of BCD) a whole number; ``raw`` stays bytes.

    A text ends at its first NUL. What is no character becomes U+FFFD and control characters are left out: the label
    of a detector must never cost its fire alarm.
    """

    ASCII = "ascii"
    UTF8 = "utf8"
    GB18030 = "gb18030"
    HEX = "hex"
    BCD = "bcd"
    BCD_LE = "bcd_le"
    RAW = "raw"


class BytePlace(NamedTuple):
    """Where one number stands in a payload of bytes; ``bits`` is (lowest, count)."""

    at: int
    number: Number
    bits: tuple[int, int] | None = None


class SlicePlace(NamedTuple):
    """Where a slice stands in a payload of bytes; ``size`` None = to the end."""

    at: int
    size: int | None
    coding: Coding


class ChannelPlace(NamedTuple):
    """A place in the data behind the key of a channel."""

    channel: bytes
    place: BytePlace | SlicePlace


class InPlace(NamedTuple):
    """A place in a block that a payload carries inside, by its name; in ``$``, the whole payload of a record."""

    block: str
    place: Place


Place = BytePlace | SlicePlace | ChannelPlace | InPlace | str
"""Where a codec finds one raw value. A text is written by a person, and each codec reads it in its own way: a dotted
path (JSON), a path with slashes (XML), a key (text, form), ``3``, ``3:u16le`` or ``3[0,4]`` (bytes), ``FF 2E`` or
``FF 2E@1`` (channels)."""

LAST = "#last"
"""The place that is true in the last record of a payload, else false: what is said of the message, not of each."""

ELEMENT = "@"
"""The path of an element of an array that is no object: the number itself."""

WHOLE = "$"
"""The block that is the payload itself, for what stands outside a record."""


def path_steps(path: str) -> tuple[str, ...]:
    """Return the steps of a path of JSON; a dot that belongs to a name is written twice: ``data.PM2..5``.

    Of three dots the first two are the name's: one that begins with a dot below another cannot be said.
    """
    return tuple(step.replace("\0", ".") for step in path.replace("..", "\0").split("."))


def are_names(steps: tuple[str, ...]) -> bool:
    """Return whether each step can be the name of a field: what JSON has to escape in it no decoder of ours takes."""
    return all(steps) and not any(_ESCAPED.search(step) for step in steps)


def path_text(steps: Iterable[str]) -> str:
    """Return what ``path_steps`` reads back, but for a name below another that begins with a dot."""
    return ".".join(step.replace(".", "..") for step in steps)
