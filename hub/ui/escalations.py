"""What the installation's rules escalate and its routes tell nobody of, for whoever looks: check, doctor, a start."""

from __future__ import annotations

from hub.config import Settings, packaged
from hub.outward.untold import Untold, untold
from hub.outward.wishes import Wishes
from hub.rules.rule import Rule
from hub.yaml_documents import load_tree, validate


def untold_steps(settings: Settings, wishes: Wishes) -> list[Untold]:
    """Return the steps that no route tells; ConfigError for rules that cannot be read."""
    own = settings.rules_dir
    tree = load_tree([packaged("rules"), *([] if own is None else [own])], {"rule"})
    rules = (validate(document, Rule) for document in tree.values() if "escalate" in document.body)
    return sorted(untold(rules, wishes), key=lambda each: (each.rule, each.step))
