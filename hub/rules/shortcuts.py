"""What a rule allows to be left out: asking it, judging its inputs, remembering how a step of it is taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.rules.asking import needed

if TYPE_CHECKING:
    from hub.rules.states import CompiledRule


def needs(rule: CompiledRule) -> tuple[str, ...]:
    """Return the names without which a rule of places is not true, if it minds nothing unknown."""
    is_simple = rule.rule.for_each.place is not None and not rule.minds_missing and not rule.inputs
    tree = rule.when.tree if rule.when is not None and is_simple else None
    return () if tree is None else tuple(sorted(needed(tree)))


def merely_waits(rule: CompiledRule) -> bool:
    """Return whether nothing but time has to pass, and nothing is done meanwhile, before it raises anything."""
    is_counted = rule.quorum is not None or rule.rule.counting is not None
    return rule.when is not None and not is_counted and not rule.while_pending


def may_rest(rule: CompiledRule) -> bool:
    """Return whether what its inputs remember is of one member, whose words nearly always leave it as it is."""
    is_apart = not rule.is_of_places and rule.rule.without is None and not rule.minds_staleness
    return is_apart and all(each.may_rest for each in rule.inputs.values())


def dues_grow(rule: CompiledRule) -> bool:
    """Return whether words of its inputs' only member that move nothing never bring their next moment nearer.

    Of several limits a name that is said for the first time might have the shortest.
    """
    limits = {limit for each in rule.inputs.values() for _, limit in each.limits}
    longest = max((each.within_ns or 0 for each in rule.inputs.values()), default=0)
    return len(limits) <= 1 and all(limit >= longest for limit in limits)


def minds_unknown(rule: CompiledRule) -> bool:
    """Return whether what is unknown, or becomes so with time, may begin it, and not only what is known to be true."""
    return rule.minds_missing and (rule.raises_on_missing or bool(rule.stale_ns))
