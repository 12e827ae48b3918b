"""Where a place is by the standards: address codes that begin with that of what is around, degrees, an outline."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from numbers import Real
from typing import Any

from hub.registry.nouns import Division, Geometry, Place

# GB/T 2260: six digits to the district; GB/T 10114: nine to the street; twelve to the community (statistics bureau).
_DIVISION = re.compile(r"\d{6}(?:\d{3}){0,2}")
_SITE = re.compile(r"\d{12}")
_PLACE = re.compile(r"[0-9A-Z]{1,40}")
_LEVELS = {6: "city", 9: "street", 12: "community"}
MOST_FLOORS, MOST_BASEMENTS, SHORTEST_RING = 200, 20, 4
_RANGES = {
    "longitude": (-180, 180),
    "latitude": (-90, 90),
    "floors": (0, MOST_FLOORS),
    "basements": (0, MOST_BASEMENTS),
}

Key = tuple[str, str]


def level_of(code: str) -> str:
    """Return whether a code is that of a city (or district), a street or a community."""
    return _LEVELS[len(code)]


def around(code: str) -> list[str]:
    """Return the codes of what a community lies in: its city and its street."""
    return [code[:length] for length in _LEVELS if length < len(code)]


def division_problems(division: Division) -> Iterator[str]:
    """Yield what is wrong with a division."""
    if not _DIVISION.fullmatch(division.code):
        yield f"division {division.code!r}: 6 digits are a city or district, 9 a street, 12 a community"
    if not any(division.label.values()):
        yield f"division {division.code!r} has no name"


def site_code_problems(site: str, code: str) -> Iterator[str]:
    """Yield what is wrong with the code of a site, which may have none."""
    if code and not _SITE.fullmatch(code):
        yield f"site {site!r} has the code {code!r}: the statistics bureau's code of a community is 12 digits"


def code_problems(sites: Mapping[str, str], tree: Mapping[Key, Place]) -> Iterator[tuple[Key, str]]:
    """Yield (place, what is wrong) with the codes of all places of some sites, whose own codes are ``sites``."""
    for key, place in tree.items():
        if not place.code:
            continue
        outer = _code_around(place, sites, tree)
        if not _PLACE.fullmatch(place.code):
            yield key, f"place {place.id!r} has the code {place.code!r}, which is not 1 to 40 of 0-9 A-Z"
        elif outer and not (place.code.startswith(outer) and place.code != outer):
            yield key, f"place {place.id!r} has the code {place.code}, which does not begin with {outer} and go on"


def _code_around(place: Place, sites: Mapping[str, str], tree: Mapping[Key, Place]) -> str:
    seen = {place.id}
    here = tree.get((place.site, place.parent))
    while here is not None and not here.code and here.id not in seen:
        seen.add(here.id)
        here = tree.get((here.site, here.parent))
    return here.code if here is not None and here.code else sites.get(place.site, "")


def geometry_problems(place: str, geometry: Geometry) -> Iterator[str]:
    """Yield what is wrong with where a place is said to be."""
    if (geometry.longitude is None) is not (geometry.latitude is None):
        yield f"place {place!r} has one of longitude and latitude"
    for name, (least, most) in _RANGES.items():
        value = getattr(geometry, name)
        if value is not None and not least <= value <= most:
            yield f"place {place!r} has the {name} {value}, which is not {least} to {most}"
    if geometry.footprint is not None and not _is_polygon(geometry.footprint):
        yield f"place {place!r} has a footprint that is no GeoJSON Polygon of closed rings of [longitude, latitude]"


def _is_polygon(shape: Mapping[str, Any]) -> bool:
    rings = shape.get("coordinates")
    if shape.keys() != {"type", "coordinates"} or shape["type"] != "Polygon" or not isinstance(rings, list):
        return False
    return bool(rings) and all(map(_is_ring, rings))


def _is_ring(ring: object) -> bool:
    if not isinstance(ring, list) or len(ring) < SHORTEST_RING:
        return False
    return all(map(_is_position, ring)) and ring[0] == ring[-1]


def _is_position(position: object) -> bool:
    if not (isinstance(position, list) and len(position) == len(("longitude", "latitude"))):
        return False
    if any(isinstance(each, bool) or not isinstance(each, Real) for each in position):
        return False
    (west, east), (south, north) = _RANGES["longitude"], _RANGES["latitude"]
    return bool(west <= position[0] <= east and south <= position[1] <= north)
