"""A rule as one English sentence, for people who did not write it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hub.durations import write_duration
from hub.rules.calendars import WEEK, Window
from hub.rules.clauses import ForEach, Input, Remind
from hub.rules.rule import Do, OnMissing, Rule
from hub.rules.told import as_told
from hub.rules.whom import is_for_yards


def sentence(rule: Rule) -> str:
    """Return what ``rule`` does: when, what it raises, what it sends, how it ends."""
    rule = as_told(rule)
    parts = [f"{_trigger(rule)}, raise {rule.raise_.event} ({rule.raise_.severity.value})"]
    parts += [f"until that is sure {_action(action)}" for action in rule.while_pending]
    parts += [_action(action) for action in rule.do]
    parts += _standing(rule)
    parts += [part for part in (_end(rule), _missing(rule)) if part]
    return "; ".join(parts)


def subject(for_each: ForEach) -> str:
    """Return what the rule holds a state for: ``smoke_sensor``, ``door`` or ``access_controller#door``."""
    if for_each.value is not None:
        of = f" of {' and '.join(for_each.of)}" if for_each.of else ""
        return f"{for_each.value}{of} in a {for_each.place}"
    return "#".join(word for word in (for_each.place, "|".join(for_each.kinds), for_each.part) if word)


def _trigger(rule: Rule) -> str:
    who = f"{_windows(rule.schedule)}for each {subject(rule.for_each)}"
    if rule.for_each.value is not None:
        return f"{who}, when a device {_moment(rule)}"
    if rule.is_momentary:
        return f"{who} that {_moment(rule)}"
    if rule.absent_for is not None:
        return f"{who} that says nothing for {write_duration(rule.absent_for)}{_counting(rule)}"
    unless = f" unless {rule.unless}" if rule.unless else ""
    span = f" for {write_duration(rule.for_)}" if rule.for_ else ""
    if rule.confirm is not None:
        votes = rule.confirm
        span = f", {votes.times} of {votes.of} times within {write_duration(votes.within)}"
    if rule.without is not None:
        near = f"within {write_duration(rule.without.within)} before or {write_duration(rule.without.settle)} after"
        span = f" without {' or '.join(rule.without.signal)} {near}"
    return f"{who}, when {rule.when}{unless}{span}{_counting(rule)}{_inputs(rule)}"


def _moment(rule: Rule) -> str:
    what = f"reports {rule.on_signal}" if rule.on_signal is not None else f"says {rule.on_value}"
    which = f" where {rule.where}" if rule.where else ""
    which += f" unless {rule.unless}" if rule.unless else ""
    count = rule.count
    often = "" if count is None else f" at least {count.at_least} times within {write_duration(count.within)}"
    by = f" by as many {count.distinct}s" if count is not None and count.distinct else ""
    return f"{what}{which}{often}{by}"


def _inputs(rule: Rule) -> str:
    told = [f"{name} is {_input(each)}" for name, each in rule.inputs.items()]
    return f" (where {' and '.join(told)})" if told else ""


def _input(words: Input) -> str:
    of = f" of {' and '.join(words.of)}" if words.of else ""
    where = f" with {words.where}" if words.where else ""
    where += f" unless {words.unless}" if words.unless else ""
    within = f" within {write_duration(words.within)}" if words.within else ""
    fresh = f", each heard within {write_duration(words.fresh)}" if words.fresh else ""
    return f"{words.take}{of}{where}{within}{fresh}"


def _windows(windows: Sequence[Window] | None) -> str:
    if not windows:
        return ""
    spans = (f"{_days(each)} from {each.from_} to {each.until}" for each in windows)
    return f"{' and '.join(spans)}, "


def _days(window: Window) -> str:
    return "every day" if set(window.days) >= set(WEEK) else f"on {'/'.join(window.days)}"


def _counting(rule: Rule) -> str:
    return f", counting only {_windows(rule.counting)[:-2]}" if rule.counting else ""


def _standing(rule: Rule) -> Iterator[str]:
    for step in rule.ladder:
        when = f" while {step.when}" if step.when else ""
        after = f" after {write_duration(step.after)}" if step.after else ""
        yield f"{step.severity.value}{when}{after}"
    if rule.remind is not None:
        yield f"tell again {_often(rule.remind)} until {rule.remind.until}"
    for each in rule.escalate:
        yield f"tell {each.to} after {write_duration(each.after)} unless {each.until} before"
    if rule.inhibit is not None:
        wait = f", waiting {write_duration(rule.inhibit.wait)} for it" if rule.inhibit.wait else ""
        yield f"not while {' or '.join(rule.inhibit.by)} in the {rule.inhibit.within}{wait}"


def _often(remind: Remind) -> str:
    if remind.every is None:
        return f"after {', '.join(write_duration(span) for span in remind.at)}"
    return f"every {write_duration(remind.every)}, at most {remind.at_most} times,"


def _action(action: Do) -> str:
    to = "" if action.to is None else f" to every {action.to.kind} in the {action.to.within}"
    to += " or in none" if is_for_yards(action) else ""
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
        role = f" in the role {clear.role}" if clear.role else ""
        refused = f", not while {clear.refuse_while}" if clear.refuse_while else ""
        return f"clear by {clear.by}{role}{refused}"
    if clear is not None and clear.absent_for is not None:
        return f"clear when there was none for {write_duration(clear.absent_for)}"
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
