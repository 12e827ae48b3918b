"""Rules on twins, signals, silence and time: which alarms rise and fall; the engine's judgement."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from functools import partial

from hub.engine.acting import Hands
from hub.engine.content import Content, Device
from hub.engine.moment import Moment, Output
from hub.engine.state import Held, State
from hub.engine.telling import Teller
from hub.model import AlarmChange, Scalar, Signal, Transition
from hub.rules.rule import Do
from hub.rules.states import CompiledRule, Known, Move, Phase, RuleState, ripen, step
from hub.rules.timers import TimerClass, Timers

NO_CAUSE = (0, 0)


class Judge:
    """The rule states of all keys. A rule that fails costs itself one step, never the message."""

    def __init__(self, state: State, content: Content, timers: Timers, hands: Hands, output: Output) -> None:
        self._state = state
        self._content = content
        self._timers = timers
        self._hands = hands
        self._output = output
        self.states: dict[tuple[str, str], RuleState] = {}
        self._by_key: dict[str, dict[str, RuleState]] = {}
        self._teller = Teller(state, output)

    # ------------------------------------------------------------------------------------------------- what comes in

    def values(
        self,
        device: Device,
        part: str,
        values: Mapping[str, Scalar],
        is_late: bool,  # noqa: FBT001 -- as above
        moment_of: Callable[..., Moment],
    ) -> None:
        """Judge the rules that read one of ``values``, on the twin as it now is."""
        rules = device.rules.reading(part)
        if not rules:
            return
        held, awake = device.state.parts[part], device.state.heard_awake
        key = device.key_of(part)
        mine = self._by_key.get(key)
        for rule in rules:
            if rule.names.isdisjoint(values):
                continue
            state = None if mine is None else mine.get(rule.name)
            if state is None and rule.when is None:
                continue
            try:
                verdict = None if rule.when is None else rule.when.verdict(held, awake)
            except Exception as error:  # noqa: BLE001 -- a rule's bug costs one rule's step (engine.md, Engine)
                self._teller.rule_failed(rule, key, device, error, moment_of(is_late=is_late))
                continue
            if state is None and not verdict and not (verdict is None and rule.raises_on_missing):
                continue
            moment = moment_of(is_late=is_late)
            self._attempt(rule, key, device, moment, partial(self._judge, rule, device, part, verdict, moment))

    def _judge(self, rule: CompiledRule, device: Device, part: str, verdict: bool | None, moment: Moment) -> None:  # noqa: FBT001 -- one call, from the loop above
        held = device.state.parts[part]
        state = self._state_of(rule, device, part)
        cleared = None if rule.clear is None else rule.clear.verdict(held, device.state.heard_awake)
        move = step(rule, state, Known(verdict, cleared), moment.t)
        if state.phase is not Phase.ACTIVE or move is Move.RAISE:
            state.late = moment.late
        if move is Move.RAISE:
            self._raise(rule, state, device, moment, _terms(rule, held))
            return
        self._after(rule, state, device, move, moment)
        if verdict and state.owes_commands and not moment.late and state.phase is Phase.ACTIVE:
            self._pay_commands(rule, state, device, moment)

    def signal(self, device: Device, part: str, signal: Signal, moment: Moment) -> None:
        """Judge the rules that wait for ``signal``."""
        for rule in device.rules.waiting_for(signal.name, part):
            work = partial(self._signalled, rule, device, part, signal, moment)
            self._attempt(rule, device.key_of(part), device, moment, work)

    def _signalled(self, rule: CompiledRule, device: Device, part: str, signal: Signal, moment: Moment) -> None:
        key = device.key_of(part)
        if not rule.rule.is_alarm:
            state = RuleState(
                rule=rule.name, key=key, site=device.site, device=device.device, part=part,
                raised_t=moment.t, raised_at=moment.at, late=moment.late, data=signal.data,
                severity=rule.rule.raise_.severity, transitions=len(self._output.effects.events), causes=[moment.cause],
            )  # fmt: skip
            event = self._teller.tell(rule, state, device, Transition.OCCURRED, moment)
            state.alarm = event.id
            self._hands.act(rule.rule, state, self._targets(device), moment)
            return
        known = self._state_of(rule, device, part)
        if known.phase is Phase.IDLE:
            known.phase = Phase.ACTIVE
            self._raise(rule, known, device, moment, signal.data)
        else:
            known.phase, known.due = Phase.ACTIVE, None
            self._timers.drop(TimerClass.JUDGED, rule.name, key)

    def heard(self, device: Device, moment: Moment) -> None:
        """End the silence of a device that spoke."""
        for rule in device.rules.absent:
            state = self.states.get((rule.name, device.key))
            if state is None or state.phase is Phase.IDLE:
                continue
            self._keep(state)
            move = step(rule, state, Known(verdict=False, cleared=True), moment.t)
            self._after(rule, state, device, move, moment)
            self.watch(device)
        device.is_silent = False

    def watch(self, device: Device) -> None:
        """Wait for the silence of ``device`` under every rule that minds it."""
        for rule in device.rules.absent:
            if rule.absent_ns is not None:
                due = device.state.heard_awake + rule.absent_ns
                self._timers.set(TimerClass.AWAKE, due, rule.name, device.key)

    # ----------------------------------------------------------------------------------------------------------- time

    def ripen(self, owner: str, key: str, moment: Moment) -> None:
        """Judge a ``for`` or ``clear`` whose time has come."""
        state, rule = self.states.get((owner, key)), self._content.rules.get(owner)
        if state is None or rule is None:
            return
        device = self._content.find(state.site, state.device)
        if device is None:
            return
        self._keep(state)
        move = ripen(state)
        late = moment._replace(late=state.late) if move is Move.RAISE else moment
        if move is Move.RAISE:
            self._raise(rule, state, device, late, _terms(rule, device.state.parts.get(state.part, {})))
        else:
            self._after(rule, state, device, move, moment)

    def silence(self, owner: str, key: str, awake: int, moment: Moment) -> None:
        """Judge an ``absent_for`` whose time has come on the awake clock: speak only of real silence."""
        rule, device = self._content.rules.get(owner), self._content.by_key(key)
        if rule is None or device is None or rule.absent_ns is None:
            return
        due = device.state.heard_awake + rule.absent_ns
        if due > awake:
            self._timers.set(TimerClass.AWAKE, due, owner, key)
            return
        state = self._state_of(rule, device, "")
        if state.phase is Phase.IDLE:
            state.phase = Phase.ACTIVE
            device.is_silent = True
            data: dict[str, Scalar] = {"silent_s": (awake - device.state.heard_awake) // 1_000_000_000}
            self._raise(rule, state, device, moment, data)

    def caught_up(self, moment: Moment) -> None:
        """Everything queued has been read: alarms raised late and still active send what they owe."""
        for name, key in sorted(self.states):
            state = self.states[(name, key)]
            rule, device = self._content.rules.get(name), self._content.find(state.site, state.device)
            if state.owes_commands and rule is not None and device is not None:
                self._pay_commands(rule, state, device, moment)

    def owe(self, rule: str, key: str) -> None:
        """Note that a hold of an alarm lapsed: while the alarm lasts it is wanted again, once that is known."""
        state = self.states.get((rule, key))
        if state is not None and state.phase in {Phase.ACTIVE, Phase.CLEARING}:
            self._keep(state)
            state.owes_commands = True

    def _pay_commands(self, rule: CompiledRule, state: RuleState, device: Device, moment: Moment) -> None:
        self._keep(state)
        state.owes_commands = False
        self._hands.act(rule.rule, state, self._targets(device), moment._replace(late=False))

    # ------------------------------------------------------------------------------------------------------- operators

    def acknowledge(self, rule: str, key: str, actor: str, moment: Moment) -> str:
        """Acknowledge an active alarm; the answer's code: ``ok``, ``no_such_alarm`` or ``already_acknowledged``."""
        state, compiled = self.states.get((rule, key)), self._content.rules.get(rule)
        if state is None or compiled is None or state.phase not in {Phase.ACTIVE, Phase.CLEARING}:
            return "no_such_alarm"
        if state.acknowledged_by is not None:
            return "already_acknowledged"
        device = self._content.find(state.site, state.device)
        if device is None:
            return "no_such_alarm"
        self._keep(state)
        state.acknowledged_by = actor
        self._teller.tell(compiled, state, device, Transition.ACKNOWLEDGED, moment, {"actor": actor})
        self._teller.show(compiled, state, device)
        return "ok"

    def forget(self, rule: str, moment: Moment, *, device: Device | None = None, why: str) -> None:
        """End the states of a rule (of one device) that no longer exists; active alarms are cleared, saying why."""
        for name, key in sorted(self.states):
            state = self.states[(name, key)]
            if rule not in {name, ""} or (device is not None and (state.site, state.device) != device.identity):
                continue
            gone, owner = self._content.rules.get(name), self._content.find(state.site, state.device)
            if gone is not None and owner is not None and state.phase in {Phase.ACTIVE, Phase.CLEARING}:
                self._clear(gone, state, owner, moment, {"reason": why})
            else:
                self._drop(state)

    # --------------------------------------------------------------------------------------------------------- moves

    def _after(self, rule: CompiledRule, state: RuleState, device: Device, move: Move, moment: Moment) -> None:
        match move:
            case Move.STAY | Move.RAISE:
                pass
            case Move.CLEAR:
                self._clear(rule, state, device, moment, {})
            case Move.CHANGED:
                self._time(rule, state, device, moment)

    def _time(self, rule: CompiledRule, state: RuleState, device: Device, moment: Moment) -> None:
        if state.phase is Phase.IDLE:
            self._drop(state)
        elif state.due is None:
            self._timers.drop(TimerClass.JUDGED, state.rule, state.key)
        elif state.due <= moment.t and self._state.clock.blind_since is None:
            self._after(rule, state, device, ripen(state), moment)
        else:
            self._timers.set(TimerClass.JUDGED, state.due, state.rule, state.key)

    def _raise(
        self,
        rule: CompiledRule,
        state: RuleState,
        device: Device,
        moment: Moment,
        data: Mapping[str, Scalar],
    ) -> None:
        state.raised_t, state.raised_at, state.late = moment.t, moment.at, moment.late
        state.severity, state.data, state.causes = rule.rule.raise_.severity, dict(data), [moment.cause]
        state.alarm = self._teller.tell(rule, state, device, Transition.RAISED, moment).id
        self._teller.show(rule, state, device)
        state.owes_commands = moment.late and any(action.until is not None for action in rule.rule.do)
        if not moment.late:
            self._hands.act(rule.rule, state, self._targets(device), moment)

    def _clear(
        self,
        rule: CompiledRule,
        state: RuleState,
        device: Device,
        moment: Moment,
        data: Mapping[str, Scalar],
    ) -> None:
        self._teller.tell(rule, state, device, Transition.CLEARED, moment, data)
        self._output.effects.alarms.append(AlarmChange(state.site, state.rule, state.key, None))
        self._hands.release(state.rule, state.key, self._content.find, moment)
        self._drop(state)

    def _targets(self, device: Device) -> _Targets:
        return _Targets(self._content, device)

    def _attempt(self, rule: CompiledRule, key: str, device: Device, moment: Moment, work: Callable[[], None]) -> None:
        """Do one step of one rule; when it fails, its new state and its effects are discarded."""
        before, marks = copy(self.states.get((rule.name, key))), self._output.marks()
        try:
            work()
        except Exception as error:  # noqa: BLE001 -- a rule's bug costs one rule's step (engine.md, Engine)
            self._output.roll_back(marks)
            if before is None:
                self._forget_state(rule.name, key)
            else:
                self._keep(before)
            self._teller.rule_failed(rule, key, device, error, moment)

    # -------------------------------------------------------------------------------------------------------- entries

    def restore(self, state: RuleState) -> None:
        """Take a rule state of a checkpoint."""
        self._hold(state)
        if state.due is not None:
            self._timers.set(TimerClass.JUDGED, state.due, state.rule, state.key)

    def _state_of(self, rule: CompiledRule, device: Device, part: str) -> RuleState:
        key = device.key_of(part)
        state = self.states.get((rule.name, key)) or RuleState(
            rule=rule.name, key=key, site=device.site, device=device.device, part=part
        )
        self._keep(state)
        return state

    def _keep(self, state: RuleState) -> None:
        self._hold(state)
        self._state.touch(f"rule/{state.rule}/{state.key}", state)

    def _hold(self, state: RuleState) -> None:
        self.states[state.rule, state.key] = state
        self._by_key.setdefault(state.key, {})[state.rule] = state

    def _drop(self, state: RuleState) -> None:
        self._timers.drop(TimerClass.JUDGED, state.rule, state.key)
        self._forget_state(state.rule, state.key)

    def _forget_state(self, rule: str, key: str) -> None:
        self.states.pop((rule, key), None)
        mine = self._by_key.get(key, {})
        mine.pop(rule, None)
        if not mine:
            self._by_key.pop(key, None)
        self._state.remove(f"rule/{rule}/{key}")


class _Targets:
    """Where an action of an alarm of ``device`` goes."""

    def __init__(self, content: Content, device: Device) -> None:
        self._content = content
        self._device = device

    def __call__(self, action: Do) -> list[Device]:
        if action.to is None:
            return [self._device]
        return self._content.near(self._device, action.to.kind, action.to.within)


def _terms(rule: CompiledRule, held: Mapping[str, Held]) -> dict[str, Scalar]:
    return {name: held[name][0] for name in sorted(rule.names) if name in held}
