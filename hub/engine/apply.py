"""The engine: apply(record) -> effects, pure and total; the same journal gives the same effects, byte for byte."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterable, Iterator

from hub.commands.desired import Desired
from hub.commands.life import Command, Lease, Standing
from hub.engine.answers import Answers
from hub.engine.change import at_once
from hub.engine.core import CLOCK_STEP_NS, Core
from hub.engine.known import DeviceState
from hub.engine.ledger import Ledger
from hub.engine.meters import Meters
from hub.engine.moment import Moment
from hub.engine.rows import Document
from hub.engine.state import (
    Asked,
    Clock,
    Exercise,
    Seen,
    SessionState,
    Single,
    Waiting,
    Wanted,
    decode_entries,
)
from hub.engine.telling import alarm_of
from hub.engine.unsettled import Unsettled
from hub.model.effects import AlarmState, Effects, Twin
from hub.model.records import (
    Batch,
    Control,
    Outcome,
    Record,
    Revision,
    SessionCaughtUp,
    SessionConnected,
    SessionLost,
    Started,
    Tick,
)
from hub.model.values import Severity
from hub.rules.inputs import Memory
from hub.rules.states import RuleState
from hub.rules.timers import ON_AWAKE_CLOCK, TimerClass

Message = Batch | Tick | Control | Outcome | Started | SessionConnected | SessionLost | SessionCaughtUp
"""What a record may hold, but for a revision."""


class Engine(Core):
    """State and the arms of ``apply``. Order: timers that are due, then the record; rules by name.

    With ``writing`` the effects hold lines instead of points. ``compiled`` makes the rules: to watch them at work.
    """

    def apply(self, record: Record) -> Effects:
        """Take ``record`` and return what it wants done. Records come in journal order, each once."""
        return at_once(self.portions(record))

    def portions(self, record: Record) -> Generator[None, None, Effects]:
        """Do the same a little at a time: of a revision that concerns many devices, with a pause every few ms.

        Until it is done no other record may come, and no checkpoint begin; whoever looks meanwhile finds of each thing
        what was or what will be.
        """
        effects = self._output.begin(record.position)
        clock = self.state.clock
        moment = Moment(record.t, record.received_at, late=False, cause=(record.position, 0))
        if isinstance(record.body, Started | SessionLost | SessionConnected):
            self._go_blind()  # first: what came due between the last record and now is judged when all has been read
            clock.began = record.body.began if isinstance(record.body, Started) else clock.began
        self._time(record, moment)
        turns_at, is_back = self.content.changes_at, clock.received_at - record.received_at > CLOCK_STEP_NS
        if is_back or (turns_at is not None and turns_at <= record.received_at):
            yield from self._turn(record.received_at, moment, is_back=is_back)
        if isinstance(record.body, Revision):
            yield from self._revise(record, record.body, moment)
        else:
            self._take(record, record.body, moment)
        self._settle_modes(moment)
        clock.position, clock.t = record.position, record.t + len(record.messages)
        clock.received_at = record.received_at + len(record.messages)
        self._hands.look(moment)
        self._desires.look_at_commands(moment)
        return effects

    def _take(self, record: Record, body: Message, moment: Moment) -> None:
        match body:
            case Batch():
                self._ear.batch(record, body)
            case Tick():
                self._ear.tick(moment)
            case Control():
                self._orders.control(body, moment)
            case Outcome():
                self._hands.outcome(body, moment)
            case Started() | SessionConnected() | SessionLost() | SessionCaughtUp():
                self._live(body, moment)

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
        session.reheard, session.reheard_from, session.brings_new = {}, 0, False
        if not connected.session_present:
            self._ear.redelivery.forget(connected.session)
            clock.unsure_until = clock.awake(moment.t)
            if session.has_connected:  # what the broker had queued for it is gone
                self._output.report("device.broker_session_lost", Severity.HIGH, {"session": connected.session}, moment)
                self._ear.forget_availability(connected.session)
        session.has_connected = True

    def _caught_up(self, caught_up: SessionCaughtUp, moment: Moment) -> None:
        clock, session = self.state.clock, self._session(caught_up.session)
        if session.connection != caught_up.connection or session.caught_up:
            return
        session.caught_up = True
        self._ear.redelivery.caught_up(caught_up.session, caught_up.connection)
        if clock.blind_since is None or not all(one.caught_up for one in clock.sessions.values()):
            return
        blind_since = clock.blind_since
        clock.see(moment.t)
        self._settle_modes(moment, has_moved=True)
        self._ripen_judged(moment)
        for subject in self.content.subjects() if clock.has_turned else ():
            self._judge.turned(subject, moment)
        clock.has_turned = False
        self._pay_all(blind_since, moment)

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

    def alarms(self) -> Iterator[AlarmState]:
        """Yield every active alarm, in the order (rule, key), and the tests and drills that run."""
        yield from (alarm_of(*case) for case in self._alarms.alarming())
        yield from self.modes.shown()

    def take_changed_twins(self, most: int = sys.maxsize) -> tuple[Iterator[Twin], list[tuple[str, str]]]:
        """Return ``most`` of the twins that changed and nobody has taken, and the (site, name) of those gone.

        Each is made when it is its turn, those first that changed first.
        """
        removed, self._removed_twins = self._removed_twins, []
        return self._desires.changed_twins(self._ear.take_changed(most)), removed

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
        self._ear.quotas.restored()

    def _restore_entry(
        self,
        key: str,
        entry: Single | Document | Asked | Unsettled | Waiting | Memory | Seen,
    ) -> None:
        match entry:
            case Clock() | Ledger() | Answers() | Meters():
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
