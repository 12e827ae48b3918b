"""Facts that come as codes: add/clear pairs, lists of what is true now, and bitmaps become bool properties."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from hub.catalogue import Type, Typed
from hub.errors import ConfigError
from hub.model.values import Scalar, Values
from hub.normalize.codecs.codec import Row, Unread
from hub.normalize.fields import Convert, both_forms
from hub.normalize.lists import items_of
from hub.normalize.settle import bad_value
from hub.normalize.sources import ByteSource, Flags, PathSource

SetFlags = Callable[[Row, Values], None]
"""Puts what a row says into the values. Raises PoisonError ``bad_value``."""

Slots = tuple[int, ...]
NAMES = Typed(type=Type.STRING)
"""The names of properties, as the values of a source."""
TRUTH = Typed(type=Type.BOOL)


def check_flags(words: Flags, known: Mapping[str, Typed]) -> None:
    """ConfigError unless every name is a bool property of the kind."""
    for name in words.properties:
        if name not in known or known[name].type is not Type.BOOL:
            raise ConfigError("unknown_property", f"{name!r} is no bool property of the kind")


def compile_pair(name_slots: Slots, name: Convert, to_slots: Slots, to: Convert) -> SetFlags:
    """Return what sets the property that ``name`` reads to what ``to`` reads; nothing when one is not there."""

    def set_flags(row: Row, values: Values) -> None:
        code, state = _first(row, name_slots), _first(row, to_slots)
        if code is not None and state is not None:
            key, value = name(code), to(state)
            if isinstance(key, str) and value is not None:
                values[key] = value

    return set_flags


def compile_snapshot(source: ByteSource | PathSource, slots: Slots, unread: Unread) -> SetFlags:
    """Return what sets every property of the table: true when its code is in the list, else false.

    A code that the table does not know costs only itself, and is told to ``unread``: the others may be an alarm. So
    does what is no code; but it may stand for any of them, so nothing is said to be over then.
    """
    table = {form: str(name) for code, name in (source.values or {}).items() for form in both_forms((code,))}
    otherwise = None if source.otherwise is None else str(source.otherwise)
    properties = tuple(dict.fromkeys([*table.values(), *([otherwise] if otherwise else [])]))
    none_of = both_forms(source.absent or ())
    items = items_of("flags", source.split)

    def set_flags(row: Row, values: Values) -> None:
        raw = _first(row, slots)
        if raw is None:
            return
        listed = items([raw] if source.split is None and not isinstance(raw, list) else raw)
        codes = _codes(listed, unread)
        held = set()
        for code in codes:
            if code in none_of:
                continue
            name = table.get(code, otherwise)
            if name is None:
                unread.error = bad_value("flags", "a code that the table does not know")
            held.add(name)
        for name in properties:
            if name in held or len(codes) == len(listed):
                values[name] = name in held

    return set_flags


def _codes(listed: Sequence[object], unread: Unread) -> Sequence[Scalar]:
    found = [each for each in listed if isinstance(each, bool | int | float | str)]
    if len(found) < len(listed):
        unread.error = bad_value("flags", "a code is a number or a text")
    return found


def compile_bitmap(source: ByteSource | PathSource, slots: Slots) -> SetFlags:
    """Return what sets every property of the table to its bit of a number, or of a text that is one."""
    bits = tuple((int(bit), str(name)) for bit, name in (source.values or {}).items())

    def set_flags(row: Row, values: Values) -> None:
        raw = _first(row, slots)
        if raw is None:
            return
        if isinstance(raw, str) and raw.isascii() and raw.isdigit() and len(raw) < _MOST_DIGITS:
            raw = int(raw)
        if not isinstance(raw, int) or raw < 0:
            raise bad_value("flags", "a bitmap is a whole number")
        for bit, name in bits:
            values[name] = bool(raw >> bit & 1)

    return set_flags


_MOST_DIGITS = 21


def _first(row: Sequence[object], slots: Slots) -> object:
    return next((row[slot] for slot in slots if row[slot] is not None), None)
