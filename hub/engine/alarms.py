"""Rule states at work: kept, raised, cleared; a step that fails costs itself only."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from copy import copy
from functools import partial

from hub.engine.acting import Hands
from hub.engine.aims import targets_of
from hub.engine.change import Change
from hub.engine.content import Content
from hub.engine.inhibition import Inhibition
from hub.engine.modes import Modes
from hub.engine.moment import Moment, Output
from hub.engine.places import Subject, is_for
from hub.engine.rule_states import RuleStates, on_its_shelf
from hub.engine.standing import ALARMING, Case, Standing
from hub.engine.state import State, count
from hub.engine.telling import Teller
from hub.engine.views import Views
from hub.model.effects import AlarmChange, Transition
from hub.model.values import Scalar
from hub.rules.held import Held
from hub.rules.inputs import Present
from hub.rules.states import REAL, CompiledRule, Known, Move, Phase, RuleState, ripen, wants_clear
from hub.rules.timers import TimerClass, Timers


class Alarms:
    """The states of all rules by (rule, key); each is an entry of the engine's state."""

    def __init__(self, state: State, content: Content, timers: Timers, hands: Hands, output: Output) -> None:
        self._state, self._content, self._timers = state, content, timers
        self._hands, self._output = hands, output
        self.teller = Teller(state, output)
        self.standing = Standing(state, timers, self.teller)
        self.states = RuleStates()
        self.by_key, self.by_rule = self.states.by_key, self.states.by_rule
        self.inhibition = Inhibition(state, content, timers, self.find, self.by_rule)
        self._raised, self._are_tried = list[Case](), True
        self.modes = Modes(state, content, timers, output, self.alarming)
        self.views = Views(state, timers, self.modes)

    # --------------------------------------------------------------------------------------------------------- entries

    def restore(self, state: RuleState) -> None:
        """Take a rule state of a checkpoint."""
        self.states.hold(state)
        if state.due is not None:
            self._timers.set(TimerClass.JUDGED, state.due, state.rule, state.key)
        case = self.find(state.rule, state.key)
        if case is not None and state.phase in ALARMING:
            self.standing.wait(case, self._state.clock.t)
        elif state.shelved_t is not None:
            self._timers.set(TimerClass.ALARM, state.shelved_t, state.rule, state.key)

    def find(self, rule: str, key: str) -> Case | None:
        """Return the case of a state whose rule and device still exist."""
        state, found = self.states.of(rule, key), self._content.subject(key)
        compiled = None if found is None else self._content.rule_of(rule, found[0])
        return None if state is None or compiled is None or found is None else Case(compiled, state, found[0])

    def alarming(self) -> Iterator[Case]:
        """Yield every active alarm, in the order (rule, key)."""
        found = (self.find(*name) for name in sorted(self.states) if self.states[name].phase in ALARMING)
        yield from (case for case in found if case is not None)

    def begin(self, rule: CompiledRule, device: Subject, part: str) -> Case:
        """Return the case that is, or a new idle one; its state is about to change."""
        key = device.key_of(part)
        state = self.states.of(rule.name, key) or RuleState(
            rule=rule.name, key=key, site=device.site, device=device.device, part=part
        )
        self.keep(state)
        return Case(rule, state, device)

    def keep(self, state: RuleState) -> None:
        """Say that ``state`` is about to change."""
        self.states.hold(state)
        self._state.touch(f"rule/{state.rule}/{state.key}", state)

    def drop(self, rule: str, key: str) -> None:
        """Forget a state, and what was waited for."""
        self._timers.drop(TimerClass.ALARM, rule, key)
        self.end_wait(rule, key)

    def end_wait(self, rule: str, key: str) -> None:
        """Forget a state of which only one thing was waited for: to be judged."""
        self._timers.drop(TimerClass.JUDGED, rule, key)
        self.states.drop(rule, key)
        self._state.remove(f"rule/{rule}/{key}")

    def rest(self, state: RuleState, now: int) -> None:
        """Forget a state that has come to its end, but for its shelf: that is for the next time too."""
        self.drop(state.rule, state.key)
        if state.shelved_t is not None and state.shelved_t > now:
            self.keep(on_its_shelf(state))
            self._timers.set(TimerClass.ALARM, state.shelved_t, state.rule, state.key)

    # --------------------------------------------------------------------------------------------------------- steps

    def attempt(self, rule: CompiledRule, key: str, device: Subject, moment: Moment, work: Callable[[], None]) -> None:
        """Do one step of one rule; when it fails, its new state and its effects are discarded (engine.md, Engine)."""
        known, marks = self.states.of(rule.name, key), self._output.marks()
        before = None if known is None else copy(known)
        self._hands.mark()
        try:
            work()
            self._hands.confirm()
        except Exception as error:  # noqa: BLE001 -- a rule's bug costs one rule's step, never the hub
            self._output.roll_back(marks)
            self._hands.roll_back()
            if before is None:
                self.drop(rule.name, key)
            else:
                self.keep(before)
            self._raised.clear()
            self.teller.rule_failed(rule, key, device, error, moment)
        while self._raised:
            self._withdraw_explained(self._raised.pop(0), moment)

    def move(self, case: Case, move: Move, moment: Moment, data: Mapping[str, Scalar]) -> None:
        """Carry out what a step came to; ``data`` is what a raise tells."""
        match move:
            case Move.STAY:
                pass
            case Move.RAISE:
                self.raised(case, moment, data)
            case Move.CLEAR:
                self.cleared(case, moment, {})
            case Move.CHANGED:
                self._time(case, moment)

    def _time(self, case: Case, moment: Moment) -> None:
        state = case.state
        if state.phase is Phase.PENDING and not state.alarm:
            self._hold_while_pending(case, moment)
        if state.phase is Phase.IDLE:
            self._hands.release(state.rule, state.key, moment)
            self.rest(state, moment.t)
        elif state.due is None:
            self._timers.drop(TimerClass.JUDGED, state.rule, state.key)
        elif state.due <= moment.t and self._state.clock.blind_since is None:
            self.move(case, ripen(state), moment, {})
        else:
            self._timers.set(TimerClass.JUDGED, state.due, state.rule, state.key)

    def _hold_while_pending(self, case: Case, moment: Moment) -> None:
        """Act before it is sure: each command is a hold that ends by itself, or when it turns out to be nothing."""
        state = case.state
        state.mode = self.modes.of(state.rule, case.device)
        if case.rule.rule.while_pending and not moment.late and not self.inhibition.explains(case):
            number = self._output.number(f"{state.rule} pending", state.key, moment.t, 1)
            state.alarm = self._output.event_id(state.rule, state.key, moment.t, 1 - number)
            self._hands.act(case.rule.while_pending, state, targets_of(self._content, case.device), moment)

    def raised(self, case: Case, moment: Moment, data: Mapping[str, Scalar]) -> None:
        """Raise the alarm of ``case``, whose phase is active; a late one owes its lasting commands."""
        rule, state, device = case
        state.mode, is_known = self.modes.of(rule.name, device), state.owes_commands
        if self.inhibition.holds_back(case, moment, data):
            return
        state.raised_t, state.raised_at, state.late = moment.t, moment.at, moment.late
        state.severity, state.data = rule.rule.raise_.severity, {**state.data, **data}
        state.causes = list(dict.fromkeys([*state.causes, moment.cause]))
        away: dict[str, Scalar] = {} if state.shelved_t is None else {"shelved_until": state.shelved_until // 10**6}
        state.alarm = self.teller.tell(rule, state, device, Transition.RAISED, moment, away).id
        self.teller.show(rule, state, device)
        self.modes.look(case, moment)
        owes = moment.late and state.mode.acts
        state.owes_commands = owes and any(action.after(None) is not None for action in rule.rule.do)
        before, state.held_t = self._hands.held_by(state), 0 if moment.late else moment.t
        if not moment.late:
            self._hands.act(rule.rule.do, state, targets_of(self._content, device), moment)
        self._hands.hand_over(before, moment)
        if is_known:
            self.pay(case, moment)
        if rule.quiet_ns is not None:
            state.phase, state.due = Phase.CLEARING, moment.t + rule.quiet_ns
            self._timers.set(TimerClass.JUDGED, state.due, state.rule, state.key)
        self.standing.become(case, moment)
        self._raised.append(case)

    def _withdraw_explained(self, alarm: Case, moment: Moment) -> None:
        """Take back what ``alarm`` explains: when it is over, what is still true is raised anew."""
        for case in self.inhibition.explained_by(alarm):
            work = partial(self._withdraw, case, alarm.rule.name, moment)
            self.attempt(case.rule, case.state.key, case.device, moment, work)

    def _withdraw(self, case: Case, by: str, moment: Moment) -> None:
        state = case.state
        was_true = state.phase is Phase.ACTIVE
        count(self._state.ledger.inhibited, state.rule)
        self.cleared(case, moment, {"reason": "inhibited", "by": by})
        if was_true:
            again = self.begin(case.rule, case.device, state.part).state
            again.phase, again.inhibited, again.since = Phase.PENDING, True, state.since
            again.data, again.causes, again.mode = state.data, state.causes, state.mode

    def look(self, case: Case, held: Held, moment: Moment) -> None:
        if case.state.phase in ALARMING:
            self.standing.look(case, held, moment)
            self.modes.look(case, moment)

    def ripen(self, rule: str, key: str, moment: Moment) -> None:
        """Do what has come due for an alarm: a step of its ladder, a reminder, the end of its shelf."""
        case = self.find(rule, key)
        if case is not None and case.state.phase not in ALARMING:
            self._end_shelf(case.state)
        elif case is not None:
            self.keep(case.state)
            now = Present(moment.t, moment.at, self._state.clock.awake(moment.t))
            held = self.views.of(case.rule, case.device, case.state.part, now)
            self.attempt(case.rule, key, case.device, moment, partial(self.standing.ripen, case, held, moment))
            self.modes.look(case, moment)

    def revised(self, change: Change, moment: Moment) -> None:
        """Wait anew for what comes next of alarms, free what nothing explains, and end what nobody judges any more."""
        touched = (device.key for device in change.touched)
        names: Collection[tuple[str, str]] = self.states if change.may_matter_elsewhere else self.states.at(touched)
        for rule, key in sorted(names):
            case = self.find(rule, key)
            if case is not None and not is_for(case.rule, case.device, case.state.part, change.peopled):
                self._forget([(rule, key)], moment, "not judged there any more")
                self.views.forget(rule, key)
            elif case is not None and case.state.phase in ALARMING:
                self.standing.wait(case, moment.t)
        if names:
            self.inhibition.free(moment)

    def leave_empty_shelf(self, state: RuleState) -> None:
        """Forget a state that was only kept for its shelf."""
        if state.phase is Phase.IDLE:
            self.drop(state.rule, state.key)

    def _end_shelf(self, state: RuleState) -> None:
        self.keep(state)
        state.shelved_t, state.shelved_until, state.shelved_by = None, 0, ""
        self.leave_empty_shelf(state)

    def cleared(self, case: Case, moment: Moment, data: Mapping[str, Scalar]) -> None:
        """End the alarm of ``case``: told, no longer shown, its holds released."""
        rule, state, device = case
        self.keep(state)
        self.teller.tell(rule, state, device, Transition.CLEARED, moment, data)
        self._output.effects.alarms.append(AlarmChange(state.site, state.rule, state.key, None))
        self._hands.release(state.rule, state.key, moment)
        self.rest(state, moment.t)
        self.inhibition.free(moment, state.rule)

    def come_true(self, moment: Moment) -> None:
        """End what was raised in a test or drill that is over, and its shelf; what still stands is raised anew."""
        may_be = self.modes.may_have_tried() or self._are_tried
        tried = [name for name, state in self.states.items() if state.mode != REAL] if may_be else []
        self._are_tried = bool(tried)
        for rule, key in sorted(tried):
            case = self.find(rule, key)
            if case is None or case.state.mode == REAL:
                continue
            was, now = case.state.mode, self.modes.of(rule, case.device)
            if (was.test and not now.test) or (was.drill and not now.drill):
                self.attempt(case.rule, key, case.device, moment, partial(self._come_true, case, moment))

    def _come_true(self, case: Case, moment: Moment) -> None:
        rule, state, device = case
        self._end_shelf(state)
        if state.phase not in ALARMING:
            self.inhibition.come_true(case, self.modes.of(rule.name, device), moment)
            return
        awake = self._state.clock.awake(moment.t)
        held = self.views.of(rule, device, state.part, Present(moment.t, moment.at, awake))
        verdict = None if rule.when is None else rule.when.verdict(held, awake)
        cleared = None if rule.clear is None else rule.clear.verdict(held, awake)
        is_over = verdict is False if rule.latched else wants_clear(rule, Known(verdict, cleared))
        is_made_up = state.mode.played and not verdict  # what is not known is no reason to believe a play
        stands = state.phase is Phase.ACTIVE and not (rule.rule.is_momentary or is_over or is_made_up)
        self.cleared(case, moment, {"reason": "test over" if state.mode.test else "drill over"})
        if stands:
            again = self.begin(rule, device, state.part)
            again.state.phase = Phase.ACTIVE
            self.raised(again, moment, state.data)
            self.look(again, held, moment)

    def occurred(self, case: Case, moment: Moment) -> None:
        """Tell of something momentary, whose state is not kept, and act on it."""
        rule, state, device = case
        state.mode = self.modes.of(rule.name, device)
        state.alarm = self.teller.tell(rule, state, device, Transition.OCCURRED, moment).id
        self.modes.look(case, moment)
        if rule.rule.do:
            self._hands.act(rule.rule.do, state, targets_of(self._content, device), moment)

    def pay(self, case: Case, moment: Moment) -> None:
        """Do what a late alarm owes, or take up what lapsed of its holds, now that it is known to be still true."""
        state = case.state
        if state.owes_commands:
            self.keep(state)
            held_t, state.held_t, state.owes_commands = state.held_t, state.held_t or moment.t, False
            left = [each.after(moment.t - held_t if held_t else None) for each in case.rule.rule.do]
            targets, before = targets_of(self._content, case.device), [] if state.lapsed else self._hands.held_by(state)
            self._hands.act([each for each in left if each is not None], state, targets, moment.judged(late=False))
            self._hands.hand_over(before, moment)
            state.lapsed = []

    def owe(self, rule: str, key: str, hold: tuple[str, str, str]) -> None:
        """Note that a hold of an alarm lapsed: while the alarm lasts it is wanted again, once that is known."""
        state = self.states.of(rule, key)
        if state is not None and state.phase in ALARMING:
            self.keep(state)
            state.owes_commands, state.lapsed = True, [*state.lapsed, hold]

    def forget(self, rule: str, moment: Moment, *, at: str, why: str) -> None:
        """End the states of a rule that is no more, or not ``at`` a site ("": any), saying why."""
        self._forget(self.states.of_rule(rule, at), moment, why)
        self.views.forget_all(rule, at)

    def forget_subject(self, subject: Subject, moment: Moment, *, why: str) -> None:
        """End the states of a device or place that is gone, saying why, and what is remembered of it."""
        self._forget(sorted(self.states.at([subject.key])), moment, why)
        self.views.forget_subject(subject, self._content.rules)

    def _forget(self, names: Iterable[tuple[str, str]], moment: Moment, why: str) -> None:
        for name, key in names:
            case = self.find(name, key)
            if case is not None and case.state.phase in ALARMING:
                self.cleared(case, moment, {"reason": why})
            else:
                self._hands.release(name, key, moment)
            self.drop(name, key)
