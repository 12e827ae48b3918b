"""Values that come as lists: split from a text or collected from an array, and one of them taken."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from hub.model.values import Scalar
from hub.normalize.limits import MAX_KEYS
from hub.normalize.settle import bad_value
from hub.normalize.sources import Take

Item = Callable[[object], Scalar]
"""How one item is read."""


def items_of(name: str, separator: str | None) -> Callable[[object], Sequence[object]]:
    """Return what makes a list of a raw value: a text split, an array as it is; empty pieces are left out.

    It raises PoisonError ``bad_value`` for anything else, and for more than 256 items.
    """

    def items(raw: object) -> Sequence[object]:
        if isinstance(raw, str) and separator is not None:
            found: Sequence[object] = [piece.strip() for piece in raw.split(separator, MAX_KEYS) if piece.strip()]
        elif isinstance(raw, list):
            found = raw
        else:
            raise bad_value(name, "not a list")
        if len(found) > MAX_KEYS:
            raise bad_value(name, f"more than {MAX_KEYS} items")
        return found

    return items


def compile_take(
    name: str, take: Take, separator: str | None, read: Item, absent: Collection[Scalar]
) -> Callable[[object], Scalar | None]:
    """Return what takes one value of a list; None when nothing is left of it (a count is 0 then)."""
    items = items_of(name, separator)
    choose = _CHOICES[take]

    def convert(raw: object) -> Scalar | None:
        if not isinstance(raw, list) and separator is None:
            raw = [raw]
        held = items(raw)
        if absent:
            held = [item for item in held if not _is_one_of(item, absent)]
        found = [read(item) for item in held]
        if not found and take != "count":
            return None
        try:
            return choose(found)
        except (TypeError, OverflowError):  # a text and a number; a fraction and a number of 400 digits
            raise bad_value(name, "a list of things that do not compare") from None

    return convert


def _is_one_of(item: object, absent: Collection[Scalar]) -> bool:
    return isinstance(item, bool | int | float | str) and item in absent


def _sum(found: Sequence[Scalar]) -> Scalar:
    if any(isinstance(item, str) for item in found):
        raise TypeError
    return sum(found)  # type: ignore[arg-type]


_CHOICES: dict[Take, Callable[[Sequence[Scalar]], Scalar]] = {
    "min": min,
    "max": max,
    "first": lambda found: found[0],
    "last": lambda found: found[-1],
    "count": len,
    "sum": _sum,
    "any": any,
}
