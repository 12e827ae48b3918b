"""What the engine knows from revisions: kinds, profiles, rules and devices, compiled from their documents."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping

from hub.catalogue import Catalogue, Kind
from hub.engine.barred import Barred
from hub.engine.change import Change
from hub.engine.device import Device
from hub.engine.known import DeviceState, entry_key
from hub.engine.networks import Networks
from hub.engine.outfits import Outfits
from hub.engine.places import Place, Subject, bodies_of, is_near, key_of_place
from hub.engine.rows import DOUBLE, Bodies, Kept, kept, revised, row_of, without_rows
from hub.engine.rulebook import Rulebook
from hub.engine.state import State
from hub.engine.whereabouts import Whereabouts
from hub.errors import ConfigError
from hub.model import Handler, PlaceType, Revision
from hub.normalize.networks.source import CompiledStream
from hub.normalize.profile import Profile
from hub.rules.pseudonyms import DOCUMENT, read_key
from hub.rules.states import CompiledRule

_OF_PLACES = ("place/", "params/", "list/", "off/")
"""Documents that change what rules come to at a device or place, and nothing else."""
_ONE_THING = frozenset({PlaceType.ELEVATOR.value, PlaceType.GATE.value, PlaceType.LANE.value})


class Content:
    """The documents of the last revision and what they compile to; those that are a row are with their devices."""

    def __init__(self, compiled: Callable[..., CompiledRule] = CompiledRule) -> None:
        self._compiled = compiled
        self.documents: dict[str, Kept] = {}
        self.rules: dict[str, CompiledRule] = {}
        self._rulebook = Rulebook({}, Catalogue(()))
        self._places: dict[str, Place] = {}
        self._at = 0
        self._outfits = Outfits({}, {})
        self._devices: dict[str, Device] = {}
        self._whereabouts = Whereabouts(self._devices)
        self.networks = Networks()
        self.barred = Barred({}, self.networks)
        self.secret = read_key(None)
        """The key of pseudonyms."""

    # ----------------------------------------------------------------------------------------------------- look-ups

    def find(self, site: str, device: str) -> Device | None:
        """Return a registered device."""
        return self._devices.get(f"{site}/{device}")

    def has(self, key: str) -> bool:
        """Return whether a device of ``key`` is registered."""
        return key in self._devices

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
        found = self._devices.get(name) or self._places.get(name)
        return None if found is None else (found, part)

    def place(self, site: str, name: str) -> Place | None:
        """Return a place, also one that no rule is for."""
        return self._places.get(f"{site}/@{name}") or self._rulebook.bare_place(site, name)

    def around(self, subject: Subject) -> list[str]:
        """Return the keys of ``subject`` and of the places that it stands in, nearest first."""
        way = self._rulebook.way_up(subject.site, subject.row.place)
        return [*([subject.key] if isinstance(subject, Device) else []), *(key_of_place(row) for row in way)]

    def seeing(self, key: str) -> dict[str, Place]:
        """Return the places by key that see any device at or below what ``key`` names."""
        devices = [device for device in self.devices_of(key.partition("/")[0]) if key in self.around(device)]
        return {place.key: place for device in devices for place in device.places}

    def kind(self, device: Device) -> Kind:
        """Return the kind of a device."""
        return self._outfits.kinds[device.kind]

    def rule_of(self, name: str, subject: Subject) -> CompiledRule | None:
        """Return a rule as it is for ``subject``; one that is being removed as it was."""
        return subject.rules.by_name.get(name) or self.rules.get(name)

    def is_at_rest(self, site: str, rule: str) -> bool:
        """Return whether the scene of a rule is switched off at a site."""
        return (site, rule) in self._rulebook.at_rest

    def devices(self) -> Iterator[Device]:
        """Yield every device in the order of keys."""
        for key in sorted(self._devices):
            yield self._devices[key]

    def sites(self) -> list[str]:
        """Return every site, also one without devices."""
        named = {key.split("/")[1] for key in self.documents if key.startswith("place/")}
        return sorted(named | {device.site for device in self._devices.values()})

    def count_of(self, name: str) -> int:
        """Return what all handlers together counted as ``name`` since they were compiled; those without it count 0."""
        return self._outfits.count_of(name)

    def bodies(self) -> Bodies:
        """Return the documents of the last revision by key; doubles of a drill are in none."""
        documents = {key: document for key, document in self.documents.items() if not key.endswith(DOUBLE)}
        return Bodies(documents, self._devices.copy())

    def near(self, device: Subject, kind: str, within: str) -> list[Device]:
        """Return the devices of ``kind`` in the same place, building or site, in the order of keys."""
        if within == "place":
            around = device.places[0].by_kind if isinstance(device, Device) and device.places else None
            return (device.by_kind if isinstance(device, Place) else around or {}).get(kind, [])
        there = self.devices_of(device.site)
        return [other for other in there if other.kind == kind and is_near(device, other, within)]

    def beside(self, device: Device, types: Collection[str] = _ONE_THING) -> list[Device]:
        """Return the others of its kind at the same elevator, gate or lane, if that is a place of one of ``types``."""
        place = self.place(device.site, device.row.place)
        if place is None or place.row.type not in types:
            return []
        there = [one for one in self.devices_of(device.site) if not one.is_double and one is not device]
        return [one for one in there if one.kind == device.kind and one.row.place == place.name]

    def devices_of(self, site: str) -> list[Device]:
        """Return the devices of a site in the order of keys."""
        return self._whereabouts.of_site(site)

    # ----------------------------------------------------------------------------------------------------- revisions

    def revise(self, revision: Revision, bodies: Mapping[str, bytes], state: State, awake: int) -> Change:
        """Take new documents. Raises ConfigError before anything is changed: the rim checks first, so it is a bug."""
        documents = revised(self.documents, revision, bodies)
        touched = [*revision.put, *revision.removed]
        change, at_rest = Change(), self._rulebook.at_rest
        is_recompiled = any(not key.startswith(("device/", "barred/", *_OF_PLACES)) for key in touched)
        if is_recompiled:
            self._compile(documents, change)
        for key in revision.removed:
            state.remove(f"document/{key}")
        for key in revision.put:
            state.put(key, documents[key])
        self.documents = documents
        self._bar(touched, is_recompiled=is_recompiled)
        at = self._at = state.clock.received_at
        if is_recompiled or any(key.startswith(_OF_PLACES) for key in touched):
            self._rulebook.learn(Bodies(documents))
            change.switched_off = sorted(self._rulebook.at_rest - (frozenset() if is_recompiled else at_rest))
        is_everywhere = is_recompiled or any(key.startswith("params/") for key in touched)
        sites = None if is_everywhere else sorted({key.split("/")[1] for key in touched})
        before = {} if is_recompiled else {each.key: each.rules for each in self._subjects_of(sites)}
        self._revise_devices(touched, change, state, awake)
        if is_recompiled:
            self._equip_all_but(set(touched), change, state)
        self._stand(at, change, sites)
        back = at_rest - self._rulebook.at_rest if is_recompiled else frozenset[tuple[str, str]]()
        there = self._subjects_of(sites)
        change.turned = [each for each in there if before.get(each.key, each.rules) is not each.rules]
        change.turned += [each for each in there if back and any(_has(each, *one) for one in back)]
        return change

    def _bar(self, touched: list[str], *, is_recompiled: bool) -> None:
        if is_recompiled or any(key.startswith("barred/") for key in touched):
            self.barred = Barred(Bodies(self.documents), self.networks)

    def _stand(self, at: int, change: Change, sites: list[str] | None) -> None:
        """Bind rules to the devices and places of ``sites`` (None: of all), as it is at wall time ``at``."""
        wanted = self.sites() if sites is None else sites
        gone = {device.key for device in change.removed_devices}  # who is taken away is no witness any more
        devices = [device for site in wanted for device in self.devices_of(site) if device.key not in gone]
        for device in devices:
            rules = self._rulebook.of_device(device.row, at)
            if rules is not device.rules:
                device.rules = rules
                device.forget_shortcuts()
        places = {place.key: place for place in self._rulebook.places_of(devices, wanted, at)}
        old = [place for place in self._places.values() if place.site in wanted]
        change.removed_places = [place for place in old if place.key not in places]
        others = {key: place for key, place in self._places.items() if place.site not in wanted}
        self._places = dict(sorted((others | {one.key: one for one in change.removed_places} | places).items()))
        self._rulebook.keep_only((*self._devices.values(), *self._places.values()))

    @property
    def changes_at(self) -> int | None:
        """Return the wall time at which rules next come to something else by themselves."""
        return self._rulebook.changes_at

    def turn(self, at: int) -> list[Subject]:
        """Bind rules anew where a fact, an entry of a list or a window begins or ends; return whose rules changed."""
        change = self._rulebook.changes_at
        if change is None or at < change:
            return []
        self._rulebook.changes_at = None
        before = {each.key: each.rules for each in self.subjects()}
        self._stand(at, Change(), None)
        return [each for each in self.subjects() if before.get(each.key) is not each.rules]

    def subjects(self) -> Iterator[Subject]:
        """Yield every device and place, each in the order of keys."""
        yield from self.devices()
        yield from self._places.values()

    def _subjects_of(self, sites: list[str] | None) -> list[Subject]:
        """Return the devices and places of ``sites`` (None: of all), each in the order of keys."""
        if sites is None:
            return list(self.subjects())
        return [*self._whereabouts.of_sites(sites), *(each for each in self._places.values() if each.site in sites)]

    def _revise_devices(self, touched: list[str], change: Change, state: State, awake: int) -> None:
        self._whereabouts.look_again({key.split("/")[1] for key in touched if key.startswith("device/")})
        for key in sorted(touched):
            if not key.startswith("device/"):
                continue
            name = key.removeprefix("device/")
            document, old = self.documents.get(key), self._devices.get(name)
            if document is None:
                if old is not None:
                    change.removed_devices.append(old)
                continue
            known = old.state if old is not None else DeviceState(heard_awake=awake)
            device = self._devices[name] = Device(row_of(document), known)
            self._equip(device)
            if old is None:
                change.new_devices.append(device)
                state.mark(known)
            else:
                device.is_silent = old.is_silent
        self.documents = without_rows(self.documents)

    def settle(self, change: Change, state: State) -> None:
        """Forget what the change removed, after its states have ended."""
        self._whereabouts.look_again({device.site for device in change.removed_devices})
        for device in change.removed_devices:
            self._devices.pop(device.key, None)
            state.remove_device(device.state)
        self._outfits.keep_only(self._devices.values())
        for place in change.removed_places:
            self._places.pop(place.key, None)
        for rule in change.removed_rules:
            self.rules.pop(rule, None)

    def restore(self, states: Mapping[str, DeviceState], state: State) -> None:
        """Build everything from the restored documents and device states; of devices that are gone nothing is kept."""
        at = self._at = state.clock.received_at
        for key in sorted(states.keys() - self.documents.keys()):
            state.remove(key)
        self._compile(self.documents, Change())
        self.barred = Barred(Bodies(self.documents), self.networks)
        self._rulebook.learn(Bodies(self.documents))
        for key in sorted(self.documents):
            if key.startswith("device/"):
                document = self.documents[key] = kept(key, self.documents[key].body)
                device = Device(row_of(document), states.get(key) or DeviceState())
                if self._can_equip(device):
                    self._devices[device.key] = device
        self.documents = without_rows(self.documents)
        self._stand(at, Change(), None)

    # -------------------------------------------------------------------------------------------------------- compile

    def _compile(self, documents: Mapping[str, Kept], change: Change) -> None:
        bodies = Bodies(documents)
        kinds = Catalogue(Kind.model_validate_json(body) for body in bodies_of(bodies, "kind"))
        profiles = {
            profile.profile: profile
            for profile in (Profile.model_validate_json(body) for body in bodies_of(bodies, "profile"))
        }
        networks = Networks(bodies_of(bodies, "network"), bodies_of(bodies, "source"), bodies_of(bodies, "directory"))
        rulebook = Rulebook(bodies, kinds, self._compiled)
        change.has_new_rules = True
        change.removed_rules = sorted(set(self.rules) - set(rulebook.rules))
        self.rules = {**{name: self.rules[name] for name in change.removed_rules}, **rulebook.rules}
        self._rulebook = rulebook
        self.secret = read_key(bodies.get(DOCUMENT))
        self._outfits = Outfits(kinds.kinds, profiles)
        self.networks = networks

    def _equip_all_but(self, equipped: set[str], change: Change, state: State) -> None:
        """Equip the devices again; a double that is still what its original was, and cannot be that, goes at once."""
        for device in self._devices.values():
            key = entry_key(device.key)
            if key not in equipped and not self._can_equip(device):
                self.documents.pop(key, None)
                state.remove(f"document/{key}")
                change.removed_devices.append(device)

    def _can_equip(self, device: Device) -> bool:
        """Return whether it works; not a double of which kind or profile is gone. ConfigError for a registered one."""
        try:
            self._equip(device)
        except ConfigError:
            if not device.is_double:
                raise
            return False
        return True

    def _equip(self, device: Device) -> None:
        row = device.row
        kind = self._outfits.kinds.get(row.kind)
        if kind is None:
            code = "unknown_kind"
            raise ConfigError(code, f"device {device.key} is of kind {row.kind!r}, which is not in the catalogue")
        device.rules = self._rulebook.of_device(row, self._at)
        self.networks.enlist(device)
        self._outfits.equip(device)


def _has(subject: Subject, site: str, rule: str) -> bool:
    return subject.site == site and rule in subject.rules.by_name
