"""What holds at a place from one day to another: parameters, facts, lists, windows, scenes that are off."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

import msgspec

from hub.engine.rows import DeviceRow, Kept, PlaceRow, kept, read_place, site_and_name
from hub.errors import ConfigError
from hub.model.values import Scalar
from hub.rules.calendars import opening
from hub.rules.rule import Rule
from hub.rules.settling import in_force


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


read_params, read_list = msgspec.json.Decoder(ParamsRow).decode, msgspec.json.Decoder(ListRow).decode
_SCENE, _OFF = msgspec.json.Decoder(SceneRow).decode, msgspec.json.Decoder(OffRow).decode
_NOUNS = ("list/", "off/", "params/", "place/", "scene/")

Key = tuple[str, str]
"""Site and name of a place."""

R = TypeVar("R", ParamsRow, ListRow)


class Settled(NamedTuple):
    """What a rule's parameters, facts and lists come to for one subject, and whether a window of its schedule is open.

    All that until a wall time.
    """

    values: tuple[tuple[str, Scalar], ...] = ()
    lists: tuple[tuple[str, frozenset[Scalar]], ...] = ()
    is_open: bool = True
    until: int | None = None


class Circumstances:
    """Places, parameters, lists and switched off scenes of the last revision, each kept by its own document."""

    def __init__(self, bodies: Mapping[str, bytes]) -> None:
        self.places: dict[Key, PlaceRow] = {}
        self._below: dict[Key, list[str]] = {}
        self._params: dict[str, dict[str, ParamsRow]] = {}
        self._lists: dict[str, dict[str, ListRow]] = {}
        self._scenes: dict[str, SceneRow] = {}
        self._off: dict[str, OffRow] = {}
        self.at_rest: dict[str, frozenset[str]] = {}
        """The rules of the scenes that are switched off, by site; a scene that nobody knows any more has none."""
        mine = sorted(key for key in bodies if key.startswith(_NOUNS))
        self.change({key: kept(key, bodies[key]) for key in mine}, ())

    def copy(self) -> Circumstances:
        """Return these once more: what changes there changes nothing here."""
        found = Circumstances({})
        found.places, found.at_rest = self.places.copy(), self.at_rest.copy()
        found._below = {around: names.copy() for around, names in self._below.items()}
        found._params = {rule: there.copy() for rule, there in self._params.items()}
        found._lists = {site: there.copy() for site, there in self._lists.items()}
        found._scenes, found._off = self._scenes.copy(), self._off.copy()
        return found

    def change(self, put: Mapping[str, Kept], removed: Sequence[str]) -> None:
        """Take documents, in the order of keys, that are new or others now, and forget those that are gone.

        Others than ours are passed by.
        """
        for key in removed:
            self._forget(key)
        for key, document in put.items():
            if isinstance(document, PlaceRow):
                self._put_place(document)
            elif key.startswith(_NOUNS):
                self._put(key, document.body)
        if any(key.startswith(("off/", "scene/")) for key in (*put, *removed)):
            scenes = {row.scene: row.rules for _, row in sorted(self._scenes.items())}
            self.at_rest = {}
            for _, off in sorted(self._off.items()):
                known = self.at_rest.get(off.site, frozenset())
                self.at_rest[off.site] = known.union(scenes.get(off.scene, ()))

    def _put(self, key: str, body: bytes) -> None:
        match key.partition("/")[0]:
            case "place":
                self._put_place(read_place(body))
            case "params":
                params = read_params(body)
                _put_row(self._params, params.rule, key, params)
            case "list":
                listed = read_list(body)
                _put_row(self._lists, listed.site, key, listed)
            case "scene":
                self._scenes[key] = _SCENE(body)
            case "off":
                self._off[key] = _OFF(body)
            case _:
                pass

    def _put_place(self, row: PlaceRow) -> None:
        here = row.site, row.place
        before = self.places.get(here)
        if before is None or before.parent != row.parent:
            self._leave(before)
            self._below.setdefault((row.site, row.parent), []).append(row.place)
        self.places[here] = row

    def _leave(self, row: PlaceRow | None) -> None:
        """Be below nothing any more."""
        if row is None:
            return
        around = row.site, row.parent
        self._below[around].remove(row.place)
        if not self._below[around]:
            del self._below[around]

    def _forget(self, key: str) -> None:
        match key.partition("/")[0]:
            case "place":
                self._leave(self.places.pop(site_and_name(key), None))
            case "params":
                _without(self._params, key)
            case "list":
                _without(self._lists, key)
            case "scene":
                self._scenes.pop(key, None)
            case "off":
                self._off.pop(key, None)
            case _:
                pass

    def in_and_below(self, names: Iterable[Key]) -> set[Key]:
        """Return these places and all below them, also where there is no such place (any more)."""
        found, waiting = set[Key](), [*names]
        while waiting:
            here = waiting.pop()
            if here not in found:
                found.add(here)
                waiting += [(here[0], name) for name in self._below.get(here, ())]
        return found

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
        around, listing = {"", *(place.place for place in way)}, self._lists.get(row.site)
        for listed in listing.values() if listing and rule.uses_lists else ():
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
        mine = self._params.get(rule.rule)
        if not mine:
            return
        ranks = {(place.site, place.place): len(way) - index + 1 for index, place in enumerate(way)}
        found = ((_rank(each, row, ranks), index, each) for index, each in enumerate(mine.values()))
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


def _put_row(known: dict[str, dict[str, R]], name: str, key: str, row: R) -> None:
    """Hold a document's row under ``name``, there in the order of keys; documents come in that order, nearly always."""
    _without(known, key)
    there = known.setdefault(name, {})
    is_last = not there or next(reversed(there)) < key
    there[key] = row
    if not is_last:
        known[name] = dict(sorted(there.items()))


def _without(known: dict[str, dict[str, R]], key: str) -> None:
    """Forget the row of a document, wherever it is."""
    for name, there in [*known.items()]:
        if there.pop(key, None) is not None and not there:
            del known[name]
