"""What the values of a reading wake: rules, and the short questions that say whether any of them need be judged."""

from __future__ import annotations

from dataclasses import dataclass, field

from hub.model import Values
from hub.rules.asking import Ask, ask_if_possible
from hub.rules.held import Held
from hub.rules.states import CompiledRule
from hub.rules.verdicts import Verdict

STANDINGS = 100
"""How many sets of rules that have a state at the same time are remembered."""


@dataclass(frozen=True, slots=True)
class Woken:
    """The rules that the values of a reading wake, by name, and the conditions among them.

    ``names`` are those of the reading, in its order; None of none. ``ask`` puts the conditions to a reading that has
    just replaced what was held: as long as no alarm stands and the answer is false, there is nothing to judge.
    ``minds_missing``: one of them does something when a value is unknown, so it counts when values become stale.
    ``is_wide``: one of them looks beyond the part that spoke, at a place or back in time. ``told`` are those for which
    a value that is said is a moment of its own. ``are_floats``: the kind says that all of ``names`` are, so nobody
    need look at each value again (0.3 us a message). A dataclass: an attribute of a named tuple costs 25 ns.

    ``others`` is what has been asked, by the rules that had a state then.
    """

    names: tuple[str, ...] | None
    rules: tuple[CompiledRule, ...]
    verdicts: tuple[Verdict, ...]
    minds_missing: bool
    is_wide: bool
    told: tuple[CompiledRule, ...]
    ask: Ask
    are_floats: bool = False
    others: dict[tuple[str, ...], Ask] = field(default_factory=dict)

    def ask_others(self, standing: tuple[str, ...]) -> Ask:
        """Return what asks the rules that look at nothing but the part, except those of which a state is ``standing``.

        An answer that is false: none of them could be true, so there is nothing to judge about them.
        """
        found = self.others.get(standing)
        if found is None:
            asked = [rule for rule in self.rules if rule.is_plain and rule.name not in standing]
            conditions = [rule.when for rule in asked if rule.when is not None]
            minds_missing = any(rule.minds_missing for rule in asked)
            found = always if minds_missing else ask_if_possible(conditions, self.names or ())
            if len(self.others) < STANDINGS:
                self.others[standing] = found
        return found


def always(_values: Values, _held: Held, _awake: int) -> bool:
    """Answer where more than conditions counts."""
    return True


NOBODY = Woken(None, (), (), minds_missing=False, is_wide=False, told=(), ask=always)
