"""City rules out of YAML documents, and what is wrong or doubtful about them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from hub.city.rule import CityRule
from hub.errors import ConfigError
from hub.rules.lints import LANGUAGES
from hub.rules.names import suggestion
from hub.rules.problem import Problem, Weight
from hub.yaml_documents import Document, load_tree, validate

NOUN = "city_rule"


def read_city_rules(directories: Sequence[Path]) -> dict[str, CityRule]:
    """Return every city rule by name; later directories replace by name. ConfigError with file, line and hint."""
    return {document.name: validate(document, CityRule) for document in city_documents(directories)}


def city_documents(directories: Sequence[Path]) -> list[Document]:
    """Return the documents of city rules."""
    return list(load_tree(directories, {NOUN}).values())


def problems(rule: CityRule, raised: Collection[str]) -> Iterator[Problem]:
    """Yield what a person should look at; ``raised`` are the names of the events that hubs raise."""
    for index, name in enumerate(rule.watch):
        if name not in raised:
            text = f"no rule of a hub raises {name}"
            yield Problem(Weight.WARNING, "nobody_raises", text, ("watch", index), suggestion(name, raised))
    for language in LANGUAGES:
        if not rule.label.get(language):
            yield Problem(Weight.WARNING, "no_label", f"no label in {language}", ("label",))
    if not rule.tests:
        yield Problem(Weight.WARNING, "untested", "it has no tests", ())


def chosen(rules: dict[str, CityRule], names: Sequence[str]) -> list[CityRule]:
    """Return the rules of these ``names``, all of them when there are none; ConfigError ``unknown_rule``."""
    for name in names:
        if name not in rules:
            raise ConfigError("unknown_rule", f"there is no city rule {name!r}", hint=suggestion(name, rules))
    return [rules[name] for name in (names or rules)]
