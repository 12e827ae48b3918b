"""What need not become a point: values that did not change, where a profile says that these are not stored."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import compress
from operator import is_not

from typing_extensions import override

from hub.durations import nanoseconds
from hub.model.values import Scalar, Values
from hub.normalize.profile import Store

NEVER = 2**63
NO_VALUES: Values = {}
_NEVER_STORED: tuple[Scalar, int] = (False, -NEVER)


class Stored(dict[str, tuple[Scalar, int]]):
    """The value of each property that was stored last, and the time of its point.

    Of values that are those of ``last``, from ``latest`` on and before ``until``, none becomes a point.
    """

    __slots__ = ("last", "latest", "until")

    def __init__(self, known: Mapping[str, tuple[Scalar, int]] | None = None) -> None:
        super().__init__(known or {})
        self.last, self.latest, self.until = NO_VALUES, 0, 0


class Sparing:
    """The ``store`` of a profile at work."""

    def __init__(self, words: Store) -> None:
        self._every = None if words.at_least_every is None else nanoseconds(words.at_least_every)
        self._deadband: Mapping[str, float] = words.deadband

    def spare(self, values: Values, time: int, stored: Stored) -> Values:
        """Return what of ``values`` becomes a point at ``time``, and note it in ``stored``.

        What is older than the last point is always stored: between the two it may have been anything. Only what is
        another object than last time is looked at: what was stored of the others is rarely in the processor's cache.
        """
        last = stored.last
        if not stored.latest <= time < stored.until or (*last,) != (*values,):
            return self._spare_any(values, time, stored)
        kept: Values = {}
        stored.last, bands = values, self._deadband
        for name in compress(values, map(is_not, values.values(), last.values())):
            value, known = values[name], stored[name][0]
            if self._has_changed(name, value, known) if bands else value != known:
                kept[name] = value
                stored[name] = (value, time)
                stored.latest = time
        return kept

    def _spare_any(self, values: Values, time: int, stored: Stored) -> Values:
        kept: Values = {}
        oldest = -1 if self._every is None else time - self._every
        for name, value in values.items():
            known, at = stored.get(name, _NEVER_STORED)
            if time < at:
                kept[name] = value
            elif at <= oldest or self._has_changed(name, value, known):
                kept[name] = value
                stored[name] = (value, time)
        times = [stored[name][1] for name in values]
        stored.latest = max(times, default=time)
        stored.until = NEVER if self._every is None else min(times, default=time) + self._every
        stored.last = values if stored.latest <= time else NO_VALUES
        return kept

    def _has_changed(self, name: str, value: Scalar, last: Scalar) -> bool:
        band = self._deadband.get(name)
        if band is None or isinstance(value, str) or isinstance(last, str):
            return value != last
        return abs(value - last) >= band


class StoringNothing(Sparing):
    """Of a double: what a drill says was never measured."""

    def __init__(self) -> None:
        super().__init__(Store(on_change=True))

    @override
    def spare(self, values: Values, time: int, stored: Stored) -> Values:
        return {}
