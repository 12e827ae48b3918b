"""The rules that concern devices of one kind, or a place, by what wakes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

import msgspec

from hub.engine.woken import About, Woken, always
from hub.model.values import Scalar
from hub.rules.asking import ask
from hub.rules.clauses import ANY_PART
from hub.rules.rule import Rule
from hub.rules.shortcuts import minds_unknown
from hub.rules.states import CompiledRule

SHAPES = 10_000
"""How many sets of names are remembered per kind; a device that invents new ones costs itself time, not memory."""


class Signalled(msgspec.Struct, frozen=True):
    """The rules that a signal concerns: those that it wakes, and those that it keeps from raising."""

    woken: tuple[CompiledRule, ...]
    excused: tuple[CompiledRule, ...]


class KindRules:
    """The rules that concern devices of one kind, by what wakes them; each list in the order of names.

    ``waking`` are the rules for places that words of the kind wake.
    """

    def __init__(self, rules: list[CompiledRule], waking: Sequence[CompiledRule] = (), kind: str = "") -> None:
        self._rules = rules
        self._waking = waking
        self._kind = kind
        self.by_name = {rule.name: rule for rule in rules}
        self.idle: dict[frozenset[str], tuple[frozenset[str], frozenset[str]]] = {}
        """Of a place, by the kinds that stand there: the rules that cannot begin, and the others."""
        self.absent = [rule for rule in rules if rule.absent_ns is not None]
        self._telling = [rule for rule in (*rules, *waking) if rule.rule.on_value is not None and rule.is_open]
        self._reading: dict[tuple[str, ...], Woken] = {}
        self._signals: dict[tuple[str, str], Signalled] = {}

    def reading(self, part: str, values: Mapping[str, Scalar]) -> Woken:
        """Return the rules whose expressions read one of ``values`` of ``part`` ("" is the device itself).

        Looked up by the names that came together: devices send the same few sets of them, so rules that read none of
        them cost nothing.
        """
        names = (part, *values)
        found = self._reading.get(names)
        if found is None:
            found = self._woken(part, values)
            if len(self._reading) < SHAPES:
                self._reading[names] = found
        return found

    def _woken(self, part: str, values: Mapping[str, Scalar]) -> Woken:
        mine = [rule for rule in self.of(part) if not rule.reads.isdisjoint(values)]
        pairs = {(self._kind, name) for name in values}
        rules = sorted([*mine, *(rule for rule in self._waking if not rule.wakes.isdisjoint(pairs))], key=_name)
        conditions = [rule.when for rule in rules if rule.when is not None]
        votes = (rule.name for rule in rules if rule.quorum is not None and _is_about(rule, rule.asks, pairs))
        ended = [(rule, rule.clear.names) for rule in rules if rule.rule.is_momentary and rule.clear is not None]
        asides = (rule.name for rule, names in ended if not _is_about(rule, names, pairs))
        about = About(frozenset(votes), frozenset(asides))
        is_unsure = any(map(minds_unknown, rules))
        is_wide = not all(rule.is_plain for rule in rules)
        return Woken(
            names=(*values,),
            rules=tuple(rules),
            told=tuple(rule for rule in self._telling if _is_told(rule, part, values)),
            ask=always if is_unsure or is_wide else ask(conditions, values),
            are_floats=all(type(value) is float for value in values.values()),
            about=about if any(about) else None,
        )

    def of(self, part: str) -> list[CompiledRule]:
        """Return the rules that read anything of ``part``."""
        return [rule for rule in self._rules if rule.names and _covers(rule.rule, part)]

    def lasting(self, part: str) -> list[CompiledRule]:
        """Return those of them that nothing need be said for: what a moment began is ended by words behind it alone."""
        return [rule for rule in self.of(part) if not rule.rule.is_momentary]

    def has(self, name: str, part: str) -> bool:
        """Return whether a rule holds a state for ``part``."""
        rule = self.by_name.get(name)
        return rule is not None and _covers(rule.rule, part)

    def signal(self, name: str, part: str) -> Signalled:
        """Return the rules that a signal of ``part`` concerns; looked up by its name and part."""
        found = self._signals.get((name, part))
        if found is None:
            waiting = (rule for rule in self._rules if rule.rule.on_signal == name and rule.is_open)
            excused = (rule for rule in self._rules if rule.rule.without and name in rule.rule.without.signal)
            found = Signalled(tuple(rule for rule in waiting if _covers(rule.rule, part)), tuple(excused))
            if len(self._signals) < SHAPES:
                self._signals[name, part] = found
        return found


def _name(rule: CompiledRule) -> str:
    return rule.name


def _is_about(rule: CompiledRule, asked: frozenset[str], said: AbstractSet[tuple[str, str]]) -> bool:
    """Return whether what is said, as (kind, property), is a word about what ``rule`` has ``asked``, itself or inputs.

    It asks other things, too: what hinders it, how bad it is.
    """
    inputs = [each for name, each in rule.inputs.items() if name in asked]
    if not rule.is_of_places:
        names = asked.union(*(each.names for each in inputs))
        return any(name in names for _, name in said)
    read = {pair for name in asked for pair in rule.scope.sources.get(name, ())}
    return not said.isdisjoint(read | {(kind, name) for each in inputs for kind in each.kinds for name in each.names})


def _is_told(rule: CompiledRule, part: str, values: Mapping[str, Scalar]) -> bool:
    return rule.rule.on_value in values and _covers(rule.rule, part)


def _covers(rule: Rule, part: str) -> bool:
    """Return whether ``for_each`` holds a state for ``part``; moments of a kind are those of any part."""
    wanted = rule.for_each.part
    if wanted is None:
        return not part or rule.is_momentary
    return wanted in {ANY_PART, part} or part.startswith(f"{wanted}-")
