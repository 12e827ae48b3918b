"""Whom an alarm means by ``in: building``: also where it, or who is told, lies in none."""

from __future__ import annotations

from hub.rules.rule import Do, Priority, Rule


def is_for_yards(action: Do) -> bool:
    """Return whether it is also for who stands in no building: what keeps people alive opens the gates of a yard."""
    in_building = action.to is not None and action.to.within == "building"
    return in_building and action.priority is Priority.LIFE_SAFETY


def is_meant(action: Do, building: str, theirs: str) -> bool:
    """Return whether an alarm of ``building`` means who stands in ``theirs``, of the same site; "" is none.

    Of what lies in no building (a garage under them all) the whole site is meant. In the fire of any building the gates
    of the yard open, too (GB 50116-2013 4.10.3): one that opens for nothing costs less than one that stays shut.
    """
    return not building or theirs == building or (not theirs and is_for_yards(action))


def is_for_all(rule: Rule, building: str) -> bool:
    """Return whether an alarm of ``rule`` in ``building`` is one of the whole site: in none, and about lives."""
    return not building and any(is_for_yards(action) for action in rule.do)
