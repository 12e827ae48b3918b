"""What need not become a point: values that did not change, where a profile says that these are not stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import compress
from operator import is_not

import msgspec
from typing_extensions import override

from hub.durations import nanoseconds
from hub.engine.moment import Drawn
from hub.model.values import Scalar, Values
from hub.normalize.profile import Store

NEVER = 2**63
NO_VALUES: Values = {}
STEPS = 2_000
"""How many steps from some values to others are remembered of a profile: elevators of six floors take some hundreds."""
_NEVER_STORED: tuple[Scalar, int] = (False, -NEVER)


class Stored(dict[str, tuple[Scalar, int]]):
    """The value of each property that was stored last, and the time of its point.

    Of values that are those of ``last``, from ``latest`` on and before ``until``, none becomes a point.
    """

    __slots__ = ("last", "latest", "until")

    def __init__(self, known: Mapping[str, tuple[Scalar, int]] | None = None) -> None:
        super().__init__(known or {})
        self.last, self.latest, self.until = NO_VALUES, 0, 0


class Step(msgspec.Struct, frozen=True):
    """From what was said ``last`` to what is said ``now``: what of it is ``kept``, and that as it is written.

    It is known by which objects these two are, so it holds them.
    """

    last: Values
    now: Values
    kept: Values
    drawn: Drawn


class Sparing:
    """The ``store`` of a profile at work."""

    def __init__(self, words: Store) -> None:
        self._every = None if words.at_least_every is None else nanoseconds(words.at_least_every)
        self._deadband: Mapping[str, float] = words.deadband
        self._steps: dict[tuple[int, int], Step] = {}

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

    def step(self, values: Values, time: int, stored: Stored, draw: Callable[[Values], Drawn]) -> Step | None:
        """Do as :meth:`spare` with values that are the same object whenever they come; None, and nothing done: cannot.

        What changes from one such object to another is looked at and drawn once: 0.5 us where each time costs 2.4.
        """
        last = stored.last
        if not stored.latest <= time < stored.until or self._deadband:
            return None
        found = self._steps.get((id(last), id(values)))
        if found is None:
            return self._remember(values, time, stored, draw)
        if found.kept:
            stored.latest = time
            for name, value in found.kept.items():
                stored[name] = (value, time)
        stored.last = values
        return found

    def _remember(self, values: Values, time: int, stored: Stored, draw: Callable[[Values], Drawn]) -> Step | None:
        last = stored.last
        if (*last,) != (*values,):
            return None
        kept = self.spare(values, time, stored)
        found = Step(last, values, kept, draw(kept))
        if len(self._steps) >= STEPS:
            self._steps.clear()
        self._steps[id(last), id(values)] = found
        return found

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

    @override
    def step(self, values: Values, time: int, stored: Stored, draw: Callable[[Values], Drawn]) -> Step | None:
        return None
