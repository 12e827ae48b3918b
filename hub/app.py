"""The wiring: what is opened in which order, one TaskGroup, and the way down."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext
from functools import partial
from typing import Self, TypeVar

import structlog

from hub import __version__, parts
from hub.auditing import Auditing, Whose
from hub.beginning import Beginning, Step
from hub.bridge.frames import decode_packets
from hub.bridge.uplink import Inbox
from hub.clock import Clock, in_turns, stroke, until
from hub.config.settings import Settings
from hub.epochs import Epochs
from hub.errors import ConfigError, StoppedError, UnavailableError
from hub.failpoints import Failpoints
from hub.journal.files import Lock
from hub.journal.neighbours import opened
from hub.journal.outbox import STREAMS, TIMESERIES, Outbox, Places
from hub.journal.state_file import Saved
from hub.keeping import Keeping
from hub.listening import Listening
from hub.model.effects import LineWork, StreamWork, Transmission
from hub.model.records import Body, Started, Tick
from hub.pipeline import Applying, Hearing, Limits
from hub.registry.registry import REGISTRY_ANSWER_SECONDS, Registry
from hub.reports import Reports
from hub.revisions.comparing import Comparing, Files
from hub.revisions.files import read_at_start, read_content
from hub.revisions.reloading import Reloading
from hub.revisions.revision import restored
from hub.sinks.control import ControlReader
from hub.sinks.fence import Fence
from hub.sinks.ownership import ASK_SECONDS, Claim, Ownership
from hub.sinks.redis_link import ANSWER_SECONDS, Link, RedisAddress
from hub.sinks.retention import Keep, Retention
from hub.sinks.stream_sink import StreamSink
from hub.sinks.streams import trimmed_keys
from hub.sinks.timeseries.writer import SeriesWriter
from hub.sinks.twins import TwinSink
from hub.stages import Stages, stages_of

W = TypeVar("W")

TICK_SECONDS, LEASE_TICK_SECONDS = 1.0, 0.1
REGISTRY_TICKS, REGISTRY_TICK_SECONDS, PATIENCE_NS = 25, 0.2, 2_000_000_000

log = structlog.get_logger(__name__)


class Hub:
    """One partition at work. Open it with ``async with``, then ``run`` until ``stop`` is called.

    Opening takes the lock, opens the files, applies what the checkpoint does not cover, and claims the partition: a
    ConfigError comes before anything was changed. The parts are public for those who show them; ``pages`` are open from
    the lock to the end. ``asks_sys``: False for a broker that hangs up on subscriptions of $SYS (the demo's fallback).
    """

    def __init__(self, settings: Settings, clock: Clock, *, asks_sys: bool = True) -> None:
        self.settings, self.clock = settings, clock
        self.is_running, self.recovered_records = False, 0
        self.beginning, self.stages, self.keeping = Beginning(clock), Stages(), Keeping()
        self.pages: Callable[[], AbstractAsyncContextManager[None]] = nullcontext
        self._asks_sys = asks_sys
        self._stop = asyncio.Event()
        self._opening: asyncio.Task[object] | None = None
        self._opened = AsyncExitStack()
        self._listening = Listening(settings, asks_sys=asks_sys)
        self.reports = Reports(self._note, clock)

    # ---------------------------------------------------------------------------------------------------------- opening

    async def __aenter__(self) -> Self:
        """Open everything that must be there; see the class. StoppedError when ``stop`` is called meanwhile."""
        opening = self._opening = asyncio.current_task()
        try:
            async with AsyncExitStack() as stack:
                await self._open(stack)
                self._opened = stack.pop_all()
        except asyncio.CancelledError:
            if opening is None or not self._stop.is_set():
                raise
            opening.uncancel()
            raise StoppedError("stopped_while_opening", "nothing was heard, nothing was changed") from None
        finally:
            self._opening = None
            self.beginning.over()
        return self

    async def _open(self, stack: AsyncExitStack) -> None:
        at = self.beginning.at
        stack.enter_context(Lock(self.settings.files_dir))
        await stack.enter_async_context(self.pages())
        at(Step.FILES)
        yaml = await asyncio.to_thread(read_at_start, self.settings)
        at(Step.REGISTRY)
        registry = partial(Registry, self.settings.registry_url(), answer_seconds=REGISTRY_ANSWER_SECONDS)
        self.registry = await self.beginning.patiently(lambda: stack.enter_async_context(registry()), self._stop)
        at(Step.JOURNAL)
        await self._open_files(stack, yaml)
        at(Step.RECOVERY)
        await self._recover()
        at(Step.REDIS)
        await self._open_north(stack)
        self._open_south()

    async def __aexit__(self, *exc: object) -> None:
        await self._opened.aclose()

    async def _open_files(self, stack: AsyncExitStack, yaml: dict[str, bytes] | ConfigError) -> None:
        settings = self.settings
        files = opened(settings.files_dir, settings.partition, decode_packets)
        self.journal, self.state_file, saved = await stack.enter_async_context(files)
        self.engine, old = restored(partial(parts.make_engine, self.journal.id), saved.entries, yaml)
        self.comparing = Comparing(self.settings, self.clock, self.registry, self.engine.content, Files(yaml, old))
        failpoints = Failpoints(self.settings.failpoint)
        self._epochs = Epochs(self.state_file, saved.epoch, self.clock, failpoints)
        self.streams_box = await self._outbox(STREAMS, StreamWork, saved, failpoints)
        self.timeseries_box = await self._outbox(TIMESERIES, LineWork, saved, failpoints)
        self.limits = Limits(
            checkpoint_messages=settings.checkpoint.messages,
            checkpoint_every=settings.checkpoint.every,
            retention=settings.retention.age,
            retention_bytes=settings.retention.size,
            failpoints=failpoints,
        )
        boxes = self.streams_box, self.timeseries_box
        self.applying = Applying(self.engine, self.state_file, *boxes, self._offer, self.clock, self.limits)
        read = partial(read_content, settings)
        self._reloading = Reloading(read, self._revise, self.applying.name, self._note, self.clock)

    async def _outbox(self, places: Places, work: type[W], saved: Saved, failpoints: Failpoints) -> Outbox[W]:
        box = Outbox(places, self.state_file, work, cursor=saved.cursors.get(places.sink, 0), failpoints=failpoints)
        await box.open(saved.tallies.get(places.sink, {}))
        return box

    async def _recover(self) -> None:
        """Apply what the checkpoint does not cover; nothing is sent while that goes on."""
        behind = self.journal.last - self.engine.state.clock.position
        if behind:
            log.info("recovery_began", records=behind)
        async for record in self.journal.read(self.engine.state.clock.position):
            await self.applying.checkpoints.bury_at(record.body)
            self.applying.deliver(await in_turns(self.engine.portions(record), self.clock), is_recovery=True)
            await self.applying.spill()
            self.recovered_records += 1
            await self.clock.sleep(0)  # so that a signal is heard between two records
        if behind:
            log.info("recovery_finished", records=self.recovered_records)

    async def _open_north(self, stack: AsyncExitStack) -> None:
        self._address = RedisAddress(url=self.settings.redis.url.get_secret_value())
        claim = Claim(
            partition=self.settings.partition,
            journal=self.journal.id,
            host=socket.gethostname(),
            epoch_hint=self._epochs.last,
            journal_end=self.journal.last,
        )
        link = self._link(stack, answer_seconds=ASK_SECONDS)
        self.ownership = Ownership(link, self.clock, claim, on_claimed=self._epochs.keep)
        await self.ownership.claim()
        self.beginning.at(Step.STORE)
        self.store = await stack.enter_async_context(parts.make_store(self.settings, self.clock))
        self.writer = SeriesWriter(self.timeseries_box, self.store, self.clock, self.ownership.wake)
        self.twin_sink = TwinSink(self._link(stack), self.clock, self.ownership, parts.EngineTwins(self.engine))
        streams, tell = trimmed_keys(self.settings.partition), self.reports.of_group
        self.retention = Retention(self._link(stack), self.clock, streams, keep=Keep(), tell=tell)
        lost = partial(self.reports.tail_lost, (self.twin_sink.lost, self.retention.lost))
        fence = Fence(self._link(stack), self.ownership, confirmed=self.streams_box.cursor, on_tail_lost=lost)
        alarms = partial(parts.alarms_by_site, self.engine)
        self.stream_sink = StreamSink(
            self.streams_box, fence, self.clock, partition=self.settings.partition, alarms=alarms
        )
        self.control_reader = ControlReader(self._link(stack), self.clock, partition=self.settings.partition)

    def _offer(self, transmission: Transmission) -> bool:
        return self.downlink.offer(transmission)

    def _link(self, stack: AsyncExitStack, *, answer_seconds: float = ANSWER_SECONDS) -> Link:
        link = Link(self._address, answer_seconds=answer_seconds)
        stack.push_async_callback(link.close)
        return link

    def _open_south(self) -> None:
        self.inbox = Inbox()
        self.first_connection = self.engine.state.clock.last_connection + 1
        broker = parts.Broker(self._asks_sys, self.ownership, lambda: self.downlink.attends)
        self.sessions = parts.make_sessions(self.settings, self.inbox, self.clock, self.first_connection, broker)
        self.downlink = parts.make_downlink(self.settings, self.inbox, self.clock, self.ownership)

    # ---------------------------------------------------------------------------------------------------------- running

    async def run(self) -> None:
        """Work until ``stop``; then finish what was heard, checkpoint, and return. Errors of a task end it at once."""
        self.hearing = Hearing(self.inbox, self.journal, self.state_file, self.sessions, self.clock, self.limits)
        self.stages = stages_of(self)
        self._note(Started(__version__, [session.name for session in self.sessions], self.journal.began))
        self.beginning.at(Step.REVISION)
        try:
            await self.beginning.patiently(self._begin_revision, self._stop)
            async with asyncio.TaskGroup() as group:
                await self._work(group)
        finally:
            self.is_running = False
            self.beginning.over()

    async def _work(self, group: asyncio.TaskGroup) -> None:
        def begin(name: str, work: Callable[[], object]) -> asyncio.Task[None]:
            return group.create_task(work(), name=f"hub.{name}")  # type: ignore[arg-type] # a coroutine function

        south = [begin(f"bridge.{session.name}", session.run) for session in self.sessions]
        hearing = begin("pipeline.hear", self.hearing.run)
        judging = begin("pipeline.apply", partial(self.applying.run, self.hearing))
        last_entry = self.engine.state.clock.last_entry
        whose = Whose(self.settings.partition, parts.veil_of(self.engine), parts.answers_of(self.engine))
        north = [
            begin("bridge.downlink", self.downlink.run),
            begin("sinks.streams", self.stream_sink.run),
            begin("sinks.streams.keep_up", self.stream_sink.keep_up),
            begin("sinks.timeseries", self.writer.run),
            begin("sinks.twins", self.twin_sink.run),
            begin("sinks.control", partial(self.control_reader.run, last_entry, self._reloading.take)),
            begin("reloading", self._reloading.run),
            begin("sinks.retention", self.retention.run),
            begin("sinks.ownership", self.ownership.run),
            begin("sinks.epoch", self._epochs.run),
            begin("journal.archive", partial(parts.archive, self.settings, self.clock, self.journal)),
            begin("clock.tick", self._tick),
            begin("registry.poll", self._poll_registry),
            begin("registry.audit", Auditing(self.registry, self._address, self.clock, whose).run),
            begin("registry.broker", partial(self.keeping.run, self.settings, self.registry, self.clock)),
        ]
        self.beginning.over()
        self.is_running = True
        await self._stop.wait()
        await self._hear_out()
        await self._cancel(south)
        self.applying.checkpoints.is_stopping = True
        await self._cancel([hearing])
        await self.hearing.heard.put([])
        await judging
        await self._drain()
        await self._cancel(north)

    async def _hear_out(self) -> None:
        """Read no more, and ack what was read: what is acked after the sessions are gone would come again."""
        for session in self.sessions:
            session.pause_reading()
        await until(lambda: not self.inbox.is_waiting and self.hearing.is_idle, self.clock, within=PATIENCE_NS)

    async def _drain(self) -> None:
        """Give the sinks a moment to take what they are owed; the rest waits in the outbox."""
        self.timeseries_box.hurry()
        await until(lambda: self.streams_box.is_empty and self.timeseries_box.is_empty, self.clock, within=PATIENCE_NS)

    @staticmethod
    async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    def stop(self) -> None:
        """Ask ``run`` to come to its end, or the opening to be given up: the journal keeps what it was applying."""
        self._stop.set()
        if self._opening is not None:
            self._opening.cancel()

    # ------------------------------------------------------------------------------------------------------------ notes

    def _note(self, note: Body) -> None:
        self.inbox.put_note(note)

    async def _tick(self) -> None:
        while True:
            await stroke(self.clock, LEASE_TICK_SECONDS if self.engine.has_leases else TICK_SECONDS)
            self.inbox.put_note(Tick(), soon=self.engine.has_leases)
            self.stages.look_if_due(self.clock.monotonic_ns())
            self.reports.look_for_drops([session.counts for session in self.sessions])
            self._listening.tell(self.sessions, self.engine.content.networks)

    async def _poll_registry(self) -> None:
        while True:
            await self.applying.until_news(within=REGISTRY_TICKS * REGISTRY_TICK_SECONDS)
            await self.clock.sleep(REGISTRY_TICK_SECONDS)  # what comes at the same time is looked up together
            try:
                while await self.comparing.is_behind(self.applying.directories):
                    await self._revise()  # of very many devices some at a time, and what was heard in between
            except (ConfigError, UnavailableError) as error:
                self.comparing.held_up(str(error))
            else:
                self.comparing.held_up("")

    async def _begin_revision(self) -> None:
        """Revise for the first time. What is refused silences no hub that was at work: it goes on with what it had."""
        try:
            await self._revise()
        except ConfigError as error:
            if not self.engine.content.documents:
                raise
            self.comparing.held_up(str(error))
            held = {site: self.settings.partition for site, _ in self.engine.content.circumstances.places}
            homes = held | await self.registry.homes()
            mine = [f"place/{site}" for site, partition in homes.items() if partition == self.settings.partition]
            self._listening.look_round({*homes.values()}, mine)
            self._listening.tell(self.sessions, self.engine.content.networks)

    async def _revise(self, documents: dict[str, bytes] | None = None) -> int:
        """Compare files (now ``documents``) and registry with what the engine works with; journal what differs."""
        async with self.applying.revising():
            compared = await self.comparing.compare(documents, self.applying.take_directories())
            note = compared.note
            if note is not None:
                if self.is_running:  # else nobody waits for the journal
                    await self.journal.lay_down(note.bodies, self.limits.failpoints)
                if not self.inbox.put_note(note):
                    raise UnavailableError("inbox_full", "the journal takes no revision now", hint="ask again")
                self.applying.is_revised.clear()
            self.comparing.settle(compared, files_read=documents is not None)
        if compared.rows is not None:
            self._listening.look_round(compared.partitions, compared.rows)
        self._listening.tell(self.sessions, self.engine.content.networks)
        return 0 if note is None else len(note.revision.put) + len(note.revision.removed)
