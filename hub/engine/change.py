"""What a revision touches, and what it did: whose states must end, who is watched anew, whose rules are others now."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import TypeVar

from hub.engine.device import Device
from hub.engine.kind_rules import KindRules
from hub.engine.places import Place, Subject
from hub.engine.rows import Kept
from hub.engine.whereabouts import names_of
from hub.model.records import Revision

T = TypeVar("T")
S = TypeVar("S")
Each = TypeVar("Each", Device, Subject)

AT_ONCE = 250
"""Devices that are read, equipped, placed or judged between two pauses: 5 ms."""

_OF_ROWS = frozenset({"device", "barred", "off", "place", "params", "list"})
"""Documents of which rules, kinds and profiles are what they were."""
_OF_RULES = frozenset({"rule", "scene", "secret", "quota"})


_NARROW = ("barred/", "device/", "list/", "off/", "params/", "place/", "rule/", "scene/")


def is_wide(revision: Revision) -> bool:
    """Return whether a revision is of more than devices, places, rules and what holds for them."""
    return any(not key.startswith(_NARROW) for key in (*revision.put, *revision.removed))


def at_once(steps: Generator[None, None, T]) -> T:
    """Return what ``steps`` come to, without a pause between them."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: T = end.value
            return found


def parts(found: Iterable[S]) -> Iterator[Sequence[S]]:
    """Yield so many of ``found`` at a time that the loop does not stand still for long."""
    left = iter(found)
    while some := [*islice(left, AT_ONCE)]:
        yield some


def each_once(subjects: Iterable[Each]) -> list[Each]:
    """Return devices or places, of each key the last one, in the order of keys."""
    found = {subject.key: subject for subject in subjects}
    return [found[key] for key in sorted(found)]


class Touched:
    """The documents that a revision puts, as they are kept, and the keys of those that it removes, in their order."""

    def __init__(self, removed: Iterable[str]) -> None:
        self.put: dict[str, Kept] = {}
        self.removed = sorted(removed)
        self._by_noun: dict[str, list[str]] = {}
        self._note(self.removed)

    def take(self, put: Mapping[str, Kept]) -> None:
        """Add some that are put; each comes behind those before it by its key."""
        self.put.update(put)
        self._note(put)

    def _note(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._by_noun.setdefault(key.partition("/")[0], []).append(key)

    def keys(self, noun: str) -> list[str]:
        """Return the keys of one noun, in their order."""
        return sorted(self._by_noun.get(noun, ()))

    def names(self, noun: str) -> set[str]:
        """Return the names of one noun that has nothing but a name."""
        return {key.partition("/")[2] for key in self.keys(noun)}

    @property
    def holds_otherwise(self) -> bool:
        """Return whether something else may hold at devices or places: the same rules come to something else."""
        return not {"list", "params", "place"}.isdisjoint(self._by_noun)

    @property
    def has_new_rules(self) -> bool:
        """Return whether rules, or what they speak of, may be others."""
        return not _OF_ROWS.issuperset(self._by_noun)

    @property
    def has_new_kinds(self) -> bool:
        """Return whether what devices work with may be something else for all of them."""
        return not (_OF_ROWS | _OF_RULES | {"profile"}).issuperset(self._by_noun)

    def over(self, known: Mapping[str, Kept]) -> dict[str, Kept]:
        """Return what becomes of ``known`` documents, without those that are of devices and places."""
        put = {key: document for key, document in self.put.items() if key.partition("/")[0] not in _OF_ROWS}
        gone = {*self.removed}
        return {key: document for key, document in {**known, **put}.items() if key not in gone}


@dataclass(slots=True)
class Change:
    """What a revision did: states of what was removed, or is off as (site, rule), must end; new devices are watched.

    When rules are read anew that is all that is off: nobody knows what was when a checkpoint of another version, of
    which something could not be read, was written.

    ``turned`` are those of which the same rules now come to something else, ``concerned`` the devices that are new, or
    that have rules or an outfit of their own kind anew. Of those that are ``touched`` each that
    was there before is ``replaced`` (the former and what it is now). Devices have ``left`` places, though they stay.
    ``peopled`` are the keys of places where others stand now than before.
    ``names`` are what foreign networks call (source, name) devices that are barred now, or were.
    """

    has_new_rules: bool = False
    has_new_kinds: bool = False
    has_new_places: bool = False
    removed_rules: list[str] = field(default_factory=list)
    switched_off: list[tuple[str, str]] = field(default_factory=list)
    removed_devices: list[Device] = field(default_factory=list)
    removed_places: list[Place] = field(default_factory=list)
    touched: list[Device] = field(default_factory=list)
    replaced: list[tuple[Device, Device]] = field(default_factory=list)
    left: list[tuple[Device, list[Place]]] = field(default_factory=list)
    peopled: set[str] = field(default_factory=set)
    concerned: list[Device] = field(default_factory=list)
    turned: list[Subject] = field(default_factory=list)
    names: set[tuple[str, str]] = field(default_factory=set)

    def over(self, *there: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """Return the (site, rule) to be ended, a rule that is gone at all sites (""); ``there`` is, by rule and key.

        What is off and has left nothing there is not among them: to look for it is a walk over everything, for each.
        """
        gone = [("", rule) for rule in self.removed_rules]
        if not self.switched_off:
            return gone
        left = {(key.partition("/")[0], rule) for rule, key in chain(*there)}
        return gone + [each for each in self.switched_off if each in left]

    @property
    def former_devices(self) -> list[Device]:
        """Return the devices that are no more what they were: gone, or with another one in their place."""
        return [*(former for former, _ in self.replaced), *self.removed_devices]

    def all_names(self) -> set[tuple[str, str]]:
        """Return what foreign networks call (source or site, name) devices that come, go or are barred now."""
        return self.names | set(names_of([*self.former_devices, *self.touched]))

    def note_left(self, device: Device, before: Sequence[Place], *, is_another: bool = False) -> None:
        """Note the places that a device stood in ``before``, and now does no more, and those that it is new in.

        One that ``is_another`` thing now has left all of them.
        """
        now, then = {place.key for place in device.places}, {place.key for place in before}
        left = [place for place in before if is_another or place.key not in now]
        self.peopled |= now | then if is_another else now ^ then
        if left:
            self.left.append((device, left))

    def turn_peopled(self, places: Mapping[str, Place]) -> None:
        """Let those of ``places`` be judged anew where somebody has come or is gone: it may have been about them."""
        self.peopled |= {place.key for device in self.removed_devices for place in device.places}
        if self.peopled:
            self.turned = each_once([*self.turned, *(places[key] for key in self.peopled if key in places)])

    @property
    def may_matter_elsewhere(self) -> bool:
        """Return whether what alarms of other devices come to may be something else."""
        return self.has_new_rules or self.has_new_places or bool(self.turned)

    def others_than(self, former: Mapping[str, KindRules]) -> list[Device]:
        """Return those of the touched devices that have others than their ``former`` rules, by key."""
        return [device for device in self.touched if former.get(device.key, device.rules) is not device.rules]
