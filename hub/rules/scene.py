"""The words of a scene: a pack of rules that a site switches on and off together, what it asks, and what it needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Self

import orjson
from pydantic import Field, model_validator

from hub.catalogue import Label, Name, RuleName, Words
from hub.model.values import PlaceType, Scalar, Severity
from hub.rules.names import suggestion
from hub.rules.rule import Priority, Rule

_OF_LIFE = {Priority.LIFE_SAFETY, Priority.ENTRAPMENT}


class Ask(Words):
    """A parameter that people may say for a site: which parameters of rules it ``sets``, each as ``rule.name``.

    What it is unless somebody says otherwise stands in the rules. ``needed``: what stands there fits no site as it is.
    """

    label: Label
    sets: Annotated[tuple[str, ...], Field(min_length=1)]
    needed: bool = False

    def targets(self) -> Iterator[tuple[str, str]]:
        """Yield (rule, parameter)."""
        for each in self.sets:
            rule, _, name = each.partition(".")
            yield rule, name


class Need(Words):
    """What must be at a site: a device of one of the kinds ``device``, a ``place``, or a ``fact`` at one of its places.

    What its rules need beside that (who else must stand there, who is told, what devices can do) they say themselves.
    """

    device: tuple[Name, ...] = ()
    place: PlaceType | None = None
    fact: Name | None = None
    because: Label

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if sum(map(bool, (self.device, self.place, self.fact))) != 1:
            message = "a need is one of device, place and fact"
            raise ValueError(message)
        return self


class Scene(Words):
    """One scene. ``life_safety``: who switches it off says why, and `hub doctor` tells of it.

    It is so unsaid where a rule of it is critical or commands for the safety of life. ``scenarios`` are those of `hub
    sim scenario` that show it at work.
    """

    scene: RuleName
    version: str
    label: Label
    purpose: Label
    life_safety: bool = False
    rules: Annotated[tuple[str, ...], Field(min_length=1)]
    asks: dict[Name, Ask] = Field(default_factory=dict)
    needs: tuple[Need, ...] = ()
    scenarios: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _speaks_both_languages(self) -> Self:
        labels = [self.label, self.purpose, *(ask.label for ask in self.asks.values())]
        for label in (*labels, *(need.because for need in self.needs)):
            if missing := {"en", "zh"} - label.keys():
                message = f"{next(iter(label.values()))!r} is not said in {' and '.join(sorted(missing))}"
                raise ValueError(message)
        return self


def wrong_with(scene: Scene, rules: Mapping[str, Rule]) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    """Yield (path, message, hint) for each rule and parameter that ``scene`` names and that is none of ``rules``."""
    for index, name in enumerate(scene.rules):
        if name not in rules:
            yield ("rules", index), f"there is no rule {name!r}", suggestion(name, rules)
    for ask, words in scene.asks.items():
        for index, (rule, name) in enumerate(words.targets()):
            path = ("asks", ask, "sets", index)
            if rule not in scene.rules:
                yield path, f"rule {rule!r} is not of this scene", suggestion(rule, scene.rules)
            elif rule in rules and name not in rules[rule].params:
                yield path, f"rule {rule} has no parameter {name!r}", suggestion(name, rules[rule].params)


def guarded(scene: Scene, rules: Mapping[str, Rule]) -> Scene:
    """Return ``scene``, which names ``rules`` only, as one that keeps people alive where a rule of it does."""
    keeps = scene.life_safety or any(_keeps_alive(rules[name]) for name in scene.rules)
    return scene.model_copy(update={"life_safety": keeps})


def _keeps_alive(rule: Rule) -> bool:
    return rule.raise_.severity is Severity.CRITICAL or any(action.priority in _OF_LIFE for action in rule.do)


def write_scene(scene: Scene) -> bytes:
    """Return the canonical JSON that a revision carries: which rules go together; the rest is for people."""
    return orjson.dumps({"scene": scene.scene, "rules": sorted(scene.rules)}, option=orjson.OPT_SORT_KEYS)


def default_of(ask: Ask, rules: Mapping[str, Rule]) -> Scalar:
    """Return what the rules say of it: of the first, for a test holds that all that ship say the same."""
    rule, name = next(ask.targets())
    return rules[rule].params[name]
