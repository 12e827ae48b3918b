"""A court: judges what a desk has heard into a real state file, whose checkpoints a test may hold or refuse."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from hub.bridge.frames import decode_packets
from hub.bridge.uplink import Inbox
from hub.clock import SystemClock
from hub.journal.journal import Journal
from hub.journal.outbox import STREAMS, TIMESERIES, Outbox
from hub.journal.state_file import StateFile, read_dead_letters
from hub.model.effects import LineWork, StreamWork, Transmission
from hub.model.heard import Publish
from hub.pipeline import Applying, Hearing
from tests.engine.desk import JOURNAL, NORMAL, Desk, smoke
from tests.journal.papers import set_read_only
from tests.pipeline.limits import LIMITS
from tests.waiting import PATIENCE_SECONDS, wait_until

ALWAYS = replace(LIMITS, checkpoint_every=timedelta(0))
"""The next one is due as soon as the last one is written."""
TURNS = 50
"""Of the loop, in which what needs nothing but them would have been done."""
GARBAGE = Publish("hub/s1/door-1/telemetry", b"no json")


class Court:
    """Judges what a desk has heard, and writes it into a real state file."""

    def __init__(self, desk: Desk, file: StateFile, journal: Journal, checkpoint: dict[str, bytes]) -> None:
        self.desk, self.file = desk, file
        self.engine = desk.revive(checkpoint).engine
        self.left: list[Transmission] = []
        streams, series = Outbox(STREAMS, file, StreamWork, cursor=0), Outbox(TIMESERIES, file, LineWork, cursor=0)
        self.applying = Applying(self.engine, file, streams, series, self._offer, SystemClock(), ALWAYS)
        self.made = self.applying.checkpoints
        self.hearing = Hearing(Inbox(), journal, file, [], SystemClock(), ALWAYS)
        self._told = self._before = self.position

    def _offer(self, transmission: Transmission) -> bool:
        self.left.append(transmission)
        return True

    @property
    def position(self) -> int:
        return self.engine.state.clock.position

    async def tell(self) -> None:
        """Hand over what the desk has heard since, each record by itself."""
        for record in self.desk.records[self._told :]:
            await self.hearing.heard.put([record])
        self._told = len(self.desk.records)

    async def judge(self) -> None:
        """Let it be judged."""
        await self.tell()
        await wait_until(lambda: self.position == self._told)

    async def settle(self) -> None:
        """Let all be judged, and a checkpoint cover all of it so far."""
        await self.judge()
        records = self.position
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self.made.position < records:
                self.desk.tick(6)  # what has not settled is waited for
                await self.judge()

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Let a checkpoint be written, and not be on the disk before the block ends."""
        await self.settle()
        go_on = threading.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.file.thread.call(go_on.wait))
            try:
                tried, self._before = self.made.steps, self.made.position
                self.desk.hear(smoke(NORMAL))
                while self.made.steps == tried:
                    self.desk.tick(6)
                    await self.judge()
                yield
                assert self.made.position == self._before
            finally:
                go_on.set()

    async def until_written(self) -> int:
        """Return which record the checkpoint covers that was held, when it is on the disk."""
        await wait_until(lambda: self.made.position > self._before)
        return self.made.position

    async def until_refused(self, *messages: Publish) -> None:
        """Let the disk take nothing any more, and messages come; return when that holds a checkpoint up."""
        await self.settle()
        set_read_only(self.file, is_on=True)
        self.desk.hear(*messages)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not self.made.held_up_by:
                self.desk.tick(6)
                await self.tell()
                await some_turns()

    async def stop(self) -> None:
        """Stop in good order."""
        self.made.is_stopping = True
        await self.hearing.heard.put([])


@asynccontextmanager
async def judging(directory: Path, desk: Desk) -> AsyncIterator[Court]:
    """Judge what ``desk`` hears, from what ``directory`` holds on; stopped at the end, unless it has been."""
    async with (
        Journal(directory / "journal.sqlite", "main", decode_packets) as journal,
        StateFile(directory / "state.sqlite", JOURNAL) as file,
    ):
        court = Court(desk, file, journal, dict((await file.load()).entries))
        async with asyncio.TaskGroup() as group:
            running = group.create_task(court.applying.run(court.hearing))
            yield court
            if not court.made.is_stopping:
                await court.judge()
                await court.stop()
            await asyncio.wait([running])


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let nobody else write to a file, as another process might."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


async def some_turns() -> None:
    """Let the loop turn."""
    for _ in range(TURNS):
        await SystemClock().sleep(0)


def at(desk: Desk, records: int) -> dict[str, bytes]:
    """Return the state of an engine that nobody ever interrupted, as of so many records."""
    other = desk.revive({})
    for record in desk.records[:records]:
        other.engine.apply(record)
    other.checkpoint = {}
    other.write_down()
    return kept(other.checkpoint)


def kept(entries: dict[str, bytes]) -> dict[str, bytes]:
    """Return entries without what a broker may send again: what it took meanwhile need not be digested."""
    return {key: body for key, body in entries.items() if not key.startswith("unsettled/")}


def on_disk(data: Path) -> tuple[int, dict[str, bytes]]:
    """Return what the checkpoint of a hub holds, at work or not, and which record it covers."""
    with closing(sqlite3.connect(data / "state.sqlite")) as file:
        file.execute("BEGIN")
        (position,) = file.execute("SELECT value FROM meta WHERE name = 'position'").fetchone()
        return int(position), dict(file.execute("SELECT key, body FROM entries"))


def assert_is_whole(data: Path, desk: Desk, records: int) -> None:
    """Assert that the checkpoint is the state as of so many records, and that no dead letter up to there is missing."""
    position, entries = on_disk(data)
    assert position == records
    assert kept(entries) == at(desk, records)
    numbers = [letter.number for effects in desk.effects[:records] for letter in effects.dead_letters]
    buried = [letter.number for letter in read_dead_letters(data / "state.sqlite", limit=99)]
    assert sorted(buried)[: len(numbers)] == numbers
