"""What the engine tells of alarms and rules: events, and alarms as readers see them."""

from __future__ import annotations

from collections.abc import Mapping

from hub.engine.moment import Moment, Output
from hub.engine.places import Subject, where
from hub.engine.state import State, count
from hub.model.effects import AlarmChange, AlarmState, Event, Transition
from hub.model.values import Scalar, Severity
from hub.rules.held import Held
from hub.rules.states import CompiledRule, RuleState


class Teller:
    """Makes the events of rule states and shows their alarms."""

    def __init__(self, state: State, output: Output) -> None:
        self._state = state
        self._output = output

    def tell(  # noqa: PLR0913, PLR0917 -- an event is these facts
        self,
        rule: CompiledRule,
        state: RuleState,
        device: Subject,
        transition: Transition,
        moment: Moment,
        data: Mapping[str, Scalar] | None = None,
    ) -> Event:
        """Tell that ``state`` made ``transition``; ``data`` is added to what it knows."""
        state.transitions = self._output.number(state.rule, state.key, state.raised_t, state.transitions + 1)
        event = Event(
            id=self._output.event_id(state.rule, state.key, state.raised_t, state.transitions),
            name=rule.rule.raise_.event, severity=state.severity, transition=transition, time=moment.at,
            age=moment.age, key=state.key, rule=state.rule, rule_version=rule.rule.version, site=state.site,
            building=device.building, device=state.device, part=state.part, late=moment.late,
            test=state.mode.test, drill=state.mode.drill, place=where(device), label=rule.rule.label,
            data={**state.data, **(data or {})}, causes=tuple(dict.fromkeys([*state.causes, moment.cause])),
        )  # fmt: skip
        self._output.event(event)
        return event

    def show(self, rule: CompiledRule, state: RuleState, device: Subject) -> None:
        """Let readers see the alarm as it now is."""
        alarm = alarm_of(rule, state, device)
        self._output.effects.alarms.append(AlarmChange(state.site, state.rule, state.key, alarm))

    def rule_failed(self, rule: CompiledRule, key: str, device: Subject, error: Exception, moment: Moment) -> None:
        """Tell that a step of ``rule`` was discarded."""
        count(self._state.ledger.failed_rules, rule.name)
        self._output.event(
            Event(
                id=self._output.event_id("device.rule_failed", f"{rule.name}\0{key}", moment.t, 1),
                name="device.rule_failed", severity=Severity.MEDIUM, transition=Transition.OCCURRED, time=moment.at,
                key=key, rule=rule.name, rule_version=rule.rule.version, site=device.site, building=device.building,
                device=device.device, data={"error": f"{type(error).__name__}: {error}"[:200]}, causes=(moment.cause,),
            )
        )  # fmt: skip


def terms_of(rule: CompiledRule, held: Held) -> dict[str, Scalar]:
    """Return what a raise tells: the values that ``rule`` speaks of."""
    known = [(name, held.value(name)) for name in sorted(rule.names)]
    return {name: value for name, value in known if value is not None}


def alarm_of(rule: CompiledRule, state: RuleState, device: Subject) -> AlarmState:
    """Return an active state as readers see it."""
    return AlarmState(
        id=state.alarm, name=rule.rule.raise_.event, severity=state.severity, key=state.key, rule=state.rule,
        site=state.site, building=device.building, device=state.device, part=state.part, since=state.raised_at,
        late=state.late, test=state.mode.test, drill=state.mode.drill, acknowledged_by=state.acknowledged_by,
        shelved_until=state.shelved_until, shelved_by=state.shelved_by, place=where(device), label=rule.rule.label,
        data=state.data, escalated=state.escalated, escalated_to=state.escalated_to,
    )  # fmt: skip
