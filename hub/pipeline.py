"""The pipeline: hear -> journal -> ack, then apply -> deliver; each step's output is the next one's input."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

import structlog

from hub.bridge.uplink import Inbox
from hub.checkpoints import DISK_RETRY_SECONDS, Checkpoints
from hub.clock import Clock, in_turns
from hub.durations import nanoseconds
from hub.engine.apply import Engine
from hub.engine.change import is_wide
from hub.errors import HubError, UnavailableError
from hub.failpoints import Failpoints, Place
from hub.journal.journal import Journal
from hub.journal.journal_time import JournalTime
from hub.journal.outbox import Outbox
from hub.journal.records import letters_of
from hub.journal.state_file import StateFile
from hub.model.effects import Effects, LineWork, StreamWork, Transmission
from hub.model.heard import CaughtUp, Connected, Delivery, Heard, Lost, Packets, UplinkSession
from hub.model.records import (
    Batch,
    Body,
    Control,
    NewRevision,
    Record,
    Revision,
    SessionCaughtUp,
    SessionConnected,
    SessionLost,
)
from hub.sinks.timeseries.lines import event_line

APPLY_AHEAD = 4
"""Takes that may be journaled and not yet applied: the next fsync runs while the last take is judged."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When to checkpoint and what the journal keeps."""

    checkpoint_messages: int
    checkpoint_every: timedelta
    retention: timedelta
    retention_bytes: int
    failpoints: Failpoints


class Waiting(Protocol):
    """How much undelivered work lies on the disk beside the journal."""

    @property
    def outbox_bytes(self) -> int: ...


class Hearing:
    """hear -> journal -> ack. While the journal takes no messages they wait with the broker; notes still go in."""

    def __init__(  # noqa: PLR0913, PLR0917 -- the screen on which inbox, journal and sessions meet
        self,
        inbox: Inbox,
        journal: Journal,
        waiting: Waiting,
        sessions: Sequence[UplinkSession],
        clock: Clock,
        limits: Limits,
    ) -> None:
        self._inbox = inbox
        self._journal = journal
        self._waiting = waiting
        self._sessions = {session.name: session for session in sessions}
        self._clock = clock
        self._limits = limits
        self._time = JournalTime(clock, journal.last_t, journal.last_received_at)
        self.heard: asyncio.Queue[list[Record]] = asyncio.Queue(APPLY_AHEAD)
        self.trim_to = 0
        self.held_up_by = ""
        self.attempts = 0
        self.is_idle = True
        self.acknowledged = dict.fromkeys(self._sessions, 0)

    async def run(self) -> None:
        """Until cancelled: what waits becomes records, fsynced together, then acked, then handed to the engine."""
        while True:
            taken = await self._inbox.take()
            self.is_idle = False
            self._limits.failpoints.reach(Place.TAKEN)
            notes = taken.notes
            while not await self._hear(notes, taken.deliveries):
                # What is small has a reserve; reading pauses by itself, and the broker queues.
                if taken.deliveries and notes and await self._hear(notes, []):
                    notes = []
                await self._clock.sleep(DISK_RETRY_SECONDS)
                notes = self._inbox.take_notes_behind(notes)
            self.held_up_by = ""
            self.is_idle = True

    async def _hear(self, notes: Sequence[object], deliveries: Sequence[Delivery]) -> bool:
        """Journal, acknowledge and hand on; False, and nothing done, when the journal cannot take it now."""
        self.attempts += 1
        records = self._records(notes, deliveries)
        oldest = records[-1].t - nanoseconds(self._limits.retention) if records else 0
        try:
            await self._journal.append(
                records,
                trim_to=self.trim_to,
                limits=(oldest, self._limits.retention_bytes),
                outbox_bytes=self._waiting.outbox_bytes,
            )
        except UnavailableError as error:
            if not self.held_up_by:
                log.error("journal_held_up", reason=str(error))  # noqa: TRY400 -- its traceback says nothing more
            self.held_up_by = str(error)
            return False
        self._limits.failpoints.reach(Place.JOURNALED)
        for delivery in deliveries:
            if self._sessions[delivery.session].acknowledge(delivery) and isinstance(delivery.body, Packets):
                self.acknowledged[delivery.session] += len(delivery.body.messages)
        self._limits.failpoints.reach(Place.ACKNOWLEDGED)
        await self.heard.put(records)
        return True

    def _records(self, notes: Sequence[object], deliveries: Sequence[Delivery]) -> list[Record]:
        position = self._journal.last
        records: list[Record] = []
        for note in notes:
            body, bodies = (note.revision, note.bodies) if isinstance(note, NewRevision) else (note, {})
            position += 1
            named = letters_of(body)
            records.append(self._record(position, body, named, bodies))  # type: ignore[arg-type] # notes are bodies
        for delivery in deliveries:
            position += 1
            messages: Sequence[Heard] = delivery.body.messages if isinstance(delivery.body, Packets) else ()
            records.append(self._record(position, _body_of(delivery), messages, {}))
        return records

    def _record(self, position: int, body: Body, messages: Sequence[Heard], bodies: Mapping[str, bytes]) -> Record:
        t, received_at = self._time.stamp(len(messages))
        return Record(position, t, received_at, body, messages, bodies)


def _body_of(delivery: Delivery) -> Body:
    session, connection = delivery.session, delivery.connection
    match delivery.body:
        case Packets(raw=raw, settled=settled, session_present=present):
            return Batch(session, connection, present, settled, raw)
        case Connected(session_present=present):
            return SessionConnected(session, connection, present)
        case Lost(reason=reason):
            return SessionLost(session, connection, reason)
        case CaughtUp():
            return SessionCaughtUp(session, connection)


class Applying:
    """apply -> deliver, and a checkpoint now and then, a little at a time."""

    def __init__(  # noqa: PLR0913, PLR0917 -- the screen on which engine, state and sinks meet
        self,
        engine: Engine,
        state_file: StateFile,
        streams: Outbox[StreamWork],
        timeseries: Outbox[LineWork],
        offer: Callable[[Transmission], bool],
        clock: Clock,
        limits: Limits,
    ) -> None:
        self._engine = engine
        self._streams = streams
        self._timeseries = timeseries
        self._offer = offer
        self._clock = clock
        self._failpoints = limits.failpoints
        self.checkpoints = Checkpoints(engine.state, state_file, streams, timeseries, clock, limits)
        self.steps = 0
        self.directories: dict[str, bytes] = {}
        self._revising = asyncio.Lock()
        self._news, self.is_revised = asyncio.Event(), asyncio.Event()
        self.is_revised.set()  # whoever notes a revision clears it until that is applied: one at a time is on its way

    async def run(self, hearing: Hearing) -> None:
        """Judge what was heard, hand out its effects, one turn of the loop between records; an empty list ends it.

        Ended unasked: HubError ``judging_ended``.
        """
        async with asyncio.TaskGroup() as beside:
            try:
                await self._judge(hearing, beside)
                await self.checkpoints.make()
            except UnavailableError as error:  # a full disk keeps nobody from stopping; the journal holds what is left
                log.warning("checkpoint_given_up", reason=str(error))
                while not hearing.heard.empty():
                    hearing.heard.get_nowait()
        if not self.checkpoints.is_stopping:
            raise HubError("judging_ended", "nobody had stopped the hub; the journal is whole, and a restart judges it")

    async def _judge(self, hearing: Hearing, beside: asyncio.TaskGroup) -> None:
        while records := await hearing.heard.get():
            for record in records:
                if isinstance(record.body, Revision) and is_wide(record.body):
                    await self.checkpoints.make()
                await self.checkpoints.bury_at(record.body)
                self.deliver(await in_turns(self._engine.portions(record), self._clock, self._step))
                if isinstance(record.body, Revision):
                    self.is_revised.set()
                self._failpoints.reach(Place.APPLIED)
                if record is not records[-1] or not hearing.heard.empty():  # else waiting for more is a turn already
                    await self._clock.sleep(0)
                await self.checkpoints.go_on(len(record.messages), beside)
            hearing.trim_to = self.checkpoints.position
            await self.spill()

    def _step(self) -> None:
        self.steps += 1

    async def until_news(self, *, within: float) -> None:
        """Return when a device that nobody knows spoke, or a directory came, or after so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._news.wait()
        self._news.clear()

    @asynccontextmanager
    async def revising(self) -> AsyncIterator[None]:
        """One after the other, while no revision waits to be judged: its work would be seen as if it were not done."""
        async with self._revising:
            await self.is_revised.wait()
            yield

    async def name(self, control: Control) -> Control:
        """Put dead letters into a request to take some again; what a revision takes by itself is none any more."""
        async with self.revising():
            return await self.checkpoints.letters.name(control)

    def take_directories(self) -> dict[str, bytes]:
        """Return what sources said of their devices since the last call."""
        taken, self.directories = self.directories, {}
        return taken

    async def spill(self) -> None:
        """Move what memory may not hold to disk."""
        await self._streams.spill()
        await self._timeseries.spill()

    def deliver(self, effects: Effects, *, is_recovery: bool = False) -> None:
        """Hand ``effects`` to their sinks; commands leave only when they are new."""
        if effects.transmissions and not is_recovery:
            for transmission in sorted(effects.transmissions, key=lambda one: not one.reflex):
                self._offer(transmission)
        if effects.directories or any(letter.code == "unknown_device" for letter in effects.dead_letters):
            self.directories |= effects.directories
            self._news.set()
        if effects.lines or effects.events:
            lines = b"\n".join([*effects.lines, *map(event_line, effects.events)])
            work = LineWork([lines], len(effects.lines), len(effects.events))
            self._timeseries.add(effects.position, work, work.points + work.events, len(lines))
        if effects.events or effects.alarms or effects.replies or effects.dead_letters:
            work_items = len(effects.events) + len(effects.alarms) + len(effects.replies) + len(effects.dead_letters)
            announced = [letter.announced for letter in effects.dead_letters]
            streams = StreamWork(effects.events, effects.alarms, effects.replies, announced)
            self._streams.add(effects.position, streams, work_items, 600 * work_items)
        self.checkpoints.letters.add(effects)
