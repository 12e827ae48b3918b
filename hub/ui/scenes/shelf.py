"""The shelf: the scenes and rules of an installation, and what switching one at a site would change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from hub.config.settings import Settings
from hub.errors import ConfigError
from hub.model.values import Scalar
from hub.registry.nouns import Params, SceneOff
from hub.revisions.files import read_scenes, rule_layers
from hub.rules.names import suggestion
from hub.rules.rule import Rule, write_rule
from hub.rules.scene import Scene, default_of, write_scene


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """Scenes and rules by name."""

    scenes: Mapping[str, Scene]
    rules: Mapping[str, Rule]

    def scene(self, name: str) -> Scene:
        """Return a scene; ConfigError ``scene_unknown``."""
        if name not in self.scenes:
            raise ConfigError("scene_unknown", f"there is no scene {name!r}", hint=suggestion(name, self.scenes))
        return self.scenes[name]

    def documents(self) -> dict[str, bytes]:
        """Return what a revision says of them."""
        rules = {f"rule/{name}": write_rule(rule) for name, rule in self.rules.items()}
        return {**rules, **{f"scene/{name}": write_scene(each) for name, each in self.scenes.items()}}


def read_shelf(settings: Settings) -> Shelf:
    """Return what ships, overlaid by the installation's; ConfigError with file and line."""
    rules, scenes = read_scenes(rule_layers(settings.rules_dir))
    return Shelf(scenes=dict(sorted(scenes.items())), rules=rules)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the registry says: the scenes that are switched off, and the parameters of rules."""

    off: Sequence[SceneOff]
    params: Sequence[Params]

    def is_on(self, scene: Scene, site: str) -> bool:
        """Return whether ``scene`` is on at ``site``."""
        return not self.off_at(scene.scene, site)

    def off_at(self, name: str = "", site: str = "") -> list[SceneOff]:
        """Return where the scene ``name`` (any) is off, at ``site`` (any)."""
        return [each for each in self.off if name in {"", each.scene} and site in {"", each.site}]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a question of a scene is at a site, and whether somebody said so for the site."""

    name: str
    value: Scalar
    is_said: bool


def answers(scene: Scene, shelf: Shelf, site: str, params: Sequence[Params]) -> list[Answer]:
    """Return what every question of ``scene`` is at ``site`` as a whole."""
    said = said_of(site, params)
    found: list[Answer] = []
    for name, ask in scene.asks.items():
        theirs = [said[rule][param] for rule, param in ask.targets() if param in said.get(rule, {})]
        value = theirs[0] if theirs else default_of(ask, shelf.rules)
        found.append(Answer(name=name, value=value, is_said=bool(theirs)))
    return found


def said_of(site: str, params: Sequence[Params]) -> dict[str, Mapping[str, Scalar]]:
    """Return what is set for ``site`` as a whole, by rule."""
    return {each.rule: each.values for each in params if each.site == site and not (each.place or each.device)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a switch would change: the scene from ``was`` to ``becomes``, and ``params`` (rule, name, was, becomes)."""

    site: str
    scene: Scene
    was: bool
    becomes: bool
    params: Sequence[tuple[str, str, Scalar, Scalar]] = ()

    @property
    def is_empty(self) -> bool:
        """True when nothing would change."""
        return self.was is self.becomes and not self.params

    def wishes(self) -> list[Params]:
        """Return the parameters that change, as the registry wants them."""
        values: dict[str, dict[str, Scalar]] = {}
        for rule, name, _, value in self.params:
            values.setdefault(rule, {})[name] = value
        return [Params(rule=rule, values=mine, site=self.site) for rule, mine in values.items()]


def plan_on(scene: Scene, site: str, wanted: Mapping[str, Scalar], shelf: Shelf, known: Known) -> Plan:
    """Return what switching ``scene`` on would change; ConfigError ``param_unknown``, ``param_invalid``."""
    said = said_of(site, known.params)
    changes: list[tuple[str, str, Scalar, Scalar]] = []
    for name, value in wanted.items():
        if name not in scene.asks:
            message = f"scene {scene.scene} does not ask for {name!r}"
            raise ConfigError("param_unknown", message, hint=suggestion(name, scene.asks))
        for rule, param in scene.asks[name].targets():
            mine = said.get(rule, {})
            if mine.get(param) != value:
                changes.append((rule, param, mine.get(param, shelf.rules[rule].params[param]), value))
    plan = Plan(site=site, scene=scene, was=known.is_on(scene, site), becomes=True, params=changes)
    for each in plan.wishes():
        check_values(shelf.rules[each.rule], {**said.get(each.rule, {}), **each.values})
    return plan


def plan_off(scene: Scene, site: str, known: Known) -> Plan:
    """Return what switching ``scene`` off would change."""
    return Plan(site=site, scene=scene, was=known.is_on(scene, site), becomes=False)


def check_values(rule: Rule, values: Mapping[str, Scalar]) -> None:
    """Refuse values that a rule does not know, or with which it makes no sense; ConfigError as above."""
    for name in values:
        if name not in rule.params:
            raise ConfigError(
                "param_unknown", f"rule {rule.rule} has no parameter {name!r}", hint=suggestion(name, rule.params)
            )
    try:
        rule.settled(values)
    except ValueError as error:
        message = f"rule {rule.rule} makes no sense with it: {_said_by(error)}"
        raise ConfigError("param_invalid", message) from error


def _said_by(error: ValueError) -> str:
    """Return what is wrong first, and in which word of the rule."""
    if not isinstance(error, ValidationError):
        return str(error)
    first, *_ = error.errors(include_url=False)
    return ": ".join(filter(None, (".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, "))))
