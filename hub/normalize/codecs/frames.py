"""Frames of bytes: beginning, end, length and checksum, before a single value is read."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import xor

from hub.errors import ConfigError, PoisonError
from hub.normalize.payload import Check, OwnLength, Payload
from hub.normalize.places import Number

CheckFrame = Callable[[bytes], None]
"""Raises PoisonError ``bad_length``, ``bad_frame`` or ``bad_checksum`` for bytes that are not whole."""

_BYTE_ORDERS = {Number.U8: (1, "little"), Number.U16LE: (2, "little"), Number.U16BE: (2, "big")}


def compile_frame(payload: Payload) -> CheckFrame | None:
    """Return the check of a whole payload; None when the profile promises nothing about it."""
    steps = [*_lengths(payload), *_marks(payload), *_sums(payload)]
    if not steps:
        return None
    if len(steps) == 1:
        return steps[0]

    def check(data: bytes) -> None:
        for step in steps:
            step(data)

    return check


def _lengths(payload: Payload) -> list[CheckFrame]:
    length = payload.length
    if length is None:
        return []
    if isinstance(length, OwnLength):
        return [_own_length(length)]
    known = frozenset(length)
    promised = " or ".join(str(size) for size in length)

    def check(data: bytes) -> None:
        if len(data) not in known:
            raise PoisonError("bad_length", f"{len(data)} bytes, not {promised}")

    return [check]


def _own_length(words: OwnLength) -> CheckFrame:
    if words.as_ not in _BYTE_ORDERS:
        raise ConfigError("bad_place", f"a length is written as {', '.join(_BYTE_ORDERS)}", path=("payload", "length"))
    size, order = _BYTE_ORDERS[words.as_]
    at, plus = words.at, words.plus

    def check(data: bytes) -> None:
        promised = int.from_bytes(data[at : at + size], order) + plus  # type: ignore[arg-type]
        if len(data) < at + size or len(data) != promised:
            raise PoisonError("bad_length", f"{len(data)} bytes, not the {promised} that the frame promises")

    return check


def _marks(payload: Payload) -> list[CheckFrame]:
    first = bytes.fromhex(payload.starts or "")
    last = bytes.fromhex(payload.ends or "")
    if not first and not last:
        return []

    def check(data: bytes) -> None:
        if not (data.startswith(first) and data.endswith(last)):
            raise PoisonError("bad_frame", "it does not begin and end as a frame does")

    return [check]


def _sums(payload: Payload) -> list[CheckFrame]:
    words = payload.check
    if words is None:
        return []
    if not isinstance(words, Check):
        return [_sum8_zero]
    return [_checksum(words)]


def _sum8_zero(data: bytes) -> None:
    if sum(data) & 0xFF:
        raise PoisonError("bad_checksum", "the bytes do not add up to 0 mod 256")


def _checksum(words: Check) -> CheckFrame:
    compute, size, order = _ALGORITHMS[words.as_]
    start, stop, at = words.from_, words.to, words.at

    def check(data: bytes) -> None:
        begin = at if at >= 0 else len(data) + at
        if begin < 0 or begin + size > len(data):
            raise PoisonError("bad_length", f"{len(data)} bytes hold no checksum")
        if int.from_bytes(data[begin : begin + size], order) != compute(data[start:stop]):  # type: ignore[arg-type]
            raise PoisonError("bad_checksum", f"its {words.as_} is another")

    return check


def _sum8(data: bytes) -> int:
    return sum(data) & 0xFF


def _xor8(data: bytes) -> int:
    return reduce(xor, data, 0)


def _crc_table(polynomial: int, *, reflected: bool) -> tuple[int, ...]:
    def entry(byte: int) -> int:
        crc = byte if reflected else byte << 8
        for _ in range(8):
            if reflected:
                crc = crc >> 1 ^ (polynomial if crc & 1 else 0)
            else:
                crc = (crc << 1 ^ (polynomial if crc & 0x8000 else 0)) & 0xFFFF
        return crc

    return tuple(entry(byte) for byte in range(256))


_MODBUS = _crc_table(0xA001, reflected=True)
_CCITT = _crc_table(0x1021, reflected=False)


def _crc16_modbus(data: bytes) -> int:
    crc = 0xFFFF
    for byte in data:
        crc = crc >> 8 ^ _MODBUS[(crc ^ byte) & 0xFF]
    return crc


def _crc16_ccitt(data: bytes) -> int:
    crc = 0xFFFF
    for byte in data:
        crc = (crc << 8 & 0xFFFF) ^ _CCITT[crc >> 8 ^ byte]
    return crc


_ALGORITHMS: dict[str, tuple[Callable[[bytes], int], int, str]] = {
    "sum8": (_sum8, 1, "little"),
    "xor8": (_xor8, 1, "little"),
    "crc16_modbus": (_crc16_modbus, 2, "little"),
    "crc16_ccitt": (_crc16_ccitt, 2, "big"),
}
"""What a checksum is computed with, its size in bytes and their order."""

CHECKSUMS = frozenset({*_ALGORITHMS, "sum8_zero"})


def checksum(name: str, data: bytes) -> bytes:
    """Return the bytes that stand behind ``data`` in a frame whose checksum is ``name``, one of CHECKSUMS."""
    if name == "sum8_zero":
        return bytes([-sum(data) & 0xFF])
    compute, size, order = _ALGORITHMS[name]
    return compute(data).to_bytes(size, order)  # type: ignore[arg-type]
