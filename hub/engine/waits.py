"""The two steps that nearly all are: a rule begins to wait, and it turns out to be nothing; neither needs undoing."""

from __future__ import annotations

from hub.engine.alarms import Alarms
from hub.engine.moment import Moment
from hub.engine.places import Subject
from hub.rules.states import CompiledRule, Phase, RuleState
from hub.rules.timers import TimerClass, Timers


class Waits:
    """Takes these steps of rules that wait before their alarm and do nothing meanwhile, and no other.

    A door that is opened and closed is two steps of every rule that says for how long it may be open. Nothing is asked,
    told or sent in them, so nothing can fail, and what every other step remembers to take itself back costs more than
    they do (:meth:`hub.engine.alarms.Alarms.attempt`).
    """

    def __init__(self, alarms: Alarms, timers: Timers) -> None:
        self._alarms = alarms
        self._timers = timers

    def step(self, rule: CompiledRule, subject: Subject, part: str, verdict: bool | None, moment: Moment) -> bool:  # noqa: FBT001 -- three-valued
        """Take the step if it is one of the two; False when it is another."""
        if rule.when is None or rule.quorum is not None or rule.while_pending or rule.rule.counting is not None:
            return False
        if verdict is None and rule.minds_missing:
            verdict = rule.raises_on_missing
        key = subject.key_of(part)
        state = self._alarms.states.get((rule.name, key))
        if state is None:
            return bool(verdict) and self._begin(rule, subject, part, key, moment)
        if verdict is not False or state.phase is not Phase.PENDING or not _is_bare(state):
            return False
        self._alarms.drop(rule.name, key)
        return True

    def _begin(self, rule: CompiledRule, subject: Subject, part: str, key: str, moment: Moment) -> bool:
        wait = rule.for_ns if rule.settle_ns is None else rule.settle_ns
        if not wait:
            return False
        state = RuleState(
            rule=rule.name, key=key, site=subject.site, device=subject.device, part=part, phase=Phase.PENDING,
            due=moment.t + wait, late=moment.late, since=0 if rule.settle_ns is None else moment.happened,
            mode=self._alarms.modes.of(rule.name, subject),
        )  # fmt: skip
        self._alarms.keep(state)
        self._timers.set(TimerClass.JUDGED, moment.t + wait, rule.name, key)
        return True


def _is_bare(state: RuleState) -> bool:
    """Return whether nothing was done for a state yet, and nothing of it stays."""
    return not state.inhibited and not state.alarm and state.shelved_t is None
