"""What values may be whose path is like no property: a moment, packed bytes, a number that means unknown; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

_NOTHING_YET = "a property, a signal, or nothing?"
_PACKED = re.compile(r"[A-Za-z0-9+/]{8,}={0,2}")
_HEX = re.compile(r"([0-9A-Fa-f]{2}){4,}")
_CLOCKS: Mapping[str, str] = {
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d": '"%Y-%m-%d %H:%M:%S"', r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d": '"%Y/%m/%d %H:%M:%S"',
    r"\d{14}": '"%Y%m%d%H%M%S"', r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d.*)?": "iso8601",
}  # fmt: skip
_EPOCHS: Mapping[str, range] = {"unix": range(10**9, 4 * 10**9), "unix_ms": range(10**12, 4 * 10**12)}
_SENTINELS = {255, 65_535, 0xFFFFFFFF, 32_767, -32_768, -1, 999, 9_999, 99_999}


def supposed(path: str, raws: Sequence[object]) -> str:
    """Return what ``raws`` might be, as the words that would say so; else that somebody must decide."""
    values = [raw for raw in raws if raw is not None]
    texts = [raw for raw in values if isinstance(raw, str)]
    if texts and len(texts) == len(values):
        return _supposed_text(path, texts)
    numbers = [raw for raw in values if isinstance(raw, int) and not isinstance(raw, bool)]
    clock = next((name for name, span in _EPOCHS.items() if numbers and all(raw in span for raw in numbers)), None)
    if clock is not None:
        return f"the time? time: {{from: [{{path: {path}, format: {clock}}}]}}"
    unknown = sorted(_SENTINELS.intersection(numbers))
    return _NOTHING_YET + (f" Does {unknown[0]} mean unknown? absent: {unknown}" if unknown else "")


def _supposed_text(path: str, texts: Sequence[str]) -> str:
    for form, words in _CLOCKS.items():
        if all(re.fullmatch(form, text) for text in texts):
            return f"the time? time: {{from: [{{path: {path}, format: {words}}}]}}"
    if all(_HEX.fullmatch(text) for text in texts) and any(re.search("[A-Fa-f]", text) for text in texts):
        return f"bytes? {_block(path, 'hex', [len(text) // 2 for text in texts])}"
    if all(_PACKED.fullmatch(text) and len(text) % 4 == 0 for text in texts) and any(map(_is_mixed, texts)):
        return f"bytes? {_block(path, 'base64', [len(text) * 3 // 4 - text.count('=') for text in texts])}"
    return _NOTHING_YET


def _block(path: str, coding: str, sizes: Sequence[int]) -> str:
    told = ", ".join(map(str, dict.fromkeys(sizes)))
    return f"payload: {{inside: {{D: {{path: {path}, as: {coding}}}}}}}, {told} bytes, then in: D, at: 0 …"


def _is_mixed(text: str) -> bool:
    """Whether it looks packed, and not like a word or a number."""
    kinds = ("[a-z]", "[A-Z]", "[0-9+/=]")
    return sum(re.search(kind, text) is not None for kind in kinds) == len(kinds)
