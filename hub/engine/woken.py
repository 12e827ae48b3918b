"""What the values of a reading wake: rules, and the short questions that say whether any of them need be judged."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from hub.model import Values
from hub.rules.asking import Ask, ask_which
from hub.rules.held import Held
from hub.rules.states import CompiledRule
from hub.rules.verdicts import Verdict

STANDINGS, ANSWERS = 100, 100
"""How many sets of rules that have a state at the same time are remembered, and how many answers for each."""


class Judged(NamedTuple):
    """What a reading leaves to do: the rules to be judged, by name, and those whose inputs only remember it."""

    rules: tuple[CompiledRule, ...]
    rested: tuple[CompiledRule, ...]


class Chooser:
    """Tells which of some rules a reading of ``names`` leaves to be judged, those of ``standing`` being there already.

    A rule that looks at nothing but the part, has no state and minds no missing value begins only when it is true: what
    a reading rules out of it need not be judged.
    """

    def __init__(self, rules: Sequence[CompiledRule], names: tuple[str, ...], standing: tuple[str, ...]) -> None:
        self._rules = rules
        begins_alone = (one for one in rules if (one.is_plain or _may_rest(one)) and not one.minds_missing)
        asked = [(one, one.when) for one in begins_alone if one.when is not None and one.name not in standing]
        self._bits = {rule.name: 1 << number for number, (rule, _) in enumerate(asked)}
        self._which = ask_which([when for _, when in asked], names, [rule.inputs for rule, _ in asked])
        self._known: dict[int, Judged] = {}

    def choose(self, held: Held, awake: int) -> Judged:
        """Return what is left by what is ``held``, which came just now; it may raise what Python's arithmetic does."""
        answer = self._which(held.values, held, awake)
        found = self._known.get(answer)
        if found is None:
            found = self._judged(answer)
            if len(self._known) < ANSWERS:
                self._known[answer] = found
        return found

    def _judged(self, answer: int) -> Judged:
        ruled_out = {name for name, bit in self._bits.items() if not answer & bit}
        return Judged(
            tuple(rule for rule in self._rules if rule.name not in ruled_out),
            tuple(rule for rule in self._rules if rule.name in ruled_out and rule.inputs),
        )


def _may_rest(rule: CompiledRule) -> bool:
    """Return whether what its inputs remember is of one member, whose words nearly always leave it as it is."""
    is_apart = rule.rule.for_each.place is None and rule.rule.without is None and not rule.minds_staleness
    return is_apart and all(each.may_rest for each in rule.inputs.values())


@dataclass(frozen=True, slots=True)
class Woken:
    """The rules that the values of a reading wake, by name, and the conditions among them.

    ``names`` are those of the reading, in its order; None of none. ``ask`` puts the conditions to a reading that has
    just replaced what was held: as long as no alarm stands and the answer is false, there is nothing to judge.
    ``minds_missing``: one of them does something when a value is unknown, so it counts when values become stale.
    ``is_wide``: one of them looks beyond the part that spoke, at a place or back in time. ``told`` are those for which
    a value that is said is a moment of its own. ``are_floats``: the kind says that all of ``names`` are, so nobody
    need look at each value again (0.3 us a message). A dataclass: an attribute of a named tuple costs 25 ns.

    ``choosers`` are those made so far, by the rules that had a state then.
    """

    names: tuple[str, ...] | None
    rules: tuple[CompiledRule, ...]
    verdicts: tuple[Verdict, ...]
    minds_missing: bool
    is_wide: bool
    told: tuple[CompiledRule, ...]
    ask: Ask
    are_floats: bool = False
    choosers: dict[tuple[str, ...], Chooser] = field(default_factory=dict)

    def chooser(self, standing: Container[str]) -> Chooser:
        """Return what chooses among ``rules``, those of which a state is ``standing`` always being judged."""
        mine = tuple(rule.name for rule in self.rules if rule.name in standing) if standing else ()
        found = self.choosers.get(mine)
        if found is None:
            found = Chooser(self.rules, self.names or (), mine)
            if len(self.choosers) < STANDINGS:
                self.choosers[mine] = found
        return found


def always(_values: Values, _held: Held, _awake: int) -> bool:
    """Answer where more than conditions counts."""
    return True


NOBODY = Woken(None, (), (), minds_missing=False, is_wide=False, told=(), ask=always)
