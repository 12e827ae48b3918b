"""Which of a scene's rules can ever be true at a site, and which of their commands reach anybody there."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from hub.catalogue import Label, catalogue_of
from hub.engine.aims import targets_of
from hub.engine.content import Content
from hub.engine.device import Device
from hub.engine.guards import ONE_LANE
from hub.engine.places import Place, Subject, bodies_of
from hub.engine.rows import Document, PlaceRow, read_row
from hub.engine.state import State
from hub.model.values import Severity
from hub.normalize.profile import profile_of
from hub.rules.asking import needed
from hub.rules.lints import beyond
from hub.rules.rule import Do, Rule
from hub.rules.scene import Scene
from hub.rules.states import CompiledRule

_OF_SITES = ("device/", "barred/", "place/", "params/", "list/", "off/")


@dataclass(slots=True, kw_only=True)
class Command:
    """A command that rules of a scene send: how many devices can take it, and who cannot, by the reason.

    ``unknown`` are devices of which a network's directory tells what they can; ``blind`` those that never report what
    an interlock must know before it may be sent, or undone, by that command and the name of that property; ``by_part``
    those of which others tell it, and must name the part: where several lanes are watched, or at a gate.
    """

    name: str
    kind: str
    able: set[str] = field(default_factory=set)
    unable: dict[str, tuple[Label, set[str]]] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)
    blind: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    by_part: dict[tuple[str, str], set[str]] = field(default_factory=dict)


class Lack(NamedTuple):
    """Why a rule is never true at a site: there is none of ``names`` (kinds, or a place), or nobody ``says`` them."""

    says: bool
    names: tuple[str, ...]


class Ground:
    """A site as the hub would bind rules to it, with ``scene`` switched on: an engine's content, never fed."""

    def __init__(self, scene: Scene, site: str, documents: Mapping[str, bytes]) -> None:
        self.scene = scene
        self.site = site
        mine = {key: body for key, body in documents.items() if not key.startswith(_OF_SITES) or _site(key) == site}
        mine.pop(f"off/{site}/{scene.scene}", None)
        used = {f"profile/{read_row(body).profile}" for key, body in mine.items() if key.startswith("device/")}
        mine = {key: body for key, body in mine.items() if not key.startswith("profile/") or key in used}
        self.content = Content()
        self.content.documents = {key: Document(body) for key, body in mine.items()}
        self.content.restore({}, State())
        self._kinds = catalogue_of(*bodies_of(mine, "kind"))
        profiles = [profile_of(body) for key, body in mine.items() if key.startswith("profile/")]
        self._said = {
            each.profile: {name for shape in each.shapes for name in (*shape.names, *shape.signals)}
            for each in profiles
            if each.shapes
        }
        parted = (each.profile for each in profiles if any(shape.part or shape.repeat for shape in each.shapes))
        self._parted = frozenset(parted)

    @property
    def places(self) -> list[PlaceRow]:
        """The places of the site, the site itself among them."""
        return [row for _, row in sorted(self.content.circumstances.places.items())]

    @property
    def devices(self) -> list[Device]:
        """The devices of the site that the hub judges."""
        return self.content.devices_of(self.site)

    def says(self, device: Device, word: str) -> bool:
        """Return whether a device can say a property or signal: one without a profile, or not known yet, says any."""
        said = self._said.get(device.profile)
        kind = self.content.kind(device)
        return word in (kind.properties.keys() | kind.signals.keys()) if said is None else word in said

    # ----------------------------------------------------------------------------------------------------------- rules

    def subjects(self, name: str) -> list[Subject]:
        """Return the devices and places of the site that a rule is for."""
        return [each for each in self.content.subjects() if each.site == self.site and name in each.rules.by_name]

    def lack(self, rule: Rule) -> Lack | None:
        """Return why ``rule`` is never true here; None when it can be true of somebody."""
        subjects = self.subjects(rule.rule)
        if not subjects:
            place, kinds = rule.for_each.place, self.content.rules[rule.rule].kinds
            return Lack(says=False, names=tuple(sorted(kinds)) if place is None else (place.value,))
        missing = [self._missing(each.rules.by_name[rule.rule], each) for each in subjects]
        least = min(missing, key=lambda words: (len(words), sorted(words)))
        says = isinstance(subjects[0], Device) or any("." in name for name in least)
        return Lack(says=says, names=tuple(sorted(least))) if least else None

    def beyond(self, name: str) -> list[str]:
        """Return what a rule compares with what nobody can say, as its parameters are for somebody here."""
        mine = {each.rules.by_name[name] for each in self.subjects(name)}
        return sorted({text for each in mine for text in beyond(each.rule, each.scope, self._kinds)})

    def uncounted(self, rule: Rule) -> set[str]:
        """Return who says what ``rule``, which is about lives, counts at places, and stands at none of these."""
        kinds = {kind for each in rule.inputs.values() for kind in each.of}
        if rule.for_each.place is None or rule.raise_.severity is not Severity.CRITICAL:
            return set()
        there = [place.devices() for place in self.subjects(rule.rule) if isinstance(place, Place)]
        counted = {one.key for found in there for one in found}
        return {one.device for one in self.devices if one.kind in kinds and one.key not in counted}

    def _missing(self, rule: CompiledRule, subject: Subject) -> frozenset[str]:
        words = rule.rule
        moments = [word for word in (words.on_signal, words.on_value) if word is not None]
        if isinstance(subject, Device):
            asked = [*moments, *(_needed(rule) - words.inputs.keys())]
            return frozenset(word for word in asked if not self.says(subject, word))
        if moments:
            there = [device for kind in words.for_each.of for device in subject.by_kind.get(kind, ())]
            return frozenset() if there else frozenset(words.for_each.of)
        return frozenset(self._missing_at(rule, subject))

    def _missing_at(self, rule: CompiledRule, place: Place) -> Iterator[str]:
        for name in sorted(_needed(rule)):
            if name in rule.rule.inputs:
                kinds: Collection[str] = rule.rule.inputs[name].of
                sources = [(kind, "") for kind in kinds]
            else:
                sources = [*rule.scope.sources.get(name, ())]
            if sources and not any(self._is_said(place, kind, word) for kind, word in sources):
                yield " / ".join(f"{kind}.{word}" if word else kind for kind, word in sources)

    def _is_said(self, place: Place, kind: str, word: str) -> bool:
        return any(not word or self.says(device, word) for device in place.by_kind.get(kind, ()))

    # -------------------------------------------------------------------------------------------------------- commands

    def commands(self, rules: Mapping[str, Rule]) -> list[Command]:
        """Return what becomes of each command of the scene's rules, by name and kind."""
        found: dict[tuple[str, str], Command] = {}
        asked: set[tuple[object, ...]] = set()
        for name in self.scene.rules:
            actions = [*rules[name].do, *rules[name].while_pending]
            for subject in self.subjects(name) if actions else ():
                for action in actions:
                    self._ask(action, subject, asked, found)
        return [found[key] for key in sorted(found)]

    def _ask(
        self, action: Do, subject: Subject, asked: set[tuple[object, ...]], found: dict[tuple[str, str], Command]
    ) -> None:
        """Note who takes an action; of subjects for whom it is the same devices the first is asked."""
        within = "" if action.to is None else action.to.within
        around = {"": subject.key, "place": subject.key, "building": subject.building, "site": ""}
        kind = "" if action.to is None else action.to.kind
        wish = (action.command, kind, within, around[within], action.priority)
        if wish in asked:
            return
        asked.add(wish)
        targets = targets_of(self.content, subject)(action)
        for name in {kind} if kind else {device.kind for device in targets}:
            command = found.setdefault((action.command, name), Command(name=action.command, kind=name))
            for device in targets:
                if device.kind == name:
                    self._note(command, device)

    def _note(self, command: Command, device: Device) -> None:
        if device.deafness is not None:
            command.unknown.add(device.device)
        elif not device.can(command.name):
            why = device.why_not(command.name)
            command.unable.setdefault(why["en"], (why, set()))[1].add(device.device)
        else:
            command.able.add(device.device)
            for name in (command.name, device.release_of(command.name)):
                self._note_unsaid(command, name, device)

    def _note_unsaid(self, command: Command, name: str, device: Device) -> None:
        """Note what an interlock of ``name`` asks for and ``device`` never says: whether others say it, and how."""
        guard = device.outfit.guards.get(name)
        asked = {word for lock in guard.only for word in lock.condition.names} if guard is not None else set()
        is_one = device.profile not in self._parted and bool(self.content.beside(device, ONE_LANE))
        for word in sorted(word for word in asked if not self.says(device, word)):
            if not any(self.says(one, word) for one in self.content.beside(device)):
                command.blind.setdefault((name, word), set()).add(device.device)
            elif not is_one:
                command.by_part.setdefault((name, word), set()).add(device.device)


def _needed(rule: CompiledRule) -> frozenset[str]:
    condition = rule.bare
    return frozenset() if condition is None or condition.tree is None else needed(condition.tree)


def _site(key: str) -> str:
    return key.split("/")[1]
