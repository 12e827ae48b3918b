"""What need not become a point: values that did not change, where a profile says that these are not stored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import compress
from operator import is_not

from typing_extensions import override

from hub.durations import nanoseconds
from hub.model import Scalar, Values
from hub.normalize.profile import Store

NEVER = 2**63
NO_VALUES: Values = {}


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
        if stored.latest <= time < stored.until and (*last,) == (*values,):
            kept = self._kept(compress(values, map(is_not, values.values(), last.values())), values, time, stored)
            stored.last = values
            if kept:
                stored.latest = time
            return kept
        kept = self._kept(values, values, time, stored)
        times = [stored[name][1] for name in values]
        stored.latest = max(times, default=time)
        stored.until = NEVER if self._every is None else min(times, default=time) + self._every
        stored.last = values if stored.latest <= time else NO_VALUES
        return kept

    def _kept(self, names: Iterable[str], values: Values, time: int, stored: Stored) -> Values:
        kept: Values = {}
        oldest = -1 if self._every is None else time - self._every
        for name in names:
            value, last = values[name], stored.get(name)
            if last is None:
                kept[name] = value
                stored[name] = (value, time)
                continue
            known, at = last
            if value == known and oldest < at <= time:
                continue  # nearly all of them, so here and without a call
            if time < at:
                kept[name] = value
            elif self._has_changed(name, value, known) or self._is_due(time, at):
                kept[name] = value
                stored[name] = (value, time)
        return kept

    def _has_changed(self, name: str, value: Scalar, last: Scalar) -> bool:
        band = self._deadband.get(name)
        if band is None or isinstance(value, str) or isinstance(last, str):
            return value != last
        return abs(value - last) >= band

    def _is_due(self, time: int, last: int) -> bool:
        return self._every is not None and time - last >= self._every


class StoringNothing(Sparing):
    """Of a double: what a drill says was never measured."""

    def __init__(self) -> None:
        super().__init__(Store(on_change=True))

    @override
    def spare(self, values: Values, time: int, stored: Stored) -> Values:
        return {}
