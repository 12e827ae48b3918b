"""Alarms that stand: how bad they become and cease to be, reminders, whom they climb to, shelves that end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from hub.durations import nanoseconds, read_duration
from hub.engine.moment import Moment
from hub.engine.places import Subject
from hub.engine.state import State
from hub.engine.telling import Teller
from hub.model.effects import Transition
from hub.model.values import SEVERITY_RANKS
from hub.rules.held import Held
from hub.rules.states import CompiledRule, Phase, RuleState
from hub.rules.timers import TimerClass, Timers

LONGEST_SHELF_NS = 30 * 86_400_000_000_000
ALARMING = frozenset({Phase.ACTIVE, Phase.CLEARING})


class Case(NamedTuple):
    """A rule at work for one key."""

    rule: CompiledRule
    state: RuleState
    device: Subject


class Standing:
    """What time does to active alarms; whoever calls has said that their states change."""

    def __init__(self, state: State, timers: Timers, teller: Teller) -> None:
        self._state = state
        self._timers = timers
        self._teller = teller

    def wait(self, case: Case, now: int) -> None:
        """Wait for what comes next: a step of a ladder, a reminder, the end of a shelf."""
        dues = [due for due in _dues(case, now) if due > now]
        if dues:
            self._timers.set(TimerClass.ALARM, min(dues), case.state.rule, case.state.key)
        else:
            self._timers.drop(TimerClass.ALARM, case.state.rule, case.state.key)

    def become(self, case: Case, moment: Moment) -> None:
        """Take an alarm that is as bad as it was not before off its shelf, if what was put there was less, and wait."""
        state = case.state
        if state.shelved_t is not None and SEVERITY_RANKS[state.severity] < SEVERITY_RANKS[state.shelved_as]:
            self._unshelve(case, moment)
        self.wait(case, moment.t)

    def ripen(self, case: Case, held: Held, moment: Moment) -> None:
        """Do what has come due."""
        state = case.state
        if state.shelved_t is not None and state.shelved_t <= moment.t:
            self._unshelve(case, moment)
        self.look(case, held, moment)
        if state.shelved_t is None and not state.mode.test:
            self._remind(case, moment)
            self._escalate(case, moment)
        self.wait(case, moment.t)

    def _remind(self, case: Case, moment: Moment) -> None:
        """Tell again, once for all that was missed."""
        state, before = case.state, case.state.reminded
        while (due := _reminder_due(case)) is not None and due <= moment.t:
            state.reminded += 1
        if state.reminded > before:
            self._teller.tell(*case, Transition.REMINDED, moment, {"reminder": state.reminded})

    def _escalate(self, case: Case, moment: Moment) -> None:
        """Tell the people of every step that has come; also of one that was missed, for they are others."""
        state, before = case.state, case.state.escalated
        while (coming := _coming(case)) is not None and coming.due <= moment.t:
            state.escalated, state.escalated_to = coming.number, coming.to
            self._teller.tell(*case, Transition.ESCALATED, moment, {"to": state.escalated_to, "step": state.escalated})
        if state.escalated > before:
            self._teller.show(*case)

    def look(self, case: Case, held: Held, moment: Moment) -> None:
        """Make the alarm as bad as it now is; worse than when it was put away, it leaves its shelf."""
        rule, state, _ = case
        if not rule.ladder:
            return
        awake = self._state.clock.awake(moment.t)
        found = [rule.rule.raise_.severity]
        for step, condition in rule.ladder:
            verdict = True if condition is None else condition.verdict(held, awake)
            holds = SEVERITY_RANKS[state.severity] <= SEVERITY_RANKS[step.severity] if verdict is None else verdict
            if holds and moment.t >= state.raised_t + nanoseconds(step.after):
                found.append(step.severity)
        worst = min(found, key=SEVERITY_RANKS.__getitem__)
        if worst is state.severity:
            return
        before, state.severity = state.severity, worst
        self.become(case, moment)
        self._teller.tell(*case, Transition.SEVERITY_CHANGED, moment, {"before": before.value})
        self._teller.show(*case)

    def shelve(self, case: Case, span: str, actor: str, moment: Moment) -> str:
        """Put an alarm away for a while, or take it back with ``0s``: ``ok`` or ``bad_duration``."""
        try:
            length = nanoseconds(read_duration(span))
        except ValueError:
            return "bad_duration"
        if length > LONGEST_SHELF_NS:
            return "bad_duration"
        state = case.state
        if not length:
            self._unshelve(case, moment, actor)
        else:
            state.shelved_t, state.shelved_until = moment.t + length, moment.at + length
            state.shelved_by, state.shelved_as = actor, state.severity
            self._teller.tell(
                *case, Transition.SHELVED, moment, {"actor": actor, "until": state.shelved_until // 10**6}
            )
            self._show(case)
        self.wait(case, moment.t)
        return "ok"

    def _unshelve(self, case: Case, moment: Moment, actor: str = "") -> None:
        case.state.shelved_t, case.state.shelved_until, case.state.shelved_by = None, 0, ""
        self._teller.tell(*case, Transition.UNSHELVED, moment, {"actor": actor} if actor else {})
        self._show(case)

    def _show(self, case: Case) -> None:
        if case.state.phase in ALARMING:
            self._teller.show(*case)


def _dues(case: Case, now: int) -> Iterator[int]:
    rule, state, _ = case
    is_standing = state.phase in ALARMING  # else nothing but its shelf is left of it
    for step, _condition in rule.ladder if is_standing else ():
        yield state.raised_t + nanoseconds(step.after)
    if state.shelved_t is not None:
        yield state.shelved_t
    elif is_standing and not state.mode.test:  # what was missed on a shelf is due at once
        coming = _coming(case)
        dues = (_reminder_due(case), None if coming is None else coming.due)
        yield from (max(due, now + 1) for due in dues if due is not None)


class Coming(NamedTuple):
    """The next step at which others are told."""

    number: int
    due: int
    to: str


def _coming(case: Case) -> Coming | None:
    """Return the step that comes next: not one that the acknowledgement of the alarm has ended."""
    state, steps = case.state, case.rule.rule.escalate
    for number, step in enumerate(steps[state.escalated :], state.escalated + 1):
        if state.acknowledged_by is None or step.until == "cleared":
            return Coming(number, state.raised_t + nanoseconds(step.after), step.to)
    return None


def _reminder_due(case: Case) -> int | None:
    """Return when the alarm is to be told again."""
    remind, state = case.rule.rule.remind, case.state
    if remind is None or (state.acknowledged_by is not None and remind.until == "acknowledged"):
        return None
    after = remind.after(state.reminded)
    return None if after is None else state.raised_t + nanoseconds(after)
