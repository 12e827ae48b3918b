"""A rule as one English sentence, for people who did not write it."""

from __future__ import annotations

from hub.durations import write_duration
from hub.rules.rule import Do, ForEach, OnMissing, Rule


def sentence(rule: Rule) -> str:
    """Return what ``rule`` does: when, what it raises, what it sends, how it ends."""
    parts = [f"{_trigger(rule)}, raise {rule.raise_.event} ({rule.raise_.severity.value})"]
    parts += [_action(action) for action in rule.do]
    parts += [part for part in (_end(rule), _missing(rule)) if part]
    return "; ".join(parts)


def subject(for_each: ForEach) -> str:
    """Return what the rule holds a state for: ``smoke_sensor``, ``door`` or ``access_controller#door``."""
    return "#".join(word for word in (for_each.kind, for_each.part) if word)


def _trigger(rule: Rule) -> str:
    who = f"for each {subject(rule.for_each)}"
    if rule.on_signal is not None:
        return f"{who} that reports {rule.on_signal}"
    if rule.absent_for is not None:
        return f"{who} that says nothing for {write_duration(rule.absent_for)}"
    unless = f" unless {rule.unless}" if rule.unless else ""
    span = f" for {write_duration(rule.for_)}" if rule.for_ else ""
    return f"{who}, when {rule.when}{unless}{span}"


def _action(action: Do) -> str:
    to = "" if action.to is None else f" to every {action.to.kind} in the {action.to.within}"
    until = " until it is cleared" if action.until else ""
    bound = f", at most {write_duration(action.at_most)}" if action.at_most else ""
    return f"send {action.command}{to}{until}{bound}"


def _end(rule: Rule) -> str:
    if not rule.is_alarm:
        return ""
    if rule.absent_for is not None:
        return "clear when it speaks"
    clear = rule.clear
    if clear is not None and clear.by is not None:
        return f"clear by {clear.by}"
    span = f" for {write_duration(clear.for_)}" if clear is not None and clear.for_ else ""
    return f"clear when {clear.when if clear is not None and clear.when else 'that is over'}{span}"


def _missing(rule: Rule) -> str:
    match rule.on_missing:
        case OnMissing.KEEP:
            return ""
        case OnMissing.CLEAR:
            return "what is unknown counts as over"
        case OnMissing.RAISE:
            return "what is unknown counts as true"
