"""The table of laws: what may go wrong around a rule; one law each, for any rule and any case."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from hub.rules.rule import Rule
from tests.engine.troubles.again import all_said_again, said_again
from tests.engine.troubles.blind import blind_in_a_wait, blind_when_due, blind_while_it_lasts, said_while_blind
from tests.engine.troubles.clocks import clocks_wrong, wall_clock_steps
from tests.engine.troubles.flapping import flapping, flapping_fast
from tests.engine.troubles.lateness import said_a_day_later, said_late
from tests.engine.troubles.law import Law, down, lost
from tests.engine.troubles.memory import restarted_everywhere, written_down_everywhere
from tests.engine.troubles.order import overtaken

LAWS: Mapping[str, Law] = {
    law.__name__: law
    for law in (
        said_again, all_said_again, written_down_everywhere, restarted_everywhere, said_late, said_a_day_later,
        overtaken, flapping, flapping_fast, clocks_wrong, wall_clock_steps, blind_while_it_lasts, said_while_blind,
    )
} | {
    f"{law.__name__} {by.__name__}": partial(law, by=by)
    for law in (blind_in_a_wait, blind_when_due)
    for by in (lost, down)
}  # fmt: skip


def can_happen(law: str, rule: Rule) -> bool:
    """Return whether the trouble of a law can befall a rule; where it can, a case of the rule must show it."""
    match law.partition(" ")[0]:
        case "blind_when_due":
            waits = (rule.for_, rule.clear is not None and rule.clear.for_, rule.without, rule.schedule)
            return any(waits) or any(each.within for each in rule.inputs.values())
        case "blind_while_it_lasts":
            goes_on = (
                rule.remind,
                rule.escalate,
                rule.while_pending,
                any(action.until is not None for action in rule.do),
            )
            return any(goes_on) or any(step.after for step in rule.ladder)
        case "wall_clock_steps":
            return rule.schedule is None and rule.counting is None
        case _:
            return True
