"""One process of the hub in the model: its own pipeline, outboxes and sinks, opened as the app opens them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from functools import partial
from typing import cast

from typing_extensions import override

from hub.bridge.uplink import Inbox
from hub.engine.apply import Engine
from hub.engine.state import State
from hub.errors import UnavailableError
from hub.failpoints import NEVER
from hub.journal.journal import Journal
from hub.journal.neighbours import check_fit
from hub.journal.outbox import STREAMS, TIMESERIES, Outbox
from hub.journal.state_file import Saved, StateFile
from hub.model.effects import AlarmState, Effects, LineWork, StreamWork, Transmission
from hub.model.records import Body, Outcome, OutcomeKind, Record, Started
from hub.pipeline import Applying, Hearing, Limits
from hub.revisions.revision import restored, revise
from hub.sinks.fence import Fence
from hub.sinks.ownership import Claim, Ownership
from hub.sinks.redis_link import Link
from hub.sinks.stream_sink import StreamSink
from hub.sinks.timeseries.writer import SeriesWriter
from tests.engine.desk import JOURNAL, SESSIONS
from tests.model.broker import Broker, ModelSession
from tests.model.disk import PARTITION, Disk
from tests.model.fake_redis import Redis
from tests.model.north import AlwaysSafe, Lines, ModelLink, ModelStore
from tests.model.reference import encode, engine
from tests.model.still import Doors, StillClock
from tests.model.town import everything

CHECKPOINT_MESSAGES = 6
ENCODED_BYTES_PER_TURN = 300
"""So little that a checkpoint of this small state goes on over many records."""
MEMORY_BYTES = 3_000
"""So little that outboxes move to the disk."""
DOWNLINK_LIMIT = 8


class Surroundings:
    """What outlives a process: the disk, the broker, Redis, the store, the clocks."""

    def __init__(self, clock: StillClock, refused: bytes) -> None:
        self.clock = clock
        self.disk = Disk()
        self.broker = Broker(clock)
        self.redis = Redis()
        self.lines = Lines(refused)


class Process:
    """``applied`` is called with every record and the encoded effects that came of it in this process."""

    def __init__(self, around: Surroundings, applied: Callable[[Record, bytes], None]) -> None:
        self.doors = Doors()
        self.inbox = Inbox()
        self.sessions: dict[str, ModelSession] = {}
        self.owed: deque[Transmission] = deque()
        self.is_up = False
        self.read_to = 0
        self._around = around
        self._applied = applied
        self._stop = asyncio.Event()

    async def live(self) -> None:
        """Open, work until stopped, finish what was heard."""
        async with AsyncExitStack() as stack:
            await self._open(stack)
            await self._work()

    # ------------------------------------------------------------------------------------- as hub/app.py opens and runs

    async def _open(self, stack: AsyncExitStack) -> None:
        around, doors = self._around, self.doors
        self.journal: Journal = await stack.enter_async_context(around.disk.journal(doors))
        state_file = around.disk.state_file(doors)
        self.state_file: StateFile = await stack.enter_async_context(state_file)
        saved = await state_file.load()
        check_fit(saved, self.journal, self.journal._file.path.parent)  # noqa: SLF001 -- as `opened` does
        await self.journal.count_untrimmed(saved.position)
        self.engine, _ = restored(self._begin, saved.entries, everything())
        self.streams_box = Outbox(STREAMS, state_file, StreamWork, cursor=saved.cursors.get("streams", 0))
        self.timeseries_box = Outbox(TIMESERIES, state_file, LineWork, cursor=saved.cursors.get("timeseries", 0))
        for box in (self.streams_box, self.timeseries_box):
            await box.open(saved.tallies.get(box.sink, {}))
            box.spill = partial(box.spill, MEMORY_BYTES)  # type: ignore[method-assign] # a smaller memory
        limits = Limits(
            checkpoint_messages=CHECKPOINT_MESSAGES, checkpoint_every=timedelta(seconds=30), retention=timedelta(0),
            retention_bytes=0, failpoints=NEVER,
        )  # fmt: skip
        self.applying = Applying(
            self.engine, state_file, self.streams_box, self.timeseries_box, self._offer, around.clock, limits
        )
        async for record in self.journal.read(self.engine.state.clock.position):
            await self.applying.checkpoints.bury_at(record.body)
            self.applying.deliver(self.engine.apply(record), is_recovery=True)
            await self.applying.spill()
        self._open_north(saved)
        with suppress(UnavailableError):
            await self.ownership.hold()
        first = self.engine.state.clock.last_connection + 1
        for name in SESSIONS:
            session = ModelSession(name, self.inbox.put, around.broker, around.clock, first)
            self.sessions[name] = session
            self.inbox.attach(session)
        self.hearing = Hearing(self.inbox, self.journal, state_file, list(self.sessions.values()), around.clock, limits)
        self.read_to = int(self.engine.state.clock.last_entry.partition("-")[0])
        self.note(Started("model", list(SESSIONS)))
        self.revise(everything() if not self.engine.content.bodies() else self.engine.content.bodies())

    def _begin(self) -> Engine:
        made = engine(_Watched)
        made.applied = self._applied
        made.state.__class__ = _EagerState
        return made

    def _open_north(self, saved: Saved) -> None:
        around = self._around
        claim = Claim(
            partition=PARTITION, journal=JOURNAL, host="model", epoch_hint=saved.epoch, journal_end=self.journal.last
        )
        self.ownership = Ownership(self._link(), around.clock, claim)
        self.ownership.server = AlwaysSafe()  # type: ignore[assignment] # a server without settings
        fence = Fence(
            self._link(), self.ownership, confirmed=self.streams_box.cursor, on_tail_lost=lambda _expected, _found: None
        )
        self.sink = StreamSink(self.streams_box, fence, around.clock, partition=PARTITION, alarms=self._alarms)
        store = ModelStore(around.lines, self.doors)
        self.writer = SeriesWriter(self.timeseries_box, store, around.clock, self.ownership.wake, jitter=lambda: 0.5)

    def _link(self) -> Link:
        return cast("Link", ModelLink(self._around.redis, self.doors))

    def _alarms(self) -> Mapping[str, Sequence[AlarmState]]:
        by_site: dict[str, list[AlarmState]] = {site: [] for site in self.engine.content.sites()}
        for alarm in self.engine.alarms():
            by_site.setdefault(alarm.site, []).append(alarm)
        return by_site

    async def _work(self) -> None:
        async with asyncio.TaskGroup() as group:
            hearing = group.create_task(self.hearing.run(), name="hear")
            judging = group.create_task(self.applying.run(self.hearing), name="apply")
            north = [
                group.create_task(self.sink.run(), name="streams"),
                group.create_task(self.writer.run(), name="timeseries"),
            ]
            self.is_up = True
            await self._stop.wait()
            self.applying.checkpoints.is_stopping = True
            hearing.cancel()
            await asyncio.wait([hearing])
            await self.hearing.heard.put([])
            await judging
            for task in north:
                task.cancel()

    # ---------------------------------------------------------------------------------------------- what is asked of it

    def note(self, note: Body) -> None:
        """Put something into the journal."""
        self.inbox.put_note(note)

    def revise(self, wanted: Mapping[str, bytes]) -> None:
        """Move to other documents."""
        note = revise(self.engine.content.bodies(), wanted, "model")
        if note is not None:
            self.inbox.put_note(note)

    def stop(self) -> None:
        """Ask for a good end: what was read is heard out first."""
        self.is_up = False
        self._stop.set()

    @property
    def is_idle(self) -> bool:
        """Whether nothing that was read waits for the journal."""
        return not self.inbox.waiting_messages and self.hearing.is_idle

    # ----------------------------------------------------------------------------------------------------- commands out

    def _offer(self, transmission: Transmission) -> bool:
        if len(self.owed) >= DOWNLINK_LIMIT:
            self.note(Outcome(transmission.command, OutcomeKind.FAILED, "queue_full"))
            return False
        self.owed.append(transmission)
        return True


class _EagerState(State):
    """A state whose checkpoints begin after a few messages, whatever changed, and go on over many records."""

    @property
    @override
    def worth_messages(self) -> int:
        return 0

    @override
    def encode_some(self, size: int = ENCODED_BYTES_PER_TURN) -> bool:
        return super().encode_some(size)


class _Watched(Engine):
    """The hub's engine, and somebody who looks at what comes of each record."""

    applied: Callable[[Record, bytes], None]

    @override
    def apply(self, record: Record) -> Effects:
        effects = super().apply(record)
        self.applied(record, encode(effects))
        return effects
