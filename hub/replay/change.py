"""What other files would change in a hub: rules, what becomes of their states, and the alarms that are open now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from hub import __version__
from hub.engine.apply import Engine
from hub.model.effects import AlarmState, Event
from hub.normalize.networks.directory import MADE
from hub.replay.beginning import revise_now
from hub.replay.present import Present
from hub.revisions.revision import revise

YAML = ("kind/", "profile/", "network/", "rule/", "scene/")


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleChange:
    """One rule: ``words`` are the words in which it differs, with what they say now and would say then.

    ``kept`` and ``ended`` count its states; ``open`` are its alarms that are active now, ``closed`` those that end.
    """

    rule: str
    change: str
    words: Mapping[str, tuple[object, object]]
    kept: int
    ended: int
    open: Sequence[AlarmState]
    closed: Sequence[Event]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What would change: rules by name, documents of other sorts by key, and how many states nothing touches."""

    rules: Sequence[RuleChange]
    others: Mapping[str, Sequence[str]] = field(default_factory=dict)
    untouched: int = 0

    @property
    def is_empty(self) -> bool:
        """True when nothing would change."""
        return not self.rules and not any(self.others.values())


def plan(now: Present, wanted: Mapping[str, bytes]) -> Plan:
    """Return what a hub that is as ``now`` would make of ``wanted``: the revision is tried on our copy of its engine.

    ConfigError for what the hub would refuse. The copy is used up.
    """
    engine = now.engine
    known = engine.content.bodies()
    kept = {key: body for key, body in known.items() if key.startswith(MADE) or not key.startswith(YAML)}
    note = revise(known, kept | dict(wanted), __version__)
    if note is None:
        return Plan(rules=[], untouched=len(_states(now)))
    before, alarms = _states(now), list(engine.alarms())
    told = revise_now(engine, note).events
    after = _states(now)
    touched = [*note.revision.put, *note.revision.removed]
    rules = sorted(key.removeprefix("rule/") for key in touched if key.startswith("rule/"))
    changes = []
    for rule in rules:
        mine, still = {key for key in before if _is_of(key, rule)}, {key for key in after if _is_of(key, rule)}
        changes.append(
            RuleChange(
                rule=rule,
                change=_change(known, engine, rule),
                words=_words(known.get(f"rule/{rule}"), engine.content.bodies().get(f"rule/{rule}")),
                kept=len(mine & still),
                ended=len(mine - still),
                open=[alarm for alarm in alarms if alarm.rule == rule],
                closed=[event for event in told if event.rule == rule],
            )
        )
    others: dict[str, list[str]] = {}
    for key in sorted(touched):
        noun, _, name = key.partition("/")
        if noun != "rule":
            others.setdefault(noun, []).append(name)
    untouched = sum(not any(_is_of(key, rule) for rule in rules) for key in before)
    return Plan(rules=changes, others=others, untouched=untouched)


def _states(now: Present) -> set[str]:
    return {key for key in now.state() if key.startswith("rule/")}


def _is_of(key: str, rule: str) -> bool:
    return key.startswith(f"rule/{rule}/")


def _change(known: Mapping[str, bytes], engine: Engine, rule: str) -> str:
    key = f"rule/{rule}"
    if key not in known:
        return "added"
    return "changed" if key in engine.content.documents else "removed"


def _words(before: bytes | None, after: bytes | None) -> dict[str, tuple[object, object]]:
    """Return the words in which two rules differ; an added or removed one is not spelled out."""
    if before is None or after is None:
        return {}
    old, new = orjson.loads(before), orjson.loads(after)
    return {word: (old.get(word), new.get(word)) for word in sorted({*old, *new}) if old.get(word) != new.get(word)}
