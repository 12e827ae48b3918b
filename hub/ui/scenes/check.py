"""The check of a scene: line by line what it needs at a site, what of that is missing, and what to do."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from hub.catalogue import Label
from hub.outward.wishes import Wishes
from hub.registry.nouns import Params
from hub.rules.roles import ROLES
from hub.rules.scene import Need
from hub.ui.scenes.reach import Command, Ground
from hub.ui.scenes.shelf import Known, Shelf, answers
from hub.ui.scenes.words import LINES, filled

SHOWN = 3
"""How many devices are named; of the others there is a number."""


class Grade(StrEnum):
    """How a line came out. ``missing`` makes the check fail; without what ``rests`` the scene works on."""

    GOOD = "good"
    RESTS = "rests"
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line: which sentence of :data:`LINES` it is, how it came out, and what fills the gaps."""

    name: str
    grade: Grade
    words: Mapping[str, object] = field(default_factory=dict)
    labels: Mapping[str, Label] = field(default_factory=dict)

    def text(self, language: str) -> str:
        """Return what was found."""
        return filled(getattr(LINES[self.name], language), self.words, self.labels, language)

    def mend(self, language: str) -> str:
        """Return what to do; empty where nothing is to be done."""
        return filled(getattr(LINES[self.name], f"mend_{language}"), self.words, self.labels, language)

    def plain(self) -> dict[str, object]:
        """Return it for a program."""
        found = {language: self.text(language) for language in ("en", "zh")}
        mend = {language: self.mend(language) for language in ("en", "zh")}
        return {"check": self.name, "grade": self.grade.value, "found": found, "mend": mend}


def check(ground: Ground, shelf: Shelf, known: Known, wishes: Wishes) -> list[Line]:
    """Return every line, in the order in which somebody would mend them."""
    site = {"site": ground.site, "scene": ground.scene.scene}
    is_on = known.is_on(ground.scene, ground.site)
    found = [
        Line(name="on" if is_on else "off", grade=Grade.GOOD if is_on else Grade.MISSING),
        *(_need(need, ground) for need in ground.scene.needs),
        *_rules(ground, shelf),
        *(line for command in ground.commands(shelf.rules) for line in _command(command)),
        *_roles(ground, shelf, wishes),
        *_answers(ground, shelf, known.params),
        *_beyond(ground),
    ]
    return [Line(name=each.name, grade=each.grade, words={**site, **each.words}, labels=each.labels) for each in found]


def _need(need: Need, ground: Ground) -> Line:
    because = {"because": need.because}
    if need.device:
        count = sum(device.kind in need.device for device in ground.devices)
        words = {"kinds": " / ".join(need.device), "kind": need.device[0], "count": count}
        return _either("device", "no_device", count, words, because)
    if need.place is not None:
        count = sum(row.type == need.place for row in ground.places)
        return _either("place", "no_place", count, {"kind": need.place.value, "count": count}, because)
    count = sum(need.fact in row.facts for row in ground.places)
    return _either("fact", "no_fact", count, {"kind": need.fact, "count": count}, because)


def _either(good: str, missing: str, count: int, words: Mapping[str, object], labels: Mapping[str, Label]) -> Line:
    name, grade = (good, Grade.GOOD) if count else (missing, Grade.MISSING)
    return Line(name=name, grade=grade, words=words, labels=labels)


def _rules(ground: Ground, shelf: Shelf) -> Iterator[Line]:
    lacks = {name: ground.lack(shelf.rules[name]) for name in ground.scene.rules}
    count = sum(lack is None for lack in lacks.values())
    yield _either("rules", "no_rules", count, {"count": count, "of": len(lacks)}, {})
    for rule, lack in lacks.items():
        if lack is not None:
            name, comma = ("unsaid", ", ") if lack.says else ("nobody", " / ")
            yield Line(name=name, grade=Grade.RESTS, words={"rule": rule, "names": comma.join(lack.names)})
        elif uncounted := ground.uncounted(shelf.rules[rule]):
            told = {"rule": rule, "devices": _named(uncounted), "kind": shelf.rules[rule].for_each.place}
            yield Line(name="uncounted", grade=Grade.RESTS, words=told)


def _command(command: Command) -> Iterator[Line]:
    words = {"command": command.name, "kind": command.kind}
    if command.able:
        yield Line(name="able", grade=Grade.GOOD, words={**words, "count": len(command.able)})
    if not (command.able or command.unable or command.unknown):
        yield Line(name="nobody_told", grade=Grade.RESTS, words=words)
    for why, devices in command.unable.values():
        told = {**words, "devices": _named(devices)}
        yield Line(name="unable", grade=Grade.MISSING, words=told, labels={"because": why})
    if command.unknown:
        yield Line(name="unknown", grade=Grade.RESTS, words={**words, "devices": _named(command.unknown)})
    for (name, word), devices in command.blind.items():
        told = {**words, "command": name, "word": word, "devices": _named(devices)}
        yield Line(name="blind", grade=Grade.MISSING, words=told)
    for (name, word), devices in command.by_part.items():
        told = {**words, "command": name, "word": word, "devices": _named(devices)}
        yield Line(name="by_part", grade=Grade.RESTS, words=told)


def _named(devices: Collection[str]) -> str:
    named = sorted(devices)
    more = len(named) - SHOWN
    return ", ".join(named[:SHOWN]) + (f" +{more}" if more > 0 else "")


def _roles(ground: Ground, shelf: Shelf, wishes: Wishes) -> Iterator[Line]:
    """Yield whom the rules that can be true here call, and over which channels with an address that goes."""
    called = {step.to for name in ground.scene.rules if ground.subjects(name) for step in shelf.rules[name].escalate}
    for role in sorted(called):
        routes = [route for route in wishes.routes if role in route.to and _is_for(route.places, ground.site)]
        channels = sorted({name for route in routes for name in route.channels if name in wishes.urls})
        label = ROLES.get(role, {"en": role, "zh": role})
        name, grade = ("routed", Grade.GOOD) if channels else ("unrouted", Grade.MISSING)
        words = {"role": role, "channels": ", ".join(channels)}
        yield Line(name=name, grade=grade, words=words, labels={"label": dict(label)})


def _is_for(places: Collection[str], site: str) -> bool:
    return not places or any(place.partition("/")[0] == site for place in places)


def _answers(ground: Ground, shelf: Shelf, params: Sequence[Params]) -> Iterator[Line]:
    for each in answers(ground.scene, shelf, ground.site, params):
        ask = ground.scene.asks[each.name]
        rules = [rule for rule, _ in ask.targets()]
        if ask.needed and not _is_said(rules, ground.site, params) and any(ground.subjects(rule) for rule in rules):
            words = {"name": each.name, "value": each.value}
            yield Line(name="unanswered", grade=Grade.RESTS, words=words, labels={"label": ask.label})


def _beyond(ground: Ground) -> Iterator[Line]:
    """Yield which rules are set so that they are never true, or always: 85 % where devices say 0.85."""
    for rule in ground.scene.rules:
        for what in ground.beyond(rule):
            yield Line(name="beyond", grade=Grade.MISSING, words={"rule": rule, "what": what})


def _is_said(rules: Collection[str], site: str, params: Sequence[Params]) -> bool:
    """Return whether anything is said of a rule here: for the site, or nearer, or for a model."""
    return any(each.rule in rules and each.site in {"", site} for each in params)
