"""Where sites lie and what places are called: distances in metres, words in two languages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import asin, cos, radians, sin, sqrt
from typing import Protocol

from hub.model.values import Scalar

EARTH_METRES = 6_371_008.8  # the mean radius of WGS 84 (IUGG)
LONGITUDE, LATITUDE = "longitude", "latitude"
"""The facts of a site that say where it is, in degrees. Any datum will do, as long as it is the same for all."""

Label = Mapping[str, str]


class Chart(Protocol):
    """What the judgement asks about places."""

    def metres(self, one: str, other: str) -> float | None:
        """Return how far apart two sites are; None when nobody knows."""
        ...

    def knows(self, site: str) -> bool:
        """Return whether it is known where ``site`` is."""
        ...

    def words(self, site: str, device: str, language: str) -> str:
        """Return where a device stands, as people of that language call it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CityChart:
    """The places of the registry. ``sites`` are degrees (longitude, latitude) of those that have them.

    ``labels`` are those of (site, place), a site's own under its id twice; ``stands`` is the place of a (site, device).
    """

    sites: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    labels: Mapping[tuple[str, str], Label] = field(default_factory=dict)
    stands: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def metres(self, one: str, other: str) -> float | None:
        """Return the length of the great circle between two sites, by the haversine formula."""
        here, there = self.sites.get(one), self.sites.get(other)
        if here is None or there is None:
            return None
        (west, south), (east, north) = (tuple(map(radians, each)) for each in (here, there))
        half = sin((north - south) / 2) ** 2 + cos(south) * cos(north) * sin((east - west) / 2) ** 2
        return 2 * EARTH_METRES * asin(min(1.0, sqrt(half)))

    def knows(self, site: str) -> bool:
        """Return whether the registry says where ``site`` is."""
        return site in self.sites

    def words(self, site: str, device: str, language: str) -> str:
        """Return site, place and device by their names in ``language``, by their ids where they have none."""
        place = self.stands.get((site, device), "")
        steps = [self._name(site, site, language), self._name(site, place, language) if place else "", device]
        return " ".join(step for step in steps if step)

    def _name(self, site: str, place: str, language: str) -> str:
        return self.labels.get((site, place), {}).get(language) or place


def position_of(facts: Mapping[str, Scalar]) -> tuple[float, float] | None:
    """Return (longitude, latitude) of a site's facts; None when they say nothing, or no place on earth."""
    longitude, latitude = facts.get(LONGITUDE), facts.get(LATITUDE)
    if isinstance(longitude, bool) or isinstance(latitude, bool):
        return None
    if not isinstance(longitude, int | float) or not isinstance(latitude, int | float):
        return None
    is_on_earth = -180 <= longitude <= 180 and -90 <= latitude <= 90  # noqa: PLR2004 -- degrees
    return (float(longitude), float(latitude)) if is_on_earth else None
