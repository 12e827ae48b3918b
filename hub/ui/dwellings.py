"""Dwellings and their detectors: how many were heard of lately, and which are silent since when."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from hub.engine.places import bodies_of
from hub.engine.rows import DeviceRow, PlaceRow
from hub.errors import CorruptError
from hub.journal.files import RESTORE, read_rows
from hub.journal.records import is_sealed
from hub.model.values import PlaceType

DETECTORS = ("smoke_sensor", "heat_sensor")
"""Kinds that watch a dwelling for fire."""

WITHIN_NS = 48 * 3_600 * 1_000_000_000
"""Two daily reports: the figure of 消防隐患预警 that a hub can measure honestly (domain.md, 1.5)."""


class _Heard(msgspec.Struct):
    heard_at: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Silent:
    """A dwelling and which of its detectors was heard last (wall ns; 0: never); without a ``device`` it has none."""

    dwelling: str
    device: str
    since: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """The dwellings of a building, or of a site outside any building."""

    site: str
    building: str
    dwellings: int
    silent: list[Silent]

    @property
    def covered(self) -> int:
        """Return how many were heard of."""
        return self.dwellings - len(self.silent)


def home_of(
    row: DeviceRow, places: Mapping[tuple[str, str], PlaceRow], kinds: Collection[str] = DETECTORS
) -> tuple[str, str] | None:
    """Return site and name of the dwelling that a device watches; None where it stands in none, or is no detector."""
    here = places.get((row.site, row.place)) if row.kind in kinds else None
    while here is not None and here.type != PlaceType.DWELLING.value:
        here = places.get((here.site, here.parent))
    return None if here is None else (here.site, here.place)


class Dwellings:
    """The dwellings among the documents of a registry, each with the detectors in it."""

    def __init__(self, bodies: Mapping[str, bytes], kinds: Collection[str] = DETECTORS) -> None:
        rows = (msgspec.json.decode(body, type=PlaceRow) for body in bodies_of(bodies, "place"))
        places = {(row.site, row.place): row for row in rows}
        self._devices: dict[tuple[str, str], list[str]] = {}
        self._buildings: dict[tuple[str, str], list[str]] = {}
        for key, place in places.items():
            if place.type == PlaceType.DWELLING.value:
                self._devices[key] = []
                self._buildings.setdefault((place.site, place.building), []).append(place.place)
        for body in bodies_of(bodies, "device"):
            row = msgspec.json.decode(body, type=DeviceRow)
            home = home_of(row, places, kinds)
            if home is not None:
                self._devices[home].append(row.device)

    def cover(self, heard_at: Callable[[str, str], int], since: int) -> list[Cover]:
        """Return each building; ``heard_at`` tells of a site and device when it was last heard (wall ns), 0: never."""
        found: list[Cover] = []
        for (site, building), names in sorted(self._buildings.items()):
            silent: list[Silent] = []
            for name in names:
                heard = ((heard_at(site, device), device) for device in self._devices[site, name])
                last, device = max(heard, default=(0, ""))
                if last < since:
                    silent.append(Silent(dwelling=name, device=device, since=last))
            found.append(Cover(site=site, building=building, dwellings=len(names), silent=silent))
        return found


def read_heard(path: Path) -> dict[tuple[str, str], int]:
    """Return when each device was last heard (wall ns), from the state file of a running or stopped hub."""
    found: dict[tuple[str, str], int] = {}
    for key, body, seal in read_rows(path, "SELECT key, body, checksum FROM entries WHERE key LIKE 'device/%'"):
        if not is_sealed(seal, body, key):
            raise CorruptError("corrupt_row", f"entry {key} fails its checksum", file=str(path), hint=RESTORE)
        _, site, device = key.split("/", 2)
        found[site, device] = msgspec.msgpack.decode(body, type=_Heard).heard_at
    return found
