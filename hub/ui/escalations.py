"""What the installation's rules escalate and its routes tell nobody of, for whoever looks: check, doctor, a start."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from hub.config import Settings, packaged
from hub.outward.untold import Untold, untold
from hub.outward.wishes import Wishes
from hub.rules.rule import Rule
from hub.yaml_documents import load_tree, validate


def untold_steps(settings: Settings, wishes: Wishes) -> list[Untold]:
    """Return the steps that no route tells; ConfigError for rules that cannot be read."""
    own = settings.rules_dir
    documents = {} if own is None else load_tree([own], {"rule"})
    shipped = [rule for name, rule in _shipped().items() if ("rule", name) not in documents]
    rules = [*shipped, *(validate(each, Rule) for each in documents.values() if "escalate" in each.body)]
    return sorted(untold(rules, wishes), key=lambda each: (each.rule, each.step))


@cache
def _shipped() -> Mapping[str, Rule]:
    """Return the rules that ship and escalate, by name."""
    tree = load_tree([packaged("rules")], {"rule"})
    return {each.name: validate(each, Rule) for each in tree.values() if "escalate" in each.body}
