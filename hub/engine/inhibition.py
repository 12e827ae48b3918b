"""Inhibition: one alarm explains others near it; those are held back, or taken back, until it is over."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from hub.durations import nanoseconds
from hub.engine.content import Content
from hub.engine.moment import Moment
from hub.engine.places import Subject, is_near
from hub.engine.standing import ALARMING, Case
from hub.engine.state import State, count
from hub.model.values import Scalar
from hub.rules.clauses import Inhibit
from hub.rules.rule import Rule
from hub.rules.states import REAL, Mode, Phase, RuleState
from hub.rules.timers import TimerClass, Timers
from hub.rules.whom import is_for_all

Find = Callable[[str, str], Case | None]


class Inhibition:
    """Which alarms explain which. A state that is held back is pending, ``inhibited``, and due only when it waits."""

    def __init__(
        self, state: State, content: Content, timers: Timers, find: Find, by_rule: Mapping[str, Mapping[str, RuleState]]
    ) -> None:  # fmt: skip
        self._state = state
        self._content = content
        self._timers = timers
        self._find = find
        self._by_rule = by_rule

    def holds_back(self, case: Case, moment: Moment, data: Mapping[str, Scalar]) -> bool:
        """Keep ``case``, which is about to be raised, pending: while something explains it, or may still come to.

        Changes its state; False when it is to be raised.
        """
        state, inhibit = case.state, case.rule.rule.inhibit
        if inhibit is None:
            return False
        wait = nanoseconds(inhibit.wait)
        if self.explains(case):
            count(self._state.ledger.inhibited, state.rule)
            due = None
        elif wait and not state.inhibited:
            due = moment.t + wait
        else:
            state.inhibited = False
            return False
        state.phase, state.inhibited = Phase.PENDING, True
        state.data, state.causes = {**state.data, **data}, state.causes or [moment.cause]
        self._time(state, due)
        return True

    def explains(self, case: Case) -> bool:
        """Return whether an alarm explains ``case``."""
        inhibit = case.rule.rule.inhibit
        if inhibit is None:
            return False
        others = (self._find(rule, key) for rule in inhibit.by for key in self._by_rule.get(rule, {}))
        return any(
            other is not None
            and other.state is not case.state
            and other.state.phase in ALARMING
            and _may_explain(other, case)
            and explains_at(case.device, inhibit.within, other.device, other.rule.rule)
            for other in others
        )

    def free(self, moment: Moment, by: str = "") -> None:
        """Let what nothing explains any more be judged, when devices have had time to speak.

        ``by`` is the rule that has just lost an alarm; any, when nothing is said.
        """
        for name, inhibit in self._concerned(by):
            there = self._by_rule.get(name, {}).items()
            for key, state in sorted((key, state) for key, state in there if state.inhibited and state.due is None):
                case = self._find(name, key)
                if case is not None and (not self.explains(case)):
                    self._state.touch(f"rule/{name}/{key}", state)
                    self._time(state, moment.t + (nanoseconds(inhibit.settle) if inhibit is not None else 0))

    def come_true(self, case: Case, mode: Mode, moment: Moment) -> None:
        """Let ``case`` be in another mode: what is only tried does not keep it quiet where it is real now."""
        if case.state.inhibited:
            case.state.mode = mode
            self.free(moment)

    def explained_by(self, alarm: Case) -> list[Case]:
        """Return the alarms that ``alarm``, raised just now, explains: not those that somebody has taken on."""
        found = [
            case
            for name, inhibit in self._concerned(alarm.rule.name)
            for key in sorted(self._by_rule.get(name, {}))
            if inhibit is not None and (case := self._find(name, key)) is not None
            if case.state is not alarm.state
            if explains_at(case.device, inhibit.within, alarm.device, alarm.rule.rule)
        ]
        return [
            case
            for case in found
            if case.state.phase in ALARMING and case.state.acknowledged_by is None and not case.rule.latched
            if _may_explain(alarm, case)
        ]

    def _concerned(self, by: str) -> Iterator[tuple[str, Inhibit | None]]:
        """Yield the rules that alarms of ``by`` inhibit; all rules with their inhibitors when nothing is said."""
        for name in sorted(self._by_rule):
            rule = self._content.rules.get(name)
            inhibit = None if rule is None else rule.rule.inhibit
            if not by or (inhibit is not None and by in inhibit.by):
                yield name, inhibit

    def _time(self, state: RuleState, due: int | None) -> None:
        state.due = due
        self._timers.put(TimerClass.JUDGED, due, state.rule, state.key)


def explains_at(here: Subject, within: str, there: Subject, rule: Rule) -> bool:
    """Return whether an alarm of ``rule`` ``there`` is one of what is ``within`` the same as what is ``here``."""
    is_everywhere = within == "building" and is_for_all(rule, there.building)
    return is_near(here, there, "site" if is_everywhere else within)


def _may_explain(alarm: Case, other: Case) -> bool:
    """Return False where only ``alarm`` was raised in a test or drill: that keeps nothing real quiet."""
    return alarm.state.mode == REAL or other.state.mode != REAL
