"""Verdicts: the closures that an expression is made of; each answers True, False, a scalar, or None for unknown."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from hub.model import Quality, Scalar

Held = tuple[Scalar, int, int, Quality]
"""One value of a twin: (value, measured_at ns, engine time awake when it came, quality)."""

Verdict = Callable[[Mapping[str, Held], int], Any]
"""(values held, awake engine time) -> True, False, None (unknown), or inside an expression a scalar."""

Compare = Callable[[Any, Any], bool]


def constant(value: Scalar) -> Verdict:
    """Return what answers ``value``."""
    return lambda _held, _now: value


def load(name: str, stale_after: int | None) -> Verdict:
    """Return what answers the value of ``name``; unknown when it is missing, or older than ``stale_after`` ns."""
    if stale_after is None:

        def lasting(held: Mapping[str, Held], _now: int) -> Scalar | None:
            entry = held.get(name)
            return None if entry is None else entry[0]

        return lasting

    def fresh(held: Mapping[str, Held], now: int) -> Scalar | None:
        entry = held.get(name)
        return None if entry is None or now - entry[2] > stale_after else entry[0]

    return fresh


def compare(function: Compare, left: Verdict, right: Verdict) -> Verdict:
    """Return what compares two answers; unknown when one of them is."""

    def verdict(held: Mapping[str, Held], now: int) -> bool | None:
        a, b = left(held, now), right(held, now)
        return None if a is None or b is None else function(a, b)

    return verdict


def compare_to(function: Compare, left: Verdict, value: Scalar) -> Verdict:
    """Return what compares an answer with ``value``; 0.14 us for a name, and doing the load here would save 0.02."""

    def verdict(held: Mapping[str, Held], now: int) -> bool | None:
        a = left(held, now)
        return None if a is None else function(a, value)

    return verdict


def member(item: Verdict, allowed: frozenset[Scalar], *, wanted: bool) -> Verdict:
    """Return what tells whether an answer being one of ``allowed`` is as ``wanted``."""

    def verdict(held: Mapping[str, Held], now: int) -> bool | None:
        value = item(held, now)
        return None if value is None else (value in allowed) is wanted

    return verdict


def negation(inner: Verdict) -> Verdict:
    """Return ``not``; not unknown is unknown."""

    def verdict(held: Mapping[str, Held], now: int) -> bool | None:
        value = inner(held, now)
        return None if value is None else not value

    return verdict


def every(parts: list[Verdict]) -> Verdict:
    """Return ``and``: one False decides, else one unknown does."""

    def verdict(held: Mapping[str, Held], now: int) -> bool | None:
        answer: bool | None = True
        for part in parts:
            value = part(held, now)
            if value is None:
                answer = None
            elif not value:
                return False
        return answer

    return verdict


def some(parts: list[Verdict]) -> Verdict:
    """Return ``or``: one True decides, else one unknown does."""

    def verdict(held: Mapping[str, Held], now: int) -> bool | None:
        answer: bool | None = False
        for part in parts:
            value = part(held, now)
            if value is None:
                answer = None
            elif value:
                return True
        return answer

    return verdict


def negative(inner: Verdict) -> Verdict:
    """Return minus an answer."""

    def verdict(held: Mapping[str, Held], now: int) -> float | None:
        value = inner(held, now)
        return None if value is None else -value

    return verdict


def arithmetic(function: Callable[[Any, Any], Any], left: Verdict, right: Verdict) -> Verdict:
    """Return what computes with two answers; without a finite result it is unknown (1 / 0, or beyond a float)."""

    def verdict(held: Mapping[str, Held], now: int) -> float | None:
        a, b = left(held, now), right(held, now)
        if a is None or b is None:
            return None
        try:
            value: float = function(a, b)
            return value if math.isfinite(value) else None
        except (ZeroDivisionError, OverflowError):
            return None

    return verdict
