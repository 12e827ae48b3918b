"""Numbers that are known only to lie between two others: what is counted while some of it is unknown."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass

from typing_extensions import override


@dataclass(frozen=True, slots=True, eq=False)
class Between:
    """A number from ``low`` to ``high``. Compared with a number it answers True, False, or None: not yet decided.

    So ``alarming >= 2`` is true as soon as two are known to alarm, however many say nothing, and false only when enough
    of them are known not to.
    """

    low: float
    high: float

    @property
    def said(self) -> float:
        """The end that somebody has said: of a least, of which some say nothing, ``high``; JSON has no infinity."""
        return self.low if math.isfinite(self.low) else self.high

    def __lt__(self, other: float) -> bool | None:
        return _decided(yes=self.high < other, no=self.low >= other)

    def __le__(self, other: float) -> bool | None:
        return _decided(yes=self.high <= other, no=self.low > other)

    def __gt__(self, other: float) -> bool | None:
        return _decided(yes=self.low > other, no=self.high <= other)

    def __ge__(self, other: float) -> bool | None:
        return _decided(yes=self.low >= other, no=self.high < other)

    @override
    def __eq__(self, other: object) -> bool | None:  # type: ignore[override] # three-valued
        if isinstance(other, Between):
            return None if self.low <= other.high and other.low <= self.high else False
        is_possible = isinstance(other, int | float) and self.low <= other <= self.high
        return None if is_possible else False

    @override
    def __ne__(self, other: object) -> bool | None:  # type: ignore[override] # three-valued
        equal = self == other
        return None if equal is None else not equal

    __hash__ = None  # type: ignore[assignment] # what is not decided is no key


def _decided(*, yes: bool, no: bool) -> bool | None:
    if yes:
        return True
    return False if no else None


def between(low: float, high: float) -> float | Between:
    """Return the number itself where the two are one."""
    return low if low == high else Between(low, high)


def computed(
    function: Callable[[float, float], float], a: float | Between, b: float | Between
) -> float | Between | None:
    """Return between what a sum, difference, product or quotient lies; None when nothing can be said.

    Each of them is least and most at the ends of what it is computed of, except around a division by nothing.
    """
    if isinstance(b, Between) and function is operator.truediv:
        return None
    try:
        ends = [function(x, y) for x in _ends(a) for y in _ends(b)]
    except (ZeroDivisionError, OverflowError):
        return None
    return None if any(math.isnan(end) for end in ends) else between(min(ends), max(ends))


def _ends(value: float | Between) -> tuple[float, ...]:
    return (value.low, value.high) if isinstance(value, Between) else (value,)
