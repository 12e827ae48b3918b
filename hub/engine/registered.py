"""What is registered, as of the last revision: look-ups of devices, places, kinds and rules by name."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from hub.catalogue import Catalogue, Kind
from hub.engine.barred import Barred
from hub.engine.circumstances import Circumstances
from hub.engine.device import Device
from hub.engine.kind_rules import KindRules
from hub.engine.meters import Quota
from hub.engine.networks import Networks
from hub.engine.outfits import Outfits
from hub.engine.places import Place, Subject, key_of_place
from hub.engine.rows import DOUBLE, Bodies, Kept
from hub.engine.rulebook import Rulebook
from hub.engine.stands import Stands
from hub.engine.whereabouts import Whereabouts
from hub.model.heard import Handler
from hub.model.values import PlaceType
from hub.normalize.networks.source import CompiledStream
from hub.rules.pseudonyms import read_key
from hub.rules.states import CompiledRule

_ONE_THING = frozenset({PlaceType.ELEVATOR.value, PlaceType.GATE.value, PlaceType.LANE.value})


class Registered:
    """The documents of the last revision, but those that are a row of a device or place, and what they compile to.

    ``revisions`` counts how often that became something else.
    """

    def __init__(self) -> None:
        self.documents: dict[str, Kept] = {}
        self.revisions = 0
        self.rules: dict[str, CompiledRule] = {}
        self.circumstances = Circumstances({})
        self.stands = Stands(self.circumstances, Rulebook(Catalogue(()), self.circumstances))
        self.outfits = Outfits({}, {})
        self._devices: dict[str, Device] = {}
        self._whereabouts = Whereabouts(self._devices)
        self.networks = Networks()
        self.barred = Barred({}, self.networks)
        self.secret = read_key(None)
        """The key of pseudonyms."""
        self.quota = Quota()
        self.has_quotas = False
        """Whether any device may have one: by what any may say, or by some profile."""

    def find(self, site: str, device: str) -> Device | None:
        """Return a registered device."""
        return self._devices.get(f"{site}/{device}")

    def real(self, device: Device) -> Device:
        """Return the device itself, of a double its original."""
        return self.find(device.site, device.device.removesuffix(DOUBLE)) or device

    def of_network(self, source: str, name: str) -> Device | None:
        """Return the device that a foreign network calls ``name``: what it is registered as, or by its address."""
        return self._whereabouts.of_network(source, name)

    def knowledge(self, device: Device, stream: CompiledStream) -> Handler | None:
        """Return the handler of what a network itself knows of ``device``; None: the stream is the device's own."""
        return self.networks.knowledge(stream, self.kind(device))

    def of_source(self, source: str) -> list[Device]:
        """Return the devices of a foreign network in the order of keys."""
        return [device for device in self.devices() if device.row.source == source]

    def subject(self, key: str) -> tuple[Subject, str] | None:
        """Return the device or place of a key, and the part of it that the key names."""
        name, _, part = key.partition("#")
        found = self._devices.get(name) or self.stands.places.get(name) or self.stands.gone.get(name)
        return None if found is None else (found, part)

    def place(self, site: str, name: str) -> Place | None:
        """Return a place, also one that no rule is for."""
        row, found = self.circumstances.places.get((site, name)), self.stands.places.get(f"{site}/@{name}")
        return found if found is not None or row is None else Place(row, KindRules([]))

    def around(self, subject: Subject) -> list[str]:
        """Return the keys of ``subject`` and of the places that it stands in, nearest first."""
        way = self.circumstances.way_up(subject.site, subject.row.place)
        return [*([subject.key] if isinstance(subject, Device) else []), *(key_of_place(row) for row in way)]

    def seeing(self, key: str) -> dict[str, Place]:
        """Return the places by key that see any device at or below what ``key`` names."""
        devices = [device for device in self.devices_of(key.partition("/")[0]) if key in self.around(device)]
        return {place.key: place for device in devices for place in device.places}

    def kind(self, device: Device) -> Kind:
        """Return the kind of a device."""
        return self.outfits.kinds[device.kind]

    def rule_of(self, name: str, subject: Subject) -> CompiledRule | None:
        """Return a rule as it is for ``subject``; one that is being removed as it was."""
        return subject.rules.by_name.get(name) or self.rules.get(name)

    def is_at_rest(self, site: str, rule: str) -> bool:
        """Return whether the scene of a rule is switched off at a site."""
        return (site, rule) in self.stands.rulebook.at_rest

    def devices(self) -> Iterator[Device]:
        """Yield every device in the order of keys."""
        for key in sorted(self._devices):
            yield self._devices[key]

    def silent(self) -> list[Device]:
        """Return the devices that are found to say nothing, in the order of keys."""
        return sorted((one for one in self._devices.values() if one.is_silent), key=lambda one: one.key)

    def sites(self) -> list[str]:
        """Return every site, also one without devices."""
        named = {site for site, _ in self.circumstances.places}
        return sorted(named | {device.site for device in self._devices.values()})

    def count_of(self, name: str) -> int:
        """Return what all handlers together counted as ``name`` since they were compiled; those without it count 0."""
        return self.outfits.count_of(name)

    def bodies(self) -> Bodies:
        """Return the documents of the last revision by key, as they are now; doubles of a drill are in none."""
        return Bodies(self.documents.copy(), self._devices.copy(), self.circumstances.places.copy())

    def body(self, key: str) -> bytes | None:
        """Return a document as it is now; of doubles there are none."""
        return Bodies(self.documents, self._devices, self.circumstances.places).get(key)

    def near(self, device: Subject, kind: str, within: str) -> list[Device]:
        """Return the devices of ``kind`` in the same place or below, or at the same site, in the order of keys."""
        there = self.devices_of(device.site)
        if within == "place":
            here = f"{device.site}/@{device.row.place}"
            known = self.stands.places.get(here)
            if known is None:  # no rule is for such a place: it knows nobody
                return [other for other in there if other.kind == kind and here in self.around(other)]
            return known.by_kind.get(kind, [])
        return [other for other in there if other.kind == kind]

    def beside(self, device: Device, types: Collection[str] = _ONE_THING) -> list[Device]:
        """Return the others of its kind at the same elevator, gate or lane, if that is a place of one of ``types``."""
        mine = device.row
        place = self.place(mine.site, mine.place)
        if place is None or place.row.type not in types:
            return []
        there = place.by_kind.get(mine.kind) or self.devices_of(mine.site)  # a place without rules knows nobody
        there = [one for one in there if one.row.place == mine.place and one.row.kind == mine.kind]
        return [one for one in there if not one.is_double and one is not device]

    def devices_of(self, site: str) -> list[Device]:
        """Return the devices of a site in the order of keys."""
        return self._whereabouts.of_site(site)

    def subjects(self) -> Iterator[Subject]:
        """Yield every device and place, each in the order of keys."""
        yield from self.devices()
        for key in sorted(self.stands.places):
            yield self.stands.places[key]
