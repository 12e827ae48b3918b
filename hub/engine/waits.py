"""The two steps that nearly all are: a rule begins to wait, and it turns out to be nothing; neither needs undoing."""

from __future__ import annotations

from hub.engine.ages import age_of_reading
from hub.engine.alarms import Alarms
from hub.engine.device import Part
from hub.engine.moment import Moment
from hub.rules.states import CompiledRule, Phase, RuleState
from hub.rules.timers import TimerClass, Timers

# An attribute of an enum class costs 40 ns each time.
PENDING, JUDGED = Phase.PENDING, TimerClass.JUDGED


class Waits:
    """Takes these steps of rules that wait before their alarm and do nothing meanwhile, and no other.

    A door that is opened and closed is two steps of every rule that says for how long it may be open. Nothing is asked,
    told or sent in them, so nothing can fail, and what every other step remembers to take itself back costs more than
    they do (:meth:`hub.engine.alarms.Alarms.attempt`).
    """

    def __init__(self, alarms: Alarms, timers: Timers) -> None:
        self._alarms = alarms
        self._timers = timers

    def end(self, rule: CompiledRule, state: RuleState, verdict: bool | None) -> bool:  # noqa: FBT001 -- three-valued
        """End a wait that turns out to be nothing; False when it is another step."""
        if verdict is None and rule.minds_missing:
            verdict = rule.raises_on_missing
        if verdict is not False or state.phase is not PENDING or not rule.merely_waits or not _is_bare(state):
            return False
        self._alarms.end_wait(state.rule, state.key)
        return True

    def begin(self, rule: CompiledRule, part: Part, moment: Moment) -> bool:
        """Begin to wait with a rule that is true of ``part`` now; False when it does more than that."""
        wait = rule.for_ns if rule.settle_ns is None else rule.settle_ns
        if not wait or not rule.merely_waits:
            return False
        device, due = part.device, moment.t + wait
        row = device.row
        state = RuleState(rule.name, part.key, row.site, row.device, part.name, PENDING, due)  # in order: half as dear
        state.late, state.mode = moment.late, self._alarms.modes.of(rule.name, device)
        if rule.settle_ns is not None:
            state.since = moment.t - age_of_reading(device.state, moment.at, part.at)
        self._alarms.keep(state)
        self._timers.set(JUDGED, due, rule.name, part.key)
        return True


def _is_bare(state: RuleState) -> bool:
    """Return whether nothing was done for a state yet, and nothing of it stays."""
    return not state.inhibited and not state.alarm and state.shelved_t is None
