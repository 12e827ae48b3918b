"""What people do to alarms: acknowledge, shelve, comment, and end those that only a person ends."""

from __future__ import annotations

from hub.engine.alarms import Alarms
from hub.engine.clearing import Person, Refusal, refusal
from hub.engine.moment import Moment
from hub.engine.standing import ALARMING, Case
from hub.engine.state import State
from hub.model.effects import Transition
from hub.rules.inputs import Present


class People:
    """Each answers with a stable code: ``ok``, ``no_such_alarm``, or what else was wrong."""

    def __init__(self, state: State, alarms: Alarms) -> None:
        self._state = state
        self._alarms = alarms

    def _find(self, rule: str, key: str) -> Case | None:
        case = self._alarms.find(rule, key)
        return case if case is not None and case.state.phase in ALARMING else None

    def acknowledge(self, rule: str, key: str, actor: str, moment: Moment) -> str:
        """Acknowledge an active alarm; the answer's code: ``ok``, ``no_such_alarm`` or ``already_acknowledged``."""
        case = self._find(rule, key)
        if case is None:
            return "no_such_alarm"
        if case.state.acknowledged_by is not None:
            return "already_acknowledged"
        self._alarms.keep(case.state)
        case.state.acknowledged_by = actor
        self._alarms.teller.tell(*case, Transition.ACKNOWLEDGED, moment, {"actor": actor})
        self._alarms.teller.show(*case)
        return "ok"

    def shelve(self, span: str, rule: str, key: str, actor: str, moment: Moment) -> str:
        """Put an active alarm away for a while (0s: take it back): ``ok``, ``no_such_alarm`` or ``bad_duration``.

        A shelf lasts over clear and raise, so that one that flaps stays away; it can be taken back in between too.
        """
        case = self._alarms.find(rule, key)
        if case is None or (case.state.phase not in ALARMING and case.state.shelved_t is None):
            return "no_such_alarm"
        self._alarms.keep(case.state)
        code = self._alarms.standing.shelve(case, span, actor, moment)
        if case.state.shelved_t is None:
            self._alarms.leave_empty_shelf(case.state)
        return code

    def comment(self, text: str, rule: str, key: str, actor: str, moment: Moment) -> str:
        """Tell what a person says of an active alarm: ``ok``, ``no_such_alarm``, or ``bad_comment`` for no words."""
        case = self._find(rule, key)
        if case is None:
            return "no_such_alarm"
        if not text.strip():
            return "bad_comment"
        self._alarms.keep(case.state)
        self._alarms.teller.tell(*case, Transition.COMMENTED, moment, {"actor": actor, "comment": text})
        return "ok"

    def clear(self, rule: str, key: str, person: Person, moment: Moment) -> Refusal | None:
        """End a latched alarm, or one that nobody says any more of whether it is over; or return why not.

        ``no_such_alarm``, or what :func:`refusal` says.
        """
        case = self._find(rule, key)
        if case is None:
            return Refusal("no_such_alarm")
        awake = self._state.clock.awake(moment.t)
        held = self._alarms.views.of(case.rule, case.device, case.state.part, Present(moment.t, moment.at, awake))
        refused = refusal(case, person, held, awake)
        if refused is None:
            self._alarms.cleared(case, moment, person.data)
        return refused
