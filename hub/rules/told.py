"""A rule as it is told: its numbers as they are by default, its facts by their names; pure."""

from __future__ import annotations

import re

import orjson

from hub.rules.rule import Rule, write_rule

_NAME = re.compile(r"\$([a-z][a-z0-9_]*)")


def as_told(rule: Rule) -> Rule:
    """Return ``rule`` with what people read in its expressions: ``unless away`` instead of ``unless False``."""
    words = orjson.loads(write_rule(rule))
    if "params" not in words and "facts" not in words:
        return rule

    def told(text: str | None) -> str | None:
        return None if text is None else _NAME.sub(lambda found: _said(rule, found[1]), text)

    clear, ladder, inputs = words.get("clear"), words.get("ladder", []), words.get("inputs", {})
    return rule.model_copy(
        update={
            **{word: told(words.get(word)) for word in ("when", "unless", "where")},
            "clear": rule.clear
            and rule.clear.model_copy(update={word: told(clear.get(word)) for word in ("when", "refuse_while")}),
            "ladder": [
                step.model_copy(update={"when": told(said.get("when"))})
                for step, said in zip(rule.ladder, ladder, strict=True)
            ],
            "inputs": {
                name: each.model_copy(update={word: told(inputs[name].get(word)) for word in ("where", "unless")})
                for name, each in rule.inputs.items()
            },
        }
    )


def _said(rule: Rule, name: str) -> str:
    value = rule.params.get(name)
    return name if name in rule.facts or isinstance(value, bool) else repr(value)
