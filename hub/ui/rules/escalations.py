"""What the installation's rules escalate and its routes tell nobody of, for whoever looks: check, doctor, a start."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from hub.config.settings import Settings, packaged
from hub.outward.untold import Untold, untold
from hub.outward.wishes import Wishes
from hub.revisions.files import RULE_NOUNS
from hub.rules.rule import Rule
from hub.yaml_documents import Document, load_tree, validate


def untold_steps(settings: Settings, wishes: Wishes) -> list[Untold]:
    """Return the steps that no route tells; ConfigError for rules that cannot be read."""
    own = {} if settings.rules_dir is None else _rules_in(settings.rules_dir)
    shipped = [rule for name, rule in _shipped().items() if name not in own]
    rules = [*shipped, *(validate(each, Rule) for each in own.values() if "escalate" in each.body)]
    return sorted(untold(rules, wishes), key=lambda each: (each.rule, each.step))


@cache
def _shipped() -> Mapping[str, Rule]:
    """Return the rules that ship and escalate, by name."""
    rules = _rules_in(packaged("rules"))
    return {name: validate(each, Rule) for name, each in rules.items() if "escalate" in each.body}


def _rules_in(directory: Path) -> dict[str, Document]:
    """Return the rules of a directory, which may hold scenes too."""
    return {name: each for (noun, name), each in load_tree([directory], RULE_NOUNS).items() if noun == "rule"}
