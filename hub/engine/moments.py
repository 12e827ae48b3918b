"""What is said at a moment and lasts none: signals, and values that count each time; judged, counted, forgotten."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import msgspec

from hub.engine.alarms import Alarms
from hub.engine.device import Device, Part
from hub.engine.keyed import Keyed, places_for, shown
from hub.engine.moment import Moment, Output
from hub.engine.places import Place, Subject
from hub.engine.standing import ALARMING, Case
from hub.engine.state import State
from hub.model.heard import Signal
from hub.model.values import Scalar, Values
from hub.rules.held import Held
from hub.rules.states import CompiledRule, Known, Move, Phase, RuleState, vote

ANOTHER_NS = 60_000_000_000
"""What comes again within a minute is the same call for help: some devices repeat theirs every few seconds."""

Waiter = tuple[CompiledRule, Subject, str]
"""A rule, what it is about, and the part."""


Judge = Callable[[CompiledRule, Subject, str, bool | None, Moment], None]
"""Judge what holds of a part of a subject."""


class Said(msgspec.Struct, frozen=True):
    """What is said at a moment: its data, the device, and of which part."""

    data: Mapping[str, Scalar]
    device: Device
    part: str

    def by(self, what: str | None) -> str:
        """Return which device, part or place says it; nothing where that does not matter."""
        match what:
            case "device":
                return self.device.key
            case "part":
                return self.device.key_of(self.part)
            case "place":
                return self.device.row.place
            case _:
                return ""


class Moments:
    """Judges the rules that wait for moments."""

    def __init__(self, state: State, alarms: Alarms, output: Output, keyed: Keyed, judge: Judge) -> None:
        self._state = state
        self._judge = judge
        self._alarms = alarms
        self._output = output
        self._keyed = keyed

    def signal(self, device: Device, part: str, signal: Signal, moment: Moment) -> None:
        """Judge the rules that wait for ``signal``."""
        mine = device.rules.signal(signal.name, part)
        for rule in mine.excused:
            self._alarms.views.note(rule, device, part, moment.happened)
        found: list[Waiter] = [(rule, device, part) for rule in mine.woken]
        for place in device.places:
            rules = place.rules.signal(signal.name, "").woken
            found += [(rule, place, "") for rule in rules if device.kind in rule.kinds]
        found = [each for each in found if self._alarms.modes.sees(each[0].name, each[1], device)]
        said = Said(signal.data, device, part)
        for rule, subject, name in sorted(found, key=_by_name):
            self._say(rule, subject, name, said, moment)

    def told(self, rules: Sequence[CompiledRule], part: Part, values: Values, moment: Moment) -> None:
        """Judge the rules for which each value of a name is a moment, on what was said with it and nothing else."""
        said = Said(values, part.device, part.name)
        for rule in rules:
            if rule.forget_ns is None:
                self._say(rule, part.device, part.name, said, moment)
            else:
                for mine, place in places_for(rule, part.device):
                    if self._alarms.modes.sees(mine.name, place, part.device):
                        self._say(mine, place, "", said, moment)

    def _say(self, rule: CompiledRule, subject: Subject, part: str, said: Said, moment: Moment) -> None:
        if rule.forget_ns is not None:
            part = self._keyed.part_of(rule, said.data)
            if not part:
                return
        work = partial(self._happened, rule, subject, part, said, moment)
        self._alarms.attempt(rule, subject.key_of(part), subject, moment, work)

    def _happened(self, rule: CompiledRule, subject: Subject, part: str, said: Said, moment: Moment) -> None:
        data = said.data
        if rule.where is not None and not rule.where.verdict(Held(dict(data)), 0):
            return
        if rule.forget_ns is not None:
            awake = self._state.clock.awake(moment.t)
            if not self._keyed.note(rule, subject, part, awake, partial(self._forget, moment)):
                return
            data = shown(rule, data, part, said.device, said.part)
        if rule.quorum is not None and not self._is_enough(rule, subject, part, said, moment):
            return
        if rule.rule.is_alarm:
            self._alarm(self._alarms.begin(rule, subject, part), data, moment)
            return
        state = RuleState(
            rule=rule.name, key=subject.key_of(part), site=subject.site, device=subject.device, part=part,
            raised_t=moment.t, raised_at=moment.at, late=moment.late, data=dict(data),
            severity=rule.rule.raise_.severity, causes=[moment.cause],
        )  # fmt: skip
        self._alarms.occurred(Case(rule, state, subject), moment)

    def _alarm(self, case: Case, data: Mapping[str, Scalar], moment: Moment) -> None:
        rule, state, subject = case
        if state.inhibited:
            return
        if state.acknowledged_by is not None and self._is_another(case, moment):
            self._alarms.cleared(case, moment, {"reason": "came again"})
            case = self._alarms.begin(rule, subject, state.part)
            state = case.state
        state.since = moment.t
        was_idle = state.phase is Phase.IDLE
        state.phase, state.due = Phase.ACTIVE, None
        if not was_idle and rule.quiet_ns is not None:
            state.phase, state.due = Phase.CLEARING, moment.t + rule.quiet_ns
        measured = 0 if isinstance(subject, Place) else moment.measured  # the clocks of two devices cannot be compared
        state.measured = measured if was_idle else max(state.measured, measured)
        self._alarms.move(case, Move.RAISE if was_idle else Move.CHANGED, moment, data)
        if state.measured and state.phase is Phase.ACTIVE:
            self._judge(rule, subject, state.part, None, moment)  # what ends it may have come before it
        if not moment.late:
            self._alarms.pay(case, moment)

    @staticmethod
    def _is_another(case: Case, moment: Moment) -> bool:
        """Return whether what comes now is no more of what came before: of an alarm that only a person ends."""
        return case.rule.latched and case.rule.quorum is None and moment.t - case.state.since > ANOTHER_NS

    def _is_enough(self, rule: CompiledRule, subject: Subject, part: str, said: Said, moment: Moment) -> bool:
        """Count a moment; True for the one that makes it enough, and for those of an alarm that is, or would be."""
        quorum, case = rule.quorum, self._alarms.begin(rule, subject, part)
        if quorum is None or case.state.phase in ALARMING or case.state.inhibited:
            return True
        known = Known(verdict=True, cleared=None, happened=moment.happened, voter=said.by(quorum.distinct))
        if vote(quorum, case.state, known, moment.t) is Move.RAISE:
            self._alarms.rest(case.state, moment.t)
            return True
        self._alarms.move(case, Move.CHANGED, moment, {})
        return False

    # ----------------------------------------------------------------------------------------------------- forgetting

    def ripen(self, rule: str, key: str, moment: Moment) -> None:
        """Forget a value that has not been said for as long as its rule remembers it."""
        awake = self._state.clock.awake(moment.t)
        found = self._alarms.find(rule, key)
        work = partial(self._keyed.ripen, rule, key, awake, partial(self._forget, moment))
        if found is None:
            work()
        else:
            self._alarms.attempt(found.rule, key, found.device, moment, work)

    def _forget(self, moment: Moment, rule: str, key: str) -> bool:
        """Forget what is known of a value; False when only a person ends its alarm."""
        case = self._alarms.find(rule, key)
        if case is None:
            return True
        if case.state.phase in ALARMING and case.rule.latched:
            return False
        if case.state.phase in ALARMING:
            self._alarms.cleared(case, moment, {"reason": "forgotten"})
        else:
            self._alarms.rest(case.state, moment.t)
        return True


def _by_name(found: Waiter) -> str:
    return found[0].name
