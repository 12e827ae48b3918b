"""The parts of the engine, and what time and revisions do to them."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from typing import Protocol

from hub.engine.acting import Hands
from hub.engine.again import Grammar
from hub.engine.alarms import Alarms
from hub.engine.areas import Areas
from hub.engine.change import Change, parts
from hub.engine.content import Content
from hub.engine.desires import Desires
from hub.engine.doubles import Doubles
from hub.engine.encoding import TopicNames
from hub.engine.hearing import Ear
from hub.engine.judging import Judge
from hub.engine.moment import Moment, Output
from hub.engine.orders import Orders
from hub.engine.redelivery import Decode, Redelivery
from hub.engine.standing import Case
from hub.engine.state import State
from hub.model.effects import Writing
from hub.model.records import Record, Revision
from hub.model.values import Severity
from hub.rules.inputs import Present
from hub.rules.states import CompiledRule, Phase
from hub.rules.timers import TimerClass, Timers

CLOCK_STEP_NS = 5_000_000_000


class Topics(TopicNames, Grammar, Protocol):
    """The topic grammar, handed in so that the engine needs no bridge."""


class Core:
    """The parts, wired; see :class:`hub.engine.apply.Engine`."""

    def __init__(
        self, journal: str, topics: Topics, decode: Decode, writing: Writing | None = None,
        compiled: Callable[..., CompiledRule] = CompiledRule,
    ) -> None:  # fmt: skip
        self.state, self._timers, self.content = State(), Timers(), Content(compiled)
        self.state.clock.journal = journal
        self._output = Output(self.state, writing)
        find, beside = self.content.find, self.content.beside
        self._hands = Hands(self.state, self._timers, topics, self._output, find, beside)
        self._alarms = Alarms(self.state, self.content, self._timers, self._hands, self._output)
        self._judge = Judge(self.state, self.content, self._timers, self._alarms, self._output)
        known = Redelivery(self.state, decode)
        self._ear = Ear(self.state, self.content, self._judge, self._hands, self._output, topics, known)
        self.modes, self.rule_states = self._alarms.modes, self._alarms.states
        self._doubles = Doubles(self.state, self.content, self._alarms, self._ear)
        self._removed_twins: list[tuple[str, str]] = []
        self._areas = Areas(self.state, self.content, self._timers, self._output)
        self._desires = Desires(self.state, self.content, self._timers, self._hands, self._output)
        retake, parts = self._ear.retake, (self._areas, self._alarms, self._hands, self._desires)
        self._orders = Orders(self.state, *parts, self._output, retake)

    # ------------------------------------------------------------------------------------------------------------ time

    def _time(self, record: Record, moment: Moment) -> None:
        clock = self.state.clock
        if clock.received_at and clock.blind_since is None:
            step = (record.received_at - clock.received_at) - (record.t - clock.t)
            if abs(step) > CLOCK_STEP_NS:
                self._output.report("device.clock_stepped", Severity.LOW, {"step_ms": step // 1_000_000}, moment)
        self._ripen_running(moment)
        if clock.blind_since is None:
            self._ripen_judged(moment)

    def _turn(self, at: int, moment: Moment, *, is_back: bool) -> Generator[None, None, None]:
        """Let windows, facts and entries of lists begin and end, also while the hub is blind."""
        turned = yield from self.content.turn(at, is_back=is_back)
        for some in parts(turned):
            self._judge.turn(some, moment)
            yield

    def _ripen_running(self, moment: Moment) -> None:
        """Do what does not wait while the hub is blind."""
        for _, owner, key in self._timers.due(TimerClass.MODE, moment.t):
            self.modes.ripen(owner, key, moment)
        self._settle_modes(moment)
        for _, owner, key in self._timers.due(TimerClass.RUNNING, moment.t):
            self._areas.ripen(owner, key, moment)
            self._desires.ripen(owner, key, moment)
            for lapsed in self._hands.ripen(owner, key, moment):
                self._alarms.owe(lapsed.rule, lapsed.key, (lapsed.device, lapsed.part, lapsed.command))
        for due, owner, key in self._timers.due(TimerClass.ALARM, moment.t):
            judged = self._timers.due_of(TimerClass.JUDGED, owner, key)
            if judged is not None and judged < due and self.state.clock.blind_since is None:  # it was over before that
                self._timers.drop(TimerClass.JUDGED, owner, key)
                self._judge.ripen(owner, key, moment)
            self._alarms.ripen(owner, key, moment)

    def _settle_modes(self, moment: Moment, *, has_moved: bool = False) -> None:
        """Judge what a test or drill that began or ended changes; while blind that waits."""
        if self.state.clock.blind_since is not None:
            return
        changed = self.modes.take_unjudged()
        if not (changed or has_moved):
            return
        self._doubles.settle(moment)
        self._alarms.come_true(moment)
        places = {key: place for one in changed for key, place in self.content.seeing(one.key).items()}
        for key in sorted(places):
            self._judge.tried(places[key], moment)

    def _ripen_judged(self, moment: Moment) -> None:
        awake = self.state.clock.awake(moment.t)
        for kind, now, ripen in (
            (TimerClass.JUDGED, moment.t, self._judge.ripen),
            (TimerClass.AWAKE, awake, self._judge.awake),
            (TimerClass.WINDOW, moment.t, self._judge.window),
            (TimerClass.FORGET, awake, self._judge.moments.ripen),
        ):
            for _, owner, key in self._timers.due(kind, now):
                ripen(owner, key, moment)

    def _pay_all(self, blind_since: int, moment: Moment) -> None:
        """Everything queued has been read: alarms raised late that still are send what they owe, pending ones will."""
        for name, key in sorted(self._alarms.states):
            case = self._alarms.find(name, key)
            if case is not None and case.state.phase is Phase.PENDING and case.state.late:
                self._alarms.keep(case.state)
                case.state.owes_commands = True
            elif case is not None and case.state.owes_commands:
                is_of_before = case.state.raised_t <= blind_since and not case.state.held_t
                pay = self._pay_if_so if is_of_before else self._alarms.pay
                self._alarms.attempt(case.rule, key, case.device, moment, partial(pay, case, moment))

    def _pay_if_so(self, case: Case, moment: Moment) -> None:
        """Do what an alarm owes that was raised late before the hub was blind: what was queued since is no news of it.

        Of several witnesses, and ended by a person only, it may never have been so: a word that came late was followed
        by its end. What one device has said it has said.
        """
        rule, state, device = case
        if rule.latched and rule.inputs and rule.when is not None:
            awake = self.state.clock.awake(moment.t)
            held = self._alarms.views.of(rule, device, state.part, Present(moment.t, moment.at, awake))
            if not rule.when.verdict(held, awake):
                return
        self._alarms.pay(case, moment)

    # ------------------------------------------------------------------------------------------------------- revisions

    def _revise(self, record: Record, revision: Revision, moment: Moment) -> Generator[None, None, None]:
        change = yield from self.content.revise(revision, record.bodies, self.state, moment)
        self._end(change, moment)
        self.content.settle(change, self.state)
        self.modes.forget_places()
        self._settle_modes(moment, has_moved=True)
        self._ear.revised(change)
        for some in parts(change.concerned):
            for device in some:
                self._judge.watch(device)
            yield
        self._alarms.revised(change, moment)
        concerns_all = change.has_new_rules or change.switched_off
        silent = self.content.silent() if concerns_all else [each for each in change.touched if each.is_silent]
        self._judge.unwatch(silent, moment)
        self._hands.revised(change)
        if change.may_matter_elsewhere or change.removed_places:
            self._judge.keyed.prune()
        for turned in parts(change.turned):
            self._judge.turn(turned, moment)
            yield
        if not self._ear.waiting.is_empty:  # a directory may have said what it is that nobody understood
            self._ear.replay_waiting(change.concerned, record)

    def _end(self, change: Change, moment: Moment) -> None:
        """End the states of what is gone, while it can still be told."""
        for site, rule in change.over(self._alarms.states, self._alarms.views.remembered()):
            self._alarms.forget(rule, moment, at=site, why="scene switched off" if site else "rule removed")
        self._doubles.forget(change, moment)
        for device in (one for one in change.removed_devices if not one.is_double):
            self._alarms.forget_subject(device, moment, why="device removed")
            self._hands.release_device(device, moment)
            self._removed_twins += self._desires.forget(device, moment)
        for former, device in change.replaced:
            if device.is_another_than(former):
                self._alarms.views.forget_subject(former, former.rules.by_name)
                self.state.mark(device.state)
                self._removed_twins += self._desires.begin_anew(device)
                device.state.forget()
                device.forget_shortcuts()
            elif former.kind != device.kind:  # its alarms end where they are told; of no alarm nobody else knows
                over = sorted(former.rules.by_name.keys() - device.rules.by_name.keys())
                self._alarms.views.forget_subject(former, over)
        for place in change.removed_places:
            self._alarms.forget_subject(place, moment, why="place removed")
        for device, places in change.left:
            self._alarms.views.forget_member(device, places)
