"""Whom a parameter or a list may concern: who has the rules that it is for, where it holds."""

from __future__ import annotations

from collections.abc import Mapping

from hub.engine.change import Touched
from hub.engine.circumstances import Key, read_list, read_params
from hub.engine.device import Device
from hub.engine.places import Place
from hub.engine.registered import Registered
from hub.engine.rows import DeviceRow, Document, PlaceRow
from hub.engine.rulebook import Rulebook

Kinds = frozenset[str]
"""Of devices, or types of places behind an @."""
NOBODY: Kinds = frozenset()


class Concern:
    """Of a registry's content, whom the parameters and lists that are ``touched`` concern, by a book's rules.

    That is where they held, as ``content`` has it yet, and where they hold then.
    """

    def __init__(self, content: Registered, book: Rulebook, touched: Touched) -> None:
        self._content = content
        self._everywhere = NOBODY
        self._of_profiles: dict[str, Kinds] = {}
        self._of_sites: dict[str, Kinds] = {}
        self._of_places: dict[Key, Kinds] = {}
        self._of_devices: dict[str, Kinds] = {}
        for key in touched.keys("params"):
            for document in (content.documents.get(key), touched.put.get(key)):
                if isinstance(document, Document):
                    self._take_params(document.body, book)
        for key in touched.keys("list"):
            for document in (content.documents.get(key), touched.put.get(key)):
                if isinstance(document, Document):
                    row = read_list(document.body)
                    self._take(row.site, row.place, book.listing)

    def _take_params(self, body: bytes, book: Rulebook) -> None:
        row = read_params(body)
        kinds = book.having(row.rule)
        if row.device:
            _add(self._of_devices, f"{row.site}/{row.device}", kinds)
        elif row.profile and not row.place:
            _add(self._of_profiles, row.profile, kinds)
        else:
            self._take(row.site, row.place, kinds)

    def _take(self, site: str, place: str, kinds: Kinds) -> None:
        if place:
            _add(self._of_places, (site, place), kinds)
        elif site:
            _add(self._of_sites, site, kinds)
        else:
            self._everywhere |= kinds

    def devices(self, everybody: Mapping[str, Device]) -> list[Device]:
        """Return those among ``everybody``, each once."""
        found: list[Device] = []
        if self._everywhere:
            found += [device for device in everybody.values() if device.row.kind in self._everywhere]
        if profiles := self._of_profiles:
            named = [device for device in everybody.values() if device.row.profile in profiles]
            found += [device for device in named if device.row.kind in profiles[device.row.profile]]
        below = self._below()
        for site in sorted({*self._of_sites, *(site for site, _ in below)}):
            found += [device for device in self._content.devices_of(site) if self._is_there(device.row, below)]
        alone = ((everybody.get(key), kinds) for key, kinds in self._of_devices.items())
        found += [device for device, kinds in alone if device is not None and device.row.kind in kinds]
        return [*{device.key: device for device in found}.values()]

    def places(self) -> list[Place]:
        """Return those of which rules are the same ones, each once."""
        below, everywhere, places = self._below(), self._everywhere, self._content.stands.places
        types = {kind[1:] for kinds in (everywhere, *self._of_sites.values()) for kind in kinds if kind.startswith("@")}
        among = [place for place in places.values() if place.row.type in types] if types else []
        if not everywhere:
            among = [place for place in among if place.site in self._of_sites]
        among += [places[key] for key in (f"{site}/@{name}" for site, name in below) if key in places]
        found = [place for place in among if f"@{place.row.type}" in everywhere or self._is_there(place.row, below)]
        return [*{place.key: place for place in found}.values()]

    def _below(self) -> dict[Key, Kinds]:
        """Return whom it concerns at each of the places, and below them."""
        found: dict[Key, Kinds] = {}
        for place, kinds in self._of_places.items():
            for key in self._content.circumstances.in_and_below([place]) if kinds else ():
                _add(found, key, kinds)
        return found

    def _is_there(self, row: DeviceRow | PlaceRow, below: Mapping[Key, Kinds]) -> bool:
        kind = row.kind if isinstance(row, DeviceRow) else f"@{row.type}"
        return kind in self._of_sites.get(row.site, NOBODY) or kind in below.get((row.site, row.place), NOBODY)


def _add(known: dict[str, Kinds] | dict[Key, Kinds], key: str | Key, kinds: Kinds) -> None:
    known[key] = known.get(key, NOBODY) | kinds  # type: ignore[index,arg-type] # both are of one sort
