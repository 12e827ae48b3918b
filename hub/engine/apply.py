"""The engine: apply(record) -> effects, pure and total; the same journal gives the same effects, byte for byte."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from hub.commands.desired import Desired
from hub.commands.life import Command, Lease, Standing
from hub.engine.acting import Hands
from hub.engine.alarms import Alarms
from hub.engine.areas import Areas
from hub.engine.content import Content
from hub.engine.desires import Desires
from hub.engine.doubles import Doubles
from hub.engine.encoding import TopicNames
from hub.engine.hearing import Ear
from hub.engine.judging import Judge
from hub.engine.known import DeviceState
from hub.engine.ledger import Ledger
from hub.engine.moment import Moment, Output
from hub.engine.orders import Orders
from hub.engine.redelivery import Decode, Redelivery
from hub.engine.rows import Document
from hub.engine.state import Answers, Asked, Clock, Exercise, Seen, SessionState, State, Waiting, Wanted, decode_entries
from hub.engine.telling import alarm_of
from hub.engine.unsettled import Unsettled
from hub.model import (
    Address,
    AlarmState,
    Batch,
    Control,
    Effects,
    Outcome,
    Record,
    Revision,
    SessionCaughtUp,
    SessionConnected,
    SessionLost,
    Severity,
    Started,
    Tick,
    Twin,
    Writing,
)
from hub.rules.inputs import Memory
from hub.rules.states import CompiledRule, RuleState
from hub.rules.timers import ON_AWAKE_CLOCK, TimerClass, Timers

CLOCK_STEP_NS = 5_000_000_000


class Topics(TopicNames, Protocol):
    """The topic grammar, handed in so that the engine needs no bridge."""

    def parse(self, topic: str, /) -> Address | None: ...


class Engine:
    """State and the arms of ``apply``. Order: timers that are due, then the record; rules by name.

    With ``writing`` the effects hold lines instead of points. ``compiled`` makes the rules: to watch them at work.
    """

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
        self._ear = Ear(self.state, self.content, self._judge, self._hands, self._output, topics.parse, known)
        self.modes, self.rule_states = self._alarms.modes, self._alarms.states
        self._doubles = Doubles(self.state, self.content, self._alarms, self._ear)
        self._removed_twins: list[tuple[str, str]] = []
        self._areas = Areas(self.state, self.content, self._timers, self._output)
        self._desires = Desires(self.state, self.content, self._timers, self._hands, self._output)
        self._orders = Orders(self.state, self._areas, self._alarms, self._hands, self._desires, self._output)

    def apply(self, record: Record) -> Effects:
        """Take ``record`` and return what it wants done. Records come in journal order, each once."""
        effects = self._output.begin(record.position)
        clock = self.state.clock
        moment = Moment(record.t, record.received_at, late=False, cause=(record.position, 0))
        body = record.body
        if isinstance(body, Started | SessionLost | SessionConnected):
            self._go_blind()  # first: what came due between the last record and now is judged when all has been read
        self._time(record, moment)
        match body:
            case Batch():
                self._ear.batch(record, body)
            case Tick():
                self._ear.waiting.let_go(record.t)
            case Revision():
                self._revise(record, body, moment)
            case Control():
                self._orders.control(body, moment)
            case Outcome():
                self._hands.outcome(body, moment)
            case Started() | SessionConnected() | SessionLost() | SessionCaughtUp():
                self._live(body, moment)
        self._settle_modes(moment)
        clock.position, clock.t = record.position, record.t + len(record.messages)
        clock.received_at = record.received_at + len(record.messages)
        self._hands.look(moment)
        self._desires.look_at_commands(moment)
        return effects

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
        self._judge.turn(self.content.turn(record.received_at), moment)  # also while blind: windows open and close

    def _ripen_running(self, moment: Moment) -> None:
        """Do what does not wait while the hub is blind."""
        for _, owner, key in self._timers.due(TimerClass.MODE, moment.t):
            self.modes.ripen(owner, key, moment)
        self._settle_modes(moment)
        for _, owner, key in self._timers.due(TimerClass.RUNNING, moment.t):
            self._areas.ripen(owner, key, moment)
            self._desires.ripen(owner, key, moment)
            for lapsed in self._hands.ripen(owner, key, moment):
                self._alarms.owe(lapsed.rule, lapsed.key)
        for _, owner, key in self._timers.due(TimerClass.ALARM, moment.t):
            self._alarms.ripen(owner, key, moment)

    def _settle_modes(self, moment: Moment, *, has_moved: bool = False) -> None:
        """Judge what a test or drill that began or ended changes; while blind that waits."""
        if self.state.clock.blind_since is not None:
            return
        changed = self.modes.take_unjudged()
        if changed or has_moved:
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

    # -------------------------------------------------------------------------------------------------- life, sessions

    def _live(self, body: Started | SessionConnected | SessionLost | SessionCaughtUp, moment: Moment) -> None:
        match body:
            case Started():
                self._started(body, moment)
            case SessionConnected():
                self._connected(body, moment)
            case SessionLost():
                session = self._session(body.session)
                session.connected = session.caught_up = False
            case SessionCaughtUp():
                self._caught_up(body, moment)

    def _started(self, started: Started, moment: Moment) -> None:
        known = self.state.clock.sessions
        self.state.clock.sessions = {
            name: SessionState(has_connected=name in known and known[name].has_connected)
            for name in sorted(started.sessions)
        }
        self._hands.settle(moment)

    def _go_blind(self) -> None:
        if self.state.clock.blind_since is None:
            self.state.clock.blind_since = self.state.clock.t

    def _session(self, name: str) -> SessionState:
        return self.state.clock.sessions.setdefault(name, SessionState())

    def _connected(self, connected: SessionConnected, moment: Moment) -> None:
        session, clock = self._session(connected.session), self.state.clock
        clock.last_connection = max(clock.last_connection, connected.connection)
        session.connection, session.connected, session.caught_up = connected.connection, True, False
        if not connected.session_present:
            self._ear.redelivery.forget(connected.session)
            clock.unsure_until = clock.awake(moment.t)
            if session.has_connected:  # what the broker had queued for it is gone
                self._output.report("device.broker_session_lost", Severity.HIGH, {"session": connected.session}, moment)
        session.has_connected = True

    def _caught_up(self, caught_up: SessionCaughtUp, moment: Moment) -> None:
        clock, session = self.state.clock, self._session(caught_up.session)
        if session.connection != caught_up.connection or session.caught_up:
            return
        session.caught_up = True
        self._ear.redelivery.caught_up(caught_up.session, caught_up.connection)
        if clock.blind_since is None or not all(one.caught_up for one in clock.sessions.values()):
            return
        clock.see(moment.t)
        self._settle_modes(moment, has_moved=True)
        self._ripen_judged(moment)
        for subject in self.content.subjects() if clock.has_turned else ():
            self._judge.turned(subject, moment)
        clock.has_turned = False
        self._judge.caught_up(moment)

    def _revise(self, record: Record, revision: Revision, moment: Moment) -> None:
        awake = self.state.clock.awake(moment.t)
        change = self.content.revise(revision, record.bodies, self.state, awake)
        for site, rule in change.over(self._alarms.states, self._alarms.views.remembered()):
            self._alarms.forget(rule, moment, at=site, why="scene switched off" if site else "rule removed")
        self._doubles.forget(change, moment)
        for device in (one for one in change.removed_devices if not one.is_double):
            self._alarms.forget("", moment, at=device.key, why="device removed")
            self._hands.release_device(device, moment)
            self._removed_twins += self._desires.forget(device, moment)
        for place in change.removed_places:
            self._alarms.forget("", moment, at=place.key, why="place removed")
        for device in self.content.devices() if change.removed_rules or change.switched_off else ():
            self._judge.unwatch(device, moment)
        self.content.settle(change, self.state)
        self.modes.forget_places()
        self._settle_modes(moment, has_moved=True)
        self._ear.forget_routes()
        concerned = list(self.content.devices()) if change.has_new_rules else change.new_devices
        for device in concerned:
            self._judge.watch(device)
        self._alarms.revised(moment)
        self._hands.revised()
        self._judge.keyed.prune()
        self._judge.turn(change.turned, moment)
        for device in concerned:  # a directory may have said what one is that could not be understood
            self._ear.replay_waiting(device, record)

    # ---------------------------------------------------------------------------------------------------------- views

    @property
    def is_blind(self) -> bool:
        """True while not everything that was queued has been read."""
        return self.state.clock.blind_since is not None

    @property
    def next_due(self) -> int | None:
        """Return the engine time at which the next timer fires, if nothing comes before."""
        clock, change = self.state.clock, self.content.changes_at
        found = ((kind, self._timers.next_due(kind)) for kind in TimerClass)
        dues = [due + clock.blind_total * (kind in ON_AWAKE_CLOCK) for kind, due in found if due is not None]
        dues += [] if change is None else [change - clock.received_at + clock.t]
        return min(dues, default=None)

    @property
    def has_leases(self) -> bool:
        """True while a hold is open: ticks come every 100 ms."""
        return any(lease.standing is Standing.HOLDS for lease in self._hands.leases.values())

    @property
    def open_commands(self) -> int:
        """Return how many commands wait for their end."""
        return len(self._hands.commands)

    def alarms(self) -> Iterator[AlarmState]:
        """Yield every active alarm, in the order (rule, key), and the tests and drills that run."""
        yield from (alarm_of(*case) for case in self._alarms.alarming())
        yield from self.modes.shown()

    def take_changed_twins(self) -> tuple[Iterator[Twin], list[tuple[str, str]]]:
        """Return the twins that changed since the last call, made one by one, and the (site, name) of those gone."""
        removed, self._removed_twins = self._removed_twins, []
        return self._desires.changed_twins(self._ear.take_changed()), removed

    def twins_of(self, site: str) -> list[Twin]:
        real = (device for device in self.content.devices_of(site) if not device.is_double)
        return [twin for device in real for twin in self._desires.twins_of(device)]

    # ----------------------------------------------------------------------------------------------------- checkpoints

    def restore(self, rows: Iterable[tuple[str, bytes]]) -> None:
        """Take a checkpoint; raises CorruptError for an entry that cannot be read. Call once, before any record."""
        devices: dict[str, DeviceState] = {}
        later: list[RuleState] = []
        for key, entry in decode_entries(rows):
            if isinstance(entry, DeviceState):
                devices[key] = entry
            elif isinstance(entry, RuleState):
                later.append(entry)
            else:
                self._restore_entry(key, entry)
        self.content.restore(devices, self.state)
        self._judge.restored(later)
        self._ear.redelivery.restored()

    def _restore_entry(
        self, key: str, entry: Clock | Ledger | Answers | Document | Asked | Unsettled | Waiting | Memory | Seen
    ) -> None:
        match entry:
            case Clock() | Ledger() | Answers():
                self.state.restore(entry)
            case Document():
                self.content.documents[key.partition("/")[2]] = entry
            case Memory() | Seen():
                self._judge.restore(entry)
            case Waiting():
                self._ear.waiting.restore(key, entry)
            case Unsettled():
                self._ear.redelivery.restore(key, entry)
            case Command() | Lease() | Exercise() | Wanted() | Desired():
                self._orders.restore(entry)
