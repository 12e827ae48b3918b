"""Rules on twins, signals, silence and time: which alarms rise and fall; the engine's judgement."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from hub.engine.alarms import Alarms
from hub.engine.content import Content
from hub.engine.device import Device, Part
from hub.engine.keyed import Keyed
from hub.engine.moment import Moment, Output
from hub.engine.moments import Moments, Waiter
from hub.engine.places import Place, Subject
from hub.engine.sieve import Sieve
from hub.engine.standing import Case
from hub.engine.state import Seen, State
from hub.engine.telling import terms_of
from hub.engine.waits import Waits
from hub.engine.woken import Woken
from hub.model.values import Scalar
from hub.rules.calendars import after
from hub.rules.held import SILENT, Held
from hub.rules.inputs import Memory, Present
from hub.rules.states import CompiledRule, Known, Move, Phase, RuleState, is_over, may_move, ripen, step
from hub.rules.timers import TimerClass, Timers


class Judge:
    """Evaluates the rules that something concerns, and steps their states."""

    def __init__(self, state: State, content: Content, timers: Timers, alarms: Alarms, output: Output) -> None:
        self._state = state
        self._content = content
        self._timers = timers
        self._alarms = alarms
        self._waits = Waits(alarms, timers)
        self.keyed = Keyed(state, content, timers)
        self.moments = Moments(state, alarms, output, self.keyed, self._judge)
        self._sieve = Sieve(state, alarms)
        self.standing = alarms.by_key
        """Keys of which some rule has a state: what comes of those is always judged."""

    # ------------------------------------------------------------------------------------------------------- entries

    def restore(self, entry: Memory | Seen) -> None:
        """Take what a checkpoint remembered of inputs or values."""
        if isinstance(entry, Memory):
            self._alarms.views.restore(entry)
        else:
            self.keyed.restore(entry)

    def restored(self, states: list[RuleState]) -> None:
        """Take the rule states of a checkpoint, when everything else of it is there, and wait for what comes due."""
        self.keyed.restored()
        for state in states:
            self._alarms.restore(state)
            device, rule = self._content.find(state.site, state.device), self._content.rules.get(state.rule)
            is_standing = state.phase in {Phase.PENDING, Phase.ACTIVE}  # else it spoke, or was kept for its shelf
            if device is not None and rule is not None and rule.absent_ns is not None and is_standing:
                device.is_silent = True
        clock, views = self._state.clock, self._alarms.views
        for subject in self._content.subjects():
            if isinstance(subject, Device):
                self.watch(subject)
                continue
            for rule in (one for one in subject.rules.of("") if one.minds_missing):
                self._wait_for_staleness(rule, subject, "", views.said(rule, subject, {}), clock.awake(clock.t))

    # ------------------------------------------------------------------------------------------------- what comes in

    def values(self, woken: Woken, part: Part, is_late: bool, moment_of: Callable[..., Moment]) -> None:  # noqa: FBT001 -- hot path: the moment is only made when something moves
        """Judge the rules that read values that came, on the twin as it now is."""
        rules, verdicts = self._sieve.left(woken, part, moment_of)
        if woken.about:
            moment_of = partial(moment_of, about=woken.about)
        for rule in rules:
            if rule.is_plain:
                self._look_at(rule, verdicts, part, is_late, moment_of)
            elif rule.is_of_places:
                self._look_at_places(rule, part, is_late, moment_of)
            else:
                self.look(rule, part.device, part.name, moment_of(is_late=is_late).aged(part))

    def _look_at_places(self, rule: CompiledRule, part: Part, is_late: bool, moment_of: Callable[..., Moment]) -> None:  # noqa: FBT001 -- hot path
        """Judge a rule of places at each in which the device of ``part`` stands and that may have a state of it."""
        name = rule.name
        for place in part.device.places:
            if name in place.resting and place.key not in self._alarms.by_rule.get(name, ()):
                continue
            mine = place.rules.by_name.get(name)
            if mine is not None:
                self.look(mine, place, "", moment_of(is_late=is_late).aged(part))

    def _look_at(
        self,
        rule: CompiledRule,
        verdicts: Mapping[str, bool | None],
        part: Part,
        is_late: bool,  # noqa: FBT001 -- hot path
        moment_of: Callable[..., Moment],
    ) -> None:
        """Judge a rule that looks at nothing but ``part``; among ``verdicts`` is what it comes to, if that is known."""
        name = rule.name
        if rule.minds_missing and rule.stale_ns:
            self._wait_for_staleness(rule, part.device, part.name, part)
        try:
            if name in verdicts:
                verdict = verdicts[name]
            else:
                verdict = None if rule.when is None else rule.when.verdict(part, part.device.state.heard_awake)
        except Exception as error:  # noqa: BLE001 -- a rule's bug costs one rule's step (engine.md, Engine)
            self._alarms.teller.rule_failed(rule, part.key, part.device, error, moment_of(is_late=is_late))
            return
        mine = self.standing.get(part.key)
        state = None if mine is None else mine.get(name)
        if not may_move(rule, state, verdict, is_late):
            return
        if state is not None:
            is_done = self._waits.end(rule, state, verdict)
        else:
            is_done = bool(verdict) and self._waits.begin(rule, part, moment_of(is_late=is_late))
        if not is_done:
            self._attempt(rule, part.device, part.name, verdict, moment_of(is_late=is_late).aged(part))

    def look(self, rule: CompiledRule, subject: Subject, part: str, moment: Moment) -> None:
        """Judge ``rule`` on what it sees of ``subject`` now."""
        key, awake = subject.key_of(part), self._state.clock.awake(moment.t)
        is_idle = self._alarms.states.of(rule.name, key) is None
        try:
            if is_idle and rule.needs and isinstance(subject, Place) and subject.lacks(rule):
                subject.rest(rule)  # nearly always: of two kinds that it speaks of only one stands there
                return
            held = self._alarms.views.of(rule, subject, part, Present(moment.t, moment.at, awake))
            if rule.minds_missing:
                self._wait_for_staleness(rule, subject, part, held, awake)
            if is_idle and not rule.minds_missing and rule.bare is not None and not rule.bare.verdict(held, awake):
                return  # nearly always: then it is not worth asking what else would keep it from being true
            verdict = None if rule.when is None else rule.when.verdict(held, awake)
        except Exception as error:  # noqa: BLE001 -- a rule's bug costs one rule's step (engine.md, Engine)
            self._alarms.teller.rule_failed(rule, key, subject, error, moment)
            return
        state = self._alarms.states.of(rule.name, key)
        if may_move(rule, state, verdict, moment.late) and not (state and self._waits.end(rule, state, verdict)):
            self._attempt(rule, subject, part, verdict, moment)

    def _attempt(self, rule: CompiledRule, subject: Subject, part: str, verdict: bool | None, moment: Moment) -> None:  # noqa: FBT001 -- three-valued
        key = subject.key_of(part)
        if self._alarms.states.is_no_vote(rule, key, moment.about):
            return
        self._alarms.attempt(rule, key, subject, moment, partial(self._judge, rule, subject, part, verdict, moment))

    def _judge(self, rule: CompiledRule, subject: Subject, part: str, verdict: bool | None, moment: Moment) -> None:  # noqa: FBT001 -- three-valued
        awake = self._state.clock.awake(moment.t)
        held = self._alarms.views.of(rule, subject, part, Present(moment.t, moment.at, awake))
        case = self._alarms.begin(rule, subject, part)
        state = case.state
        if state.phase in {Phase.IDLE, Phase.PENDING}:
            state.late = moment.late
        cleared = None if moment.is_beside(rule) else is_over(rule, state, held, awake)
        move = step(rule, state, Known(verdict, cleared, moment.happened), moment.t)
        if move is Move.CHANGED and state.phase is Phase.PENDING and rule.rule.counting is not None:
            state.due = moment.t + after(rule.rule.counting, moment.at, rule.for_ns, subject.row.zone) - moment.at
        self._alarms.move(case, move, moment, terms_of(rule, held) if move is Move.RAISE else {})
        self._alarms.look(case, held, moment)
        if verdict and not moment.late and state.phase is Phase.ACTIVE:
            self._alarms.pay(case, moment)

    def heard(self, device: Device, moment: Moment) -> None:
        """End the silence of a device that spoke."""
        self._silenced(device, moment, is_silent=False)
        for rule in device.rules.absent:
            case = self._alarms.find(rule.name, device.key)
            if case is not None:
                self._alarms.attempt(rule, device.key, device, moment, partial(self._spoke, case, moment))
        self.watch(device)

    def _spoke(self, case: Case, moment: Moment) -> None:
        self._alarms.keep(case.state)
        move = step(case.rule, case.state, Known(verdict=False, cleared=True), moment.t)
        self._alarms.move(case, move, moment, {})

    # ----------------------------------------------------------------------------------------------------------- time

    def watch(self, device: Device) -> None:
        """Wait for the silence of ``device``, and for what it said to become stale, under every rule that minds.

        Nobody misses a double.
        """
        for rule in () if device.is_double else device.rules.absent:
            if rule.absent_ns is not None:
                due = device.state.heard_awake + rule.absent_ns
                self._timers.look(TimerClass.AWAKE, due, rule.name, device.key)
        for part, held in device.state.by_part().items():
            for rule in (one for one in device.rules.of(part) if one.minds_missing):
                self._wait_for_staleness(rule, device, part, held)

    def unwatch(self, silent: Iterable[Device], moment: Moment) -> None:
        """Forget the silence of devices that only a rule which is no more had found."""
        for device in silent:
            mine = self._alarms.by_key.get(device.key, {})
            if not any(rule.name in mine for rule in device.rules.absent):
                self._silenced(device, moment, is_silent=False)

    def _wait_for_staleness(self, rule: CompiledRule, device: Subject, part: str, held: Held, after: int = -1) -> None:
        """Judge again at the first moment ``after`` which something is stale."""
        known = [(held.get(name), limit) for name, limit in rule.stale_ns.items()]
        ends = [stamped[2] + limit + 1 for stamped, limit in known if stamped is not None]
        ends = [end for end in ends if end > after]
        if ends:
            self._timers.set(TimerClass.AWAKE, min(ends), rule.name, device.key_of(part))

    def ripen(self, owner: str, key: str, moment: Moment) -> None:
        """Judge a ``for`` or ``clear`` whose time has come, on what is known by now."""
        case = self._alarms.find(owner, key)
        if case is not None:
            self._alarms.attempt(case.rule, key, case.device, moment, partial(self._ripen, case, moment))

    def _ripen(self, case: Case, moment: Moment) -> None:
        rule, state, device = case
        awake = self._state.clock.awake(moment.t)
        held = self._alarms.views.of(rule, device, state.part, Present(moment.t, moment.at, awake))
        self._alarms.keep(state)
        if rule.names and not state.votes:
            verdict = None if rule.when is None else rule.when.verdict(held, awake)
            cleared = is_over(rule, state, held, awake)
            if step(rule, state, Known(verdict, cleared), moment.t) is not Move.STAY:
                self._alarms.move(case, Move.CHANGED, moment, {})
                return
        if isinstance(device, Device) and self._alarms.views.is_excused(rule, device, state):
            state.due = None  # it may be so; until it is no longer
            return
        move = ripen(state)
        late = moment.judged(late=state.late) if move is Move.RAISE else moment
        self._alarms.move(case, move, late, terms_of(rule, held))
        self._alarms.look(case, held, late)

    def awake(self, owner: str, key: str, moment: Moment) -> None:
        """Judge what came due on the awake clock: a silence, or a value that has become stale."""
        found = self._find(owner, key)
        if found is None:
            return
        rule, subject, part = found
        if rule.absent_ns is None:
            self.look(rule, subject, part, moment)
        elif isinstance(subject, Device):
            self._silence(rule, subject, self._state.clock.awake(moment.t), moment)

    def window(self, owner: str, key: str, moment: Moment) -> None:
        """Judge anew what an input has changed by itself; nobody would ever look again at what is judged no more."""
        found = self._find(owner, key)
        if found is None:
            self._alarms.views.forget(owner, key)
            return
        rule, subject, part = found
        now = Present(moment.t, moment.at, self._state.clock.awake(moment.t))
        if isinstance(subject, Device) and rule.may_rest and self._alarms.views.waits_on(rule, subject, part, now):
            return
        self.look(rule, subject, part, moment)

    def _find(self, rule: str, key: str) -> Waiter | None:
        found = self._content.subject(key)
        mine = None if found is None else found[0].rules.by_name.get(rule)
        return None if found is None or mine is None else (mine, *found)

    def turn(self, turned: Sequence[Subject], moment: Moment) -> None:
        """Judge everything anew of those whose rules have come to something else; while blind that waits."""
        clock = self._state.clock
        is_blind = clock.blind_since is not None
        clock.has_turned |= is_blind and bool(turned)
        for subject in turned:
            if not is_blind:
                self.turned(subject, moment)
            elif isinstance(subject, Device):
                self.watch(subject)  # it may have been silent for long enough already

    def turned(self, subject: Subject, moment: Moment) -> None:
        """Judge everything anew of a subject whose rules have come to something else."""
        if isinstance(subject, Device):
            self.watch(subject)
        for part in list(subject.state.by_part()) if isinstance(subject, Device) else ("",):
            for rule in subject.rules.lasting(part):
                self.look(rule, subject, part, moment)

    def tried(self, place: Place, moment: Moment) -> None:
        """Judge a place anew: other devices are its witnesses now."""
        for rule in place.rules.lasting(""):
            self.look(rule, place, "", moment)

    def _silenced(self, device: Device, moment: Moment, *, is_silent: bool) -> None:
        """Note whether a device says nothing, and judge the places whose inputs ask for that."""
        device.is_silent = is_silent
        for place in device.places:
            for rule in place.rules.of(""):
                if SILENT in rule.reads:
                    self.look(rule, place, "", moment)

    def _silence(self, rule: CompiledRule, device: Device, awake: int, moment: Moment) -> None:
        due = device.state.heard_awake + (rule.absent_ns or 0)
        if due > min(awake, self._timers.fired):  # it spoke meanwhile; speaking sets no timer, that would cost 0.4 us
            self._timers.look(TimerClass.AWAKE, due, rule.name, device.key)
            return
        if rule.rule.counting is not None and rule.absent_ns is not None:
            since = moment.at - awake + device.state.heard_awake  # not heard_at: the wall clock may have been set
            counted = after(rule.rule.counting, since, rule.absent_ns, device.row.zone)
            if counted > moment.at:
                self._timers.set(TimerClass.AWAKE, awake + counted - moment.at, rule.name, device.key)
                return
        if not rule.is_open:
            return
        if not device.is_silent:  # after a start it is waited for again what is known
            self._silenced(device, moment, is_silent=True)
        silent: dict[str, Scalar] = {"silent_s": (awake - device.state.heard_awake) // 1_000_000_000}
        self._alarms.attempt(rule, device.key, device, moment, partial(self._fell_silent, rule, device, silent, moment))

    def _fell_silent(self, rule: CompiledRule, device: Device, silent: Mapping[str, Scalar], moment: Moment) -> None:
        case = self._alarms.begin(rule, device, "")
        if case.state.phase is Phase.IDLE:
            case.state.phase = Phase.ACTIVE
            self._alarms.move(case, Move.RAISE, moment, silent)
