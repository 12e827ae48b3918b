"""What the values of a reading wake: rules, and the short questions that say whether any of them need be judged."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from hub.model.values import Scalar, Values
from hub.rules.asking import Ask, ask_which
from hub.rules.held import Held
from hub.rules.shortcuts import minds_unknown
from hub.rules.states import CompiledRule

STANDINGS, ANSWERS = 100, 100
"""How many sets of rules that have a state at the same time are remembered, and how many answers for each."""
SAYINGS = 500
"""How many sets of values are remembered for each of those: an elevator has some fifty."""

Rested = tuple[tuple[CompiledRule, tuple[bool, ...]], ...]
"""The rules whose inputs only remember a reading; with each, whether what its inputs look for is so, in their order."""

NOTHING_ASKED: Mapping[str, bool | None] = MappingProxyType({})


class About(NamedTuple):
    """Rules that count words, and for which it is one; and those whose moments it cannot end: it is about others."""

    votes: frozenset[str] = frozenset()
    asides: frozenset[str] = frozenset()


NO_VOTE = About()


class Judged(msgspec.Struct, frozen=True):
    """What a reading leaves to do: the rules to be judged, by name, and those that only remember it.

    ``here`` are those of ``rules`` that are not of places, ``there`` the names of those that are. ``verdicts``: what
    conditions on nothing but the part come to, by the name of the rule, where that was asked before.
    """

    rules: tuple[CompiledRule, ...]
    here: tuple[CompiledRule, ...]
    there: frozenset[str]
    rested: Rested
    verdicts: Mapping[str, bool | None] = NOTHING_ASKED


class Chooser:
    """Tells which of some rules a reading of ``names`` leaves to be judged, those of ``standing`` being there already.

    A rule that looks at nothing but the part, has no state and minds nothing unknown begins only when it is true: what
    a reading rules out of it need not be judged, nor one that only a signal begins.
    """

    def __init__(
        self, rules: Sequence[CompiledRule], names: tuple[str, ...], standing: tuple[str, ...],
        restings: dict[Rested, Rested], *, are_floats: bool,
    ) -> None:  # fmt: skip
        self._rules = rules
        self._are_floats = are_floats
        self._restings = restings
        self._never = {one.name for one in rules if one.is_plain and one.when is None and one.name not in standing}
        begins_alone = (one for one in rules if (one.is_plain or one.may_rest) and not minds_unknown(one))
        asked = [(one, one.when) for one in begins_alone if one.when is not None and one.name not in standing]
        self._bits = {rule.name: 1 << number for number, (rule, _) in enumerate(asked)}
        resting = {rule.name: [each.where for each in rule.inputs.values() if each.where] for rule, _ in asked}
        self._looked_for: dict[str, list[int]] = {}
        for name, wheres in resting.items():
            first = len(asked) + sum(map(len, self._looked_for.values()))
            self._looked_for[name] = [1 << number for number in range(first, first + len(wheres))]
        also = [where for wheres in resting.values() for where in wheres]
        self._which = ask_which([when for _, when in asked], names, [rule.inputs for rule, _ in asked], also)
        self._known: dict[int, Judged] = {}
        self._said: dict[tuple[Scalar, ...], Judged] = {}

    def choose(self, held: Held, awake: int) -> Judged:
        """Return what is left by what is ``held``, which came just now; it may raise what Python's arithmetic does.

        Where nothing older is held beside it, nothing else is asked than those values, and none of them is stale: so it
        is asked once for the same values; of measurements hardly any are, and to remember them costs 3.6 of 4.2 us.
        """
        if held.older or self._are_floats:
            return self._asked(held, awake)
        said = (*held.values.values(),)
        found = self._said.get(said)
        if found is None:
            found = self._asked(held, awake)
            whens = [(rule.name, rule.when) for rule in found.here if rule.is_plain and rule.when is not None]
            found = replace(found, verdicts={name: when.verdict(held, awake) for name, when in whens})
            if len(self._said) >= SAYINGS:
                self._said.clear()
            self._said[said] = found
        return found

    def _asked(self, held: Held, awake: int) -> Judged:
        answer = self._which(held.values, held, awake)
        found = self._known.get(answer)
        if found is None:
            found = self._judged(answer)
            if len(self._known) < ANSWERS:
                self._known[answer] = found
        return found

    def _judged(self, answer: int) -> Judged:
        ruled_out = self._never | {name for name, bit in self._bits.items() if not answer & bit}
        rested = tuple(
            (rule, self._is_so(rule, answer)) for rule in self._rules if rule.name in ruled_out and rule.inputs
        )
        rules = tuple(rule for rule in self._rules if rule.name not in ruled_out)
        here = tuple(rule for rule in rules if not rule.is_of_places)
        there = frozenset(rule.name for rule in rules if rule.is_of_places)
        return Judged(rules, here, there, self._restings.setdefault(rested, rested))

    def _is_so(self, rule: CompiledRule, answer: int) -> tuple[bool, ...]:
        return tuple(bool(answer & bit) for bit in self._looked_for[rule.name])


@dataclass(frozen=True, slots=True)
class Woken:
    """The rules that the values of a reading wake, by name.

    ``names`` are those of the reading, in its order; None of none. ``ask`` puts the conditions to a reading that has
    just replaced what was held: as long as no alarm stands and the answer is false, there is nothing to judge. ``told``
    are those for which a value that is said is a moment of its own. ``are_floats``: the kind says that all of ``names``
    are, so nobody need look at each value again (0.3 us a message).
    ``about`` says to which of them it is more or less than any word. A dataclass: an attribute of a named tuple costs
    25 ns.

    ``choosers`` are those made so far, by the rules that had a state then, as they came and as they concern ``rules``.
    ``restings`` are the sets of rules that only remember a reading, each of them once.
    """

    names: tuple[str, ...] | None
    rules: tuple[CompiledRule, ...]
    told: tuple[CompiledRule, ...]
    ask: Ask
    are_floats: bool = False
    about: About | None = None
    choosers: dict[tuple[str, ...], Chooser] = field(default_factory=dict)
    restings: dict[Rested, Rested] = field(default_factory=dict)

    def chooser(self, standing: Collection[str]) -> Chooser:
        """Return what chooses among ``rules``, those of which a state is ``standing`` always being judged."""
        wish = tuple(standing)
        found = self.choosers.get(wish)
        if found is None:
            mine = tuple(rule.name for rule in self.rules if rule.name in standing)
            found = self.choosers.get(mine) or Chooser(
                self.rules, self.names or (), mine, self.restings, are_floats=self.are_floats
            )
            if len(self.choosers) < STANDINGS:
                self.choosers[mine] = self.choosers[wish] = found
        return found


def always(_values: Values, _held: Held, _awake: int) -> bool:
    """Answer where more than conditions counts."""
    return True


NOBODY = Woken(None, (), (), ask=always)
