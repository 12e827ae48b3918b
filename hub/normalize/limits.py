"""What no payload may exceed: sizes, depths and texts that would hurt whoever comes after."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from math import isfinite
from typing import Final

import msgspec

from hub.errors import PoisonError

MAX_DEPTH: Final = 16
MAX_KEYS: Final = 256
MAX_ELEMENTS: Final = 1_000
MAX_TEXT: Final = 1_024
MAX_BYTES: Final = 256 * 1_024
"""Of a payload once it is unpacked; as large as the engine lets one be before."""
MANY_KEYS: Final = 4_096
"""In a payload with records, of which each has its own."""
INT64_LOW: Final = -(2**63)
INT64_HIGH: Final = 2**63 - 1

# A clock before or after is not set (1970, 2000) or counts in another unit. Such a message has no device time: the
# hub's own is honest, and an alarm must not die of an empty clock battery.
CLOCK_LOW_NS: Final = int(datetime(2010, 1, 1, tzinfo=UTC).timestamp()) * 10**9
CLOCK_HIGH_NS: Final = int(datetime(2200, 1, 1, tzinfo=UTC).timestamp()) * 10**9

_SHORTEST_KEY: Final = len('"":0,')
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_PART = re.compile(r"[A-Za-z0-9_.-]{1,64}")
# Also matches a string without an end, so that hostile quotes cost linear time.
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")


def is_clean(text: str) -> bool:
    """Return whether a text is short enough and free of control characters and lone surrogates."""
    # isprintable is one C call but also refuses some spaces; the expression decides about those.
    return len(text) <= MAX_TEXT and (text.isprintable() or _CONTROL.search(text) is None)


def clean_part(part: str) -> str:
    """Return ``part`` when it may be a tag and stand behind ``#``; raises PoisonError ``bad_part``."""
    if _PART.fullmatch(part) is None:
        raise PoisonError("bad_part", "a part is 1 to 64 letters, digits, _ . -")
    return part


def check_depth(payload: bytes) -> None:
    """Raise PoisonError ``too_deep`` for a JSON text of more than 16 levels, before it is decoded.

    A decoder fails at a depth that depends on how deep the caller's own stack is; the same message must always end the
    same way. Counting the opening brackets bounds the depth from above; only a text over it is looked at exactly.
    """
    openings = payload.count(b"{")
    if b"[" in payload:
        openings += payload.count(b"[")
    if openings > MAX_DEPTH:
        depth = 0
        for bracket in _STRING.sub(b"", payload).translate(None, _NO_BRACKETS):
            depth += 1 if bracket in b"[{" else -1
            if depth > MAX_DEPTH:
                raise PoisonError("too_deep", f"more than {MAX_DEPTH} levels")


def check_json(payload: bytes, keys: int = MAX_KEYS) -> None:
    """Raise PoisonError ``too_deep``, or ``too_many_keys`` for more than ``keys`` in all. 0.3 us for 600 bytes."""
    check_depth(payload)
    is_suspect = len(payload) > _SHORTEST_KEY * keys and payload.count(b":") > keys
    if is_suspect and _STRING.sub(b"", payload).count(b":") > keys:
        raise PoisonError("too_many_keys", f"more than {keys} keys")


def json_error(error: Exception) -> PoisonError:
    """Return what a failed decoding means: ``too_deep``, ``bad_value`` (wrong type) or ``bad_json``."""
    match error:
        case RecursionError():
            return PoisonError("too_deep", f"more than {MAX_DEPTH} levels")
        case msgspec.ValidationError():
            return PoisonError("bad_value", str(error))
        case _:
            return PoisonError("bad_json", str(error)[:200])


def loosely(payload: bytes, refusal: PoisonError) -> object:
    """Return a document that the decoder refuses, as Python reads it; raises ``refusal`` for one that is no JSON to it.

    No alarm dies of how something beside it is written: an object that is a list, a name in GBK or with a line break in
    it, a BOM before or a NUL behind, NaN or infinity, which Python and C write though JSON has none. Those become {},
    nobody's value, as do numbers of so many digits that Python reads none.
    """
    try:
        text = payload.rstrip(b"\0").decode("utf-8-sig", "replace")
        return json.loads(text, strict=False, parse_constant=_no_number, parse_float=_finite, parse_int=_whole)
    except (ValueError, RecursionError):
        raise refusal from None


def _whole(text: str) -> object:
    return int(text) if len(text) <= MAX_TEXT else {}


def _no_number(_name: str) -> object:
    return {}


def _finite(text: str) -> object:
    value = float(text)
    return value if isfinite(value) else {}
