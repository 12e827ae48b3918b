"""Slices of bytes: texts in the charsets of devices, hexadecimal, BCD, and times of six bytes."""

from __future__ import annotations

import re
from collections.abc import Callable

from hub.errors import PoisonError
from hub.normalize.places import Coding, SlicePlace

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_CHARSETS = {Coding.ASCII: "ascii", Coding.UTF8: "utf-8", Coding.GB18030: "gb18030"}
MAX_SLICE = 1_024


def slice_reader(spot: SlicePlace) -> Callable[[bytes, int], object]:
    """Return what reads a slice of bytes, ``spot.at`` further than it is told; bad BCD is PoisonError ``bad_value``."""
    at, size, decode = spot.at, spot.size or MAX_SLICE, _decoder(spot.coding)
    return lambda data, base: decode(data[base + at : base + at + size])


def _decoder(coding: Coding) -> Callable[[bytes], object]:
    match coding:
        case Coding.ASCII | Coding.UTF8 | Coding.GB18030:
            return _text(_CHARSETS[coding])
        case Coding.HEX:
            return bytes.hex
        case Coding.BCD:
            return bcd
        case Coding.BCD_LE:
            return lambda data: bcd(data[::-1])
        case Coding.RAW:
            return bytes


def _text(charset: str) -> Callable[[bytes], str | None]:
    def decode(data: bytes) -> str | None:
        text = data.partition(b"\0")[0].decode(charset, "replace")
        return (text if text.isprintable() else _CONTROL.sub("", text)).strip() or None

    return decode


def bcd(data: bytes) -> int:
    """Return the number of two decimal digits a byte, most significant first. Raises PoisonError ``bad_value``."""
    digits = data.hex()
    if not digits.isdecimal():
        raise PoisonError("bad_value", "not two decimal digits a byte")
    return int(digits)
