"""Pairs of sightings that cannot be of one card or plate: too far apart for the time, or in twice and never out."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple, Protocol

from typing_extensions import override

from hub.city.chart import Chart
from hub.city.rule import CityRule, Inside, Travel
from hub.city.sightings import Sighting
from hub.durations import nanoseconds

HOUR_NS = 3_600_000_000_000


class Pair(NamedTuple):
    """Two sightings of one token that cannot both be; ``metres`` None when nobody knows."""

    earlier: Sighting
    later: Sighting
    metres: float | None


class Doubt(Protocol):
    """What a rule holds to be impossible between a sighting and the next one that matters."""

    def matters(self, sighting: Sighting, chart: Chart) -> bool:
        """Return whether it can be compared with others."""
        ...

    def pair(self, earlier: Sighting, later: Sighting, chart: Chart) -> Pair | None:
        """Return the two when they cannot both be."""
        ...


class TooFast(Doubt):
    """Nobody travels so fast; of two clocks one may be wrong by ``clock_error``."""

    def __init__(self, travel: Travel, clock_error_ns: int) -> None:
        self._beyond = travel.beyond_metres
        self._at_least = nanoseconds(travel.at_least)
        self._ns_per_metre = HOUR_NS / (travel.fastest_kmh * 1_000)
        self._clock_error = clock_error_ns

    @override
    def matters(self, sighting: Sighting, chart: Chart) -> bool:
        return chart.knows(sighting.site)

    @override
    def pair(self, earlier: Sighting, later: Sighting, chart: Chart) -> Pair | None:
        if earlier.site == later.site:
            return None
        metres = chart.metres(earlier.site, later.site)
        if metres is None or metres <= self._beyond:
            return None
        needed = max(self._at_least, round(metres * self._ns_per_metre))
        return Pair(earlier, later, metres) if later.at - earlier.at < needed - self._clock_error else None


class NeverOut(Doubt):
    """In at one site and in at another, and out nowhere between."""

    def __init__(self, inside: Inside) -> None:
        self._within = nanoseconds(inside.within)

    @override
    def matters(self, sighting: Sighting, chart: Chart) -> bool:
        return sighting.way in {"in", "out"}

    @override
    def pair(self, earlier: Sighting, later: Sighting, chart: Chart) -> Pair | None:
        is_in = earlier.way == later.way == "in"
        if not is_in or earlier.site == later.site or later.at - earlier.at > self._within:
            return None
        return Pair(earlier, later, chart.metres(earlier.site, later.site))


def doubt_of(rule: CityRule) -> Doubt:
    """Return what ``rule`` holds to be impossible."""
    if rule.travel is not None:
        return TooFast(rule.travel, nanoseconds(rule.clock_error))
    assert rule.inside is not None  # noqa: S101 -- the rule has exactly one of them
    return NeverOut(rule.inside)


def beside(doubt: Doubt, sighting: Sighting, known: Sequence[Sighting], chart: Chart) -> list[Pair]:
    """Return the pairs that ``sighting`` makes with those that matter right before and after it."""
    if not known:
        return []
    index = bisect_left(known, sighting[:2])
    before = _first(doubt, known, range(index - 1, -1, -1), chart)
    after = _first(doubt, known, range(index, len(known)), chart)
    return _pairs(doubt, [each for each in (before, sighting, after) if each is not None], chart)


def among(doubt: Doubt, known: Sequence[Sighting], chart: Chart) -> list[Pair]:
    """Return all pairs in the order of time."""
    return _pairs(doubt, [each for each in known if doubt.matters(each, chart)], chart)


def _pairs(doubt: Doubt, known: Sequence[Sighting], chart: Chart) -> list[Pair]:
    found = (doubt.pair(earlier, later, chart) for earlier, later in pairwise(known))
    return [pair for pair in found if pair is not None]


def _first(doubt: Doubt, known: Sequence[Sighting], places: range, chart: Chart) -> Sighting | None:
    for place in places:
        if doubt.matters(known[place], chart):
            return known[place]
    return None
