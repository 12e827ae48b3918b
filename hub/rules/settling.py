"""``$name`` in a rule: what its parameters and facts are for one subject; and what holds from one day to another."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from hub.model.values import Scalar

_NAME = re.compile(r"\$([a-z][a-z0-9_]*)")
_SECOND = 1_000_000_000
KEPT = frozenset({"rule", "version", "label", "params", "facts", "tests"})
"""Words that hold no names of parameters."""

EXPRESSIONS = frozenset({"when", "unless", "where", "refuse_while"})


def names_in(words: object) -> set[str]:
    """Return the names that ``words`` ask for."""
    if isinstance(words, str):
        return set(_NAME.findall(words))
    parts = words.values() if isinstance(words, Mapping) else words if isinstance(words, list) else ()
    return {name for part in parts for name in names_in(part)}


def asked_of(words: Mapping[str, object]) -> dict[str, object]:
    """Return the words of a rule without those params and facts that nothing in them asks for."""
    asked = names_in({key: value for key, value in words.items() if key not in KEPT})
    kept = dict(words)
    for word in ("params", "facts"):
        known = kept.get(word)
        if isinstance(known, Mapping):
            kept[word] = {name: value for name, value in known.items() if name in asked}
    return kept


def filled(words: Mapping[str, object], values: Mapping[str, Scalar]) -> dict[str, object]:
    """Return the words of a rule with every ``$name`` as its value, and in an expression as it is written there."""
    return {key: part if key in KEPT else _filled(key, part, values) for key, part in words.items()}


def _filled(key: str, words: object, values: Mapping[str, Scalar]) -> object:
    if isinstance(words, Mapping):  # what a command is given has names of its own
        return {name: _filled("" if key == "args" else name, part, values) for name, part in words.items()}
    if isinstance(words, list):
        return [_filled("", part, values) for part in words]
    if not isinstance(words, str):
        return words
    if key in EXPRESSIONS:
        return _NAME.sub(lambda found: repr(values[found[1]]), words)
    alone = _NAME.fullmatch(words)
    return words if alone is None else values[alone[1]]


# --------------------------------------------------------------------------------------------------- from day to day


def in_force(said: Scalar, at: int, zone: str) -> tuple[bool, int | None]:
    """Return whether ``said`` holds at wall time ``at``, and when that changes next.

    ``said`` is a truth, or text: ``FROM/UNTIL`` with ISO days (both included) or moments of the site's zone, either of
    them empty. ValueError for other text.
    """
    if not isinstance(said, str):
        return bool(said), None
    first, slash, last = said.partition("/")
    if not slash:
        message = f"{said!r} is not FROM/UNTIL, such as 2026-03-01/2026-03-08"
        raise ValueError(message)
    begins = _moment(first, zone, is_end=False) if first else None
    ends = _moment(last, zone, is_end=True) if last else None
    if begins is not None and at < begins:
        return False, begins
    return ends is None or at < ends, ends if ends is not None and at < ends else None


def _moment(text: str, zone: str, *, is_end: bool) -> int:
    if len(text) == len("2026-03-01"):
        day = date.fromisoformat(text)
        if is_end and day == date.max:
            message = f"{text} has no day after it: leave UNTIL empty"
            raise ValueError(message)
        day += timedelta(days=is_end)
        found = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))
    else:
        found = datetime.fromisoformat(text)
        found = found if found.tzinfo is not None else found.replace(tzinfo=ZoneInfo(zone))
    return round(found.timestamp()) * _SECOND
