"""The types of a kind: a value becomes exactly what its property says, or is refused."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite

from hub.catalogue import Type, Typed
from hub.errors import PoisonError
from hub.model.values import Scalar
from hub.normalize.limits import INT64_HIGH, INT64_LOW, is_clean

Settle = Callable[[object], Scalar]


def settle(name: str, target: Typed) -> Settle:
    """Return the function that gives a value the type of ``target``: an int where a float is due becomes one.

    It raises PoisonError ``bad_value`` for anything that is not that type already.
    """
    match target.type:
        case Type.BOOL:
            return _settle_bool(name)
        case Type.INT:
            return _settle_int(name)
        case Type.FLOAT | Type.DURATION:
            return _settle_float(name)
        case Type.STRING:
            return _settle_string(name)
        case Type.ENUM:
            return _settle_enum(name, frozenset(target.values))


def _settle_bool(name: str) -> Settle:
    def convert(raw: object) -> bool:
        if raw is True or raw is False:
            return raw
        raise bad_value(name, "not a bool")

    return convert


def _settle_int(name: str) -> Settle:
    def convert(raw: object) -> int:
        value: object = raw
        if raw.__class__ is float and raw.is_integer():
            value = int(raw)
        if value.__class__ is int and INT64_LOW <= value <= INT64_HIGH:
            return value
        raise bad_value(name, "not an integer of 64 bits")

    return convert


def _settle_float(name: str) -> Settle:
    def convert(raw: object) -> float:
        if raw.__class__ is float or raw.__class__ is int:
            try:
                value = float(raw)
            except OverflowError:
                raise bad_value(name, "too large") from None
            if isfinite(value):
                return value
        raise bad_value(name, "not a finite number")

    return convert


def _settle_string(name: str) -> Settle:
    def convert(raw: object) -> str:
        if isinstance(raw, str) and is_clean(raw):
            return raw
        raise bad_value(name, "not a text without control characters")

    return convert


def _settle_enum(name: str, members: frozenset[str]) -> Settle:
    def convert(raw: object) -> str:
        if isinstance(raw, str) and raw in members:
            return raw
        raise bad_value(name, f"none of {', '.join(sorted(members))}")

    return convert


def bad_value(name: str, what: str) -> PoisonError:
    """Return the error of a value that is not what the kind or the profile says."""
    return PoisonError("bad_value", what, property=name)
