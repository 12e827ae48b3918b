"""Places as rules see them: what stands there, and what holds there from one day to another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import msgspec

from hub.engine.device import Device
from hub.engine.kind_rules import KindRules
from hub.engine.rows import DeviceRow
from hub.errors import ConfigError
from hub.model import Scalar, Where
from hub.rules.calendars import opening
from hub.rules.rule import Rule
from hub.rules.settling import in_force
from hub.rules.states import CompiledRule


class PlaceRow(msgspec.Struct, frozen=True):
    """A place document; the site's own place has no parent."""

    site: str
    place: str
    type: str
    parent: str = ""
    building: str = ""
    zone: str = "UTC"
    label: dict[str, str] = {}
    facts: dict[str, Scalar] = {}


class ParamsRow(msgspec.Struct, frozen=True):
    """A params document: values that a rule takes for a profile, a site, a place and what is below it, or a device."""

    rule: str
    values: dict[str, Scalar]
    profile: str = ""
    site: str = ""
    place: str = ""
    device: str = ""


class ListRow(msgspec.Struct, frozen=True):
    """A list document: what stands on a list of a site, or only of a ``place`` in it, and from when until when."""

    site: str
    list: str
    entries: dict[str, Scalar]
    place: str = ""


class SceneRow(msgspec.Struct, frozen=True):
    """A scene document: the rules that are switched on and off together."""

    scene: str
    rules: list[str]


class OffRow(msgspec.Struct, frozen=True):
    """Says that a scene is switched off at a site."""

    site: str
    scene: str


_SCENES, _OFF = msgspec.json.Decoder(SceneRow), msgspec.json.Decoder(OffRow)


def rules_at_rest(bodies: Mapping[str, bytes]) -> dict[str, frozenset[str]]:
    """Return the rules of the scenes that are switched off, by site; a scene that nobody knows any more has none."""
    scenes = {row.scene: row.rules for row in map(_SCENES.decode, bodies_of(bodies, "scene"))}
    found: dict[str, frozenset[str]] = {}
    for row in map(_OFF.decode, bodies_of(bodies, "off")):
        found[row.site] = found.get(row.site, frozenset()).union(scenes.get(row.scene, ()))
    return found


class Place:
    """A place that rules hold states for. Like a device it has a key, which begins with @, and a building.

    ``devices`` are those there and below, in the order of keys. ``resting`` names the rules that cannot begin here:
    those that never can, for no device stands here of any kind that says what they need, and those of which it was
    found that nobody has ever said it, until somebody says something new. ``listening`` names the others.
    """

    __slots__ = (
        "_idle", "building", "by_kind", "device", "identity", "key", "listening", "name", "resting", "row", "rules",
        "site",
    )  # fmt: skip

    def __init__(self, row: PlaceRow, rules: KindRules, devices: Iterable[Device]) -> None:
        self.row = row
        self.site, self.name, self.building = row.site, row.place, row.building
        self.device = ""
        self.identity = (row.site, f"@{row.place}")
        self.key = key_of_place(row)
        self.rules = rules
        self.by_kind: dict[str, list[Device]] = {}
        for device in devices:
            self.by_kind.setdefault(device.kind, []).append(device)
        self._idle = frozenset(name for name, rule in rules.by_name.items() if self._has_nobody_for(rule))
        self._rest(self._idle)

    def _rest(self, resting: frozenset[str]) -> None:
        self.resting, self.listening = resting, frozenset(self.rules.by_name).difference(resting)

    def _has_nobody_for(self, rule: CompiledRule) -> bool:
        says = (rule.scope.sources.get(name, ()) for name in rule.needs)
        return any(self.by_kind.keys().isdisjoint(kind for kind, _ in pairs) for pairs in says)

    def key_of(self, part: str) -> str:
        """Return the key; a place has no parts."""
        return f"{self.key}#{part}" if part else self.key

    def look_again(self) -> None:
        """Take nobody's silence for granted any more: somebody here says something new."""
        if self.resting is not self._idle:
            self._rest(self._idle)

    def rest(self, rule: CompiledRule) -> None:
        """Do not ask ``rule`` again until somebody here says something new."""
        self._rest(self.resting | {rule.name})

    def says(self, kind: str, word: str) -> bool:
        """Return whether a device of ``kind`` here has ever said ``word``."""
        for device in self.by_kind.get(kind, ()):
            for held in device.state.by_part().values():
                if word in held.values or word in held.older:
                    return True
        return False

    def lacks(self, rule: CompiledRule) -> bool:
        """Return whether nobody here has ever said something without which ``rule`` is never true."""
        sources = rule.scope.sources
        for name in rule.needs:
            for kind, word in sources.get(name, ()):
                if self.says(kind, word):
                    break
            else:
                return True
        return False

    def taking(self, command: str) -> list[Device]:
        """Return the devices here that take ``command``, in the order of keys."""
        found = (device for devices in self.by_kind.values() for device in devices if command in device.commands)
        return sorted(found, key=lambda device: device.key)


def key_of_place(row: PlaceRow) -> str:
    return f"{row.site}/@{row.place}"


def where(subject: Device | Place) -> Where | None:
    """Return the place that is the subject, for readers; None for a device, which the registry places."""
    row = subject.row
    return Where(row.place, row.type, row.label) if isinstance(row, PlaceRow) else None


Subject = Device | Place
"""What a rule holds a state for."""


def is_near(one: Subject, other: Subject, within: str) -> bool:
    """Return whether two subjects share a site, a building, or the very place."""
    if one.site != other.site:
        return False
    if within == "building":
        return bool(one.building) and one.building == other.building
    return within == "site" or one.row.place == other.row.place


def is_at(key: str, at: str) -> bool:
    """Return whether ``key`` is of the device or place ``at``, a part of it, or anything in that site ("": any)."""
    return at in {"", key.partition("#")[0], key.partition("/")[0]}


class Settled(NamedTuple):
    """What a rule's parameters, facts and lists come to for one subject, and whether a window of its schedule is open.

    All that until a wall time.
    """

    values: tuple[tuple[str, Scalar], ...] = ()
    lists: tuple[tuple[str, frozenset[Scalar]], ...] = ()
    is_open: bool = True
    until: int | None = None


class Circumstances:
    """Places, parameters and lists of the last revision."""

    def __init__(self, bodies: Mapping[str, bytes]) -> None:
        decode = msgspec.json.decode
        rows = [decode(body, type=PlaceRow) for body in bodies_of(bodies, "place")]
        self.places = {(row.site, row.place): row for row in rows}
        self._params: dict[str, list[ParamsRow]] = {}
        for body in bodies_of(bodies, "params"):
            row = decode(body, type=ParamsRow)
            self._params.setdefault(row.rule, []).append(row)
        self._lists: dict[str, list[ListRow]] = {}
        for body in bodies_of(bodies, "list"):
            listed = decode(body, type=ListRow)
            self._lists.setdefault(listed.site, []).append(listed)

    def way_up(self, site: str, place: str) -> list[PlaceRow]:
        """Return the place and those around it, nearest first."""
        found: list[PlaceRow] = []
        here = self.places.get((site, place))
        while here is not None and here not in found:
            found.append(here)
            here = self.places.get((site, here.parent))
        return found

    def settle(self, rule: Rule, row: DeviceRow | PlaceRow, at: int) -> Settled:
        """Return what holds for ``rule`` at a device or place at wall time ``at``. ConfigError ``bad_fact``."""
        way = self.way_up(row.site, row.place)
        values = dict(self._values(rule, row, way))
        changes: list[int | None] = []
        for name in sorted(rule.facts):
            said = next((place.facts[name] for place in way if name in place.facts), None)
            if said is not None:
                values[name], change = _in_force(said, at, row.zone, f"fact {name} of {row.site}/{row.place}")
                changes.append(change)
        lists: dict[str, frozenset[Scalar]] = {}
        around = {"", *(place.place for place in way)}
        for listed in self._lists.get(row.site, ()) if rule.uses_lists else ():
            if listed.place in around:
                what = f"list {listed.list} of {listed.site}"
                found = {value: _in_force(said, at, row.zone, what) for value, said in listed.entries.items()}
                changes += [change for _, change in found.values()]
                on = frozenset(value for value, (is_on, _) in found.items() if is_on)
                lists[listed.list] = lists.get(listed.list, frozenset()) | on
        is_open = True
        if rule.schedule is not None:
            is_open, change = opening(rule.schedule, at, row.zone)
            changes.append(change)
        until = min((change for change in changes if change is not None), default=None)
        return Settled(tuple(sorted(values.items())), tuple(lists.items()), is_open, until)

    def _values(self, rule: Rule, row: DeviceRow | PlaceRow, way: list[PlaceRow]) -> Iterator[tuple[str, Scalar]]:
        """Yield what is said of the parameters, from the widest to the nearest."""
        ranks = {(place.site, place.place): len(way) - index + 1 for index, place in enumerate(way)}
        found = ((_rank(each, row, ranks), index, each) for index, each in enumerate(self._params.get(rule.rule, ())))
        for rank, _, each in sorted(found, key=lambda one: one[:2]):
            if rank >= 0:
                yield from each.values.items()


def _rank(params: ParamsRow, row: DeviceRow | PlaceRow, places: Mapping[tuple[str, str], int]) -> int:
    """Return how near a document of parameters is to a device or place; -1 when it is not about it."""
    if params.device:
        is_mine = (params.site, params.device) == (row.site, getattr(row, "device", ""))
        return len(places) + 2 if is_mine else -1
    if params.place:
        return places.get((params.site, params.place), -1)
    if params.profile:
        return 0 if params.profile == getattr(row, "profile", "") else -1
    return 1 if params.site in {"", row.site} else -1


def _in_force(said: Scalar, at: int, zone: str, what: str) -> tuple[bool, int | None]:
    try:
        return in_force(said, at, zone)
    except ValueError as error:
        code = "bad_fact"
        raise ConfigError(code, f"{what}: {error}", hint="write true, false, or FROM/UNTIL") from error


def bodies_of(bodies: Mapping[str, bytes], noun: str) -> Iterator[bytes]:
    """Yield the bodies of the documents of one noun, in the order of keys."""
    mine = f"{noun}/"
    return (bodies[key] for key in sorted(key for key in bodies if key.startswith(mine)))
