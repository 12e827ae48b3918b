"""Payloads of pairs: texts such as ``Code=BreakIn;index=0``, and forms as a browser sends them."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import parse_qsl

from hub.errors import ConfigError, PoisonError
from hub.normalize.codecs.codec import Decode, DecodeMany, Row, Unread
from hub.normalize.limits import MAX_ELEMENTS, MAX_KEYS
from hub.normalize.payload import Payload
from hub.normalize.places import Place


def compile_text(payload: Payload, places: Sequence[Place], unread: Unread) -> Decode:
    """Prepare decoding; PoisonErrors: ``bad_text``, ``too_many_keys``. A word without a value is an empty text."""
    keys = _keys(places)
    split = Splitter(payload)

    def decode(data: bytes) -> Row:
        pairs = split(_decoded(data, payload.charset, unread))
        return [pairs.get(key) for key in keys]

    return decode


def compile_text_lines(
    payload: Payload, outside: Sequence[Place], places: Sequence[Place], unread: Unread
) -> DecodeMany:
    """Prepare decoding of several records between ``lines``; nothing stands outside them."""
    if outside:
        raise ConfigError("bad_place", "nothing stands outside the lines", place=outside[0])
    keys = _keys(places)
    split = Splitter(payload)
    separator = payload.lines or "\n"

    def decode(data: bytes) -> Sequence[Row]:
        lines = [
            line for line in _decoded(data, payload.charset, unread).split(separator, MAX_ELEMENTS) if line.strip()
        ]
        if len(lines) > MAX_ELEMENTS:
            raise PoisonError("too_many_elements", f"more than {MAX_ELEMENTS} lines")
        records = [split(line) for line in lines]
        return [[pairs.get(key) for key in keys] for pairs in records or [{}]]

    return decode


def compile_form(payload: Payload, places: Sequence[Place], unread: Unread) -> Decode:
    """Prepare decoding of ``a=1&b=%E4``; PoisonErrors are ``bad_text`` and ``too_many_keys``."""
    keys = _keys(places)

    def decode(data: bytes) -> Row:
        text = _decoded(data, "utf-8", unread)
        if text.count("&") >= MAX_KEYS:
            raise PoisonError("too_many_keys", f"more than {MAX_KEYS} keys")
        try:
            pairs = dict(parse_qsl(text, keep_blank_values=True, encoding=payload.charset, errors="strict"))
        except ValueError:
            raise PoisonError("bad_text", f"not {payload.charset}") from None
        return [pairs.get(key) for key in keys]

    return decode


class Splitter:
    """A text to its pairs; of a key that is written twice the last counts."""

    def __init__(self, payload: Payload) -> None:
        self._between, self._by = payload.between or ";", payload.by
        self._rest = None if payload.rest is None else f"{payload.rest}{payload.by}"

    def __call__(self, text: str) -> dict[str, str]:
        rest = ""
        if self._rest is not None:
            begin = 0 if text.startswith(self._rest) else text.find(self._between + self._rest)
            if begin >= 0:
                text, rest = text[:begin], text[begin:].removeprefix(self._between)
        if text.count(self._between) >= MAX_KEYS:
            raise PoisonError("too_many_keys", f"more than {MAX_KEYS} keys")
        pairs: dict[str, str] = {}
        for piece in [*text.split(self._between), rest]:
            key, _, value = piece.partition(self._by)
            if key.strip():
                pairs[key.strip()] = value.strip()
        return pairs


def _keys(places: Sequence[Place]) -> list[str]:
    for place in places:
        if not isinstance(place, str) or not place:
            raise ConfigError("bad_place", f"{place!r} is no key", hint="write path: key", place=place)
    return [str(place) for place in places]


def _decoded(data: bytes, charset: str, unread: Unread) -> str:
    """Return the text; in another charset it is refused, but for an alarm, with U+FFFD where a character should be."""
    try:
        return data.decode(charset)
    except UnicodeDecodeError:
        unread.refuse(PoisonError("bad_text", f"not {charset}"))
        return data.decode(charset, "replace")
