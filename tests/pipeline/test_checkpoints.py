"""Checkpoints: written while more is judged, of one record all the same; what came meanwhile goes with the next."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from hub import checkpoints
from hub.bridge.frames import decode_packets
from hub.bridge.uplink import Inbox
from hub.clock import SystemClock
from hub.journal.journal import Journal
from hub.journal.outbox import STREAMS, TIMESERIES, Outbox
from hub.journal.state_file import StateFile, read_dead_letters
from hub.model.effects import LineWork, StreamWork, Transmission
from hub.model.heard import Publish
from hub.pipeline import Applying, Hearing
from tests.engine.desk import (
    ALARM,
    JOURNAL,
    NORMAL,
    UNLOCKS,
    Desk,
    device,
    encoded,
    native,
    smoke,
    with_rule,
)
from tests.journal.papers import crash, set_read_only
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


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A community in which smoke unlocks a door."""
    (tmp_path / "rules").mkdir()
    return with_rule(tmp_path / "rules", UNLOCKS)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Where a hub has its files."""
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


async def test_judging_goes_on_and_commands_leave_while_somebody_else_locks_the_state_file(
    data: Path, desk: Desk
) -> None:
    async with judging(data, desk) as court:
        await court.settle()
        covered = court.made.position
        with locked(data / "state.sqlite"):
            desk.hear(smoke(NORMAL))
            while not court.file.thread.owes:
                desk.tick(6)
                await court.judge()
            desk.hear(smoke(ALARM))
            await court.judge()
            assert [one.topic for one in court.left] == ["hub/s1/door-1/command", "hub/s1/gate-1/command"]
            assert court.made.position == covered
        await court.settle()  # what was refused meanwhile is tried again behind the next record
        assert court.made.position > covered


async def test_a_checkpoint_is_of_one_record_whatever_is_judged_while_it_is_written(data: Path, desk: Desk) -> None:
    async with judging(data, desk) as court:
        async with court.held():
            desk.hear(smoke(ALARM), native("door-1", {"values": {"door": "open"}}, "telemetry"), GARBAGE)
            desk.tick(30)
            desk.hear(smoke(NORMAL), GARBAGE)
            await court.judge()
            assert not court.engine.state.is_checkpointing  # the next one is due, and waits
        covered = await court.until_written()
        assert covered < court.position
        assert_is_whole(data, desk, covered)
    assert_is_whole(data, desk, len(desk.records))


async def test_dead_letters_that_come_while_a_checkpoint_is_written_are_all_kept_and_judging_waits_for_none(
    data: Path, desk: Desk
) -> None:
    desk.hear(GARBAGE)
    async with judging(data, desk) as court:
        async with court.held():
            for _ in range(3):
                desk.hear(GARBAGE)
                desk.tick(1)
            await court.judge()
        await court.until_written()
        desk.tick(1)  # at which the others are buried, and wait for no checkpoint
        await court.judge()
        assert len(read_dead_letters(data / "state.sqlite", limit=99)) == 4
    assert_is_whole(data, desk, len(desk.records))


async def test_more_dead_letters_than_memory_may_hold_wait_for_the_checkpoint_and_judging_with_them(
    data: Path, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "MEMORY_BYTES", len(GARBAGE.payload))
    async with judging(data, desk) as court:
        async with court.held():
            desk.hear(GARBAGE)
            desk.tick(1)
            desk.hear(GARBAGE)
            await court.judge()
            judged = court.position
            desk.tick(1)
            await court.tell()
            await some_turns()
            assert court.position == judged
        await court.judge()
        assert len(read_dead_letters(data / "state.sqlite", limit=99)) == 2
    assert_is_whole(data, desk, len(desk.records))


async def test_nothing_is_judged_while_the_disk_refuses_a_checkpoint_and_all_of_it_when_it_does_no_more(
    data: Path, desk: Desk
) -> None:
    async with judging(data, desk) as court:
        await court.until_refused(smoke(ALARM), GARBAGE)
        judged = court.position
        desk.tick(1)
        await court.tell()
        await some_turns()
        assert court.position == judged < len(desk.records)
        set_read_only(court.file, is_on=False)
        await court.settle()
        assert court.made.held_up_by == ""
    assert_is_whole(data, desk, len(desk.records))


async def test_a_hub_that_stops_while_a_checkpoint_is_written_waits_for_it_and_writes_the_rest(
    data: Path, desk: Desk
) -> None:
    async with judging(data, desk) as court, court.held():
        desk.hear(smoke(ALARM), GARBAGE)
        await court.judge()
        await court.stop()
        await some_turns()
    assert_is_whole(data, desk, len(desk.records))


async def test_a_hub_that_stops_while_the_disk_refuses_leaves_the_last_checkpoint_whole_and_the_next_hub_goes_on(
    data: Path, desk: Desk
) -> None:
    async with judging(data, desk) as court:
        await court.settle()
        covered = court.made.position
        await court.until_refused(smoke(ALARM), GARBAGE)
        await court.stop()
    assert_is_whole(data, desk, covered)
    await assert_it_goes_on_as_if_nothing_had_been(data, desk)


@pytest.mark.parametrize("is_written", [False, True])
async def test_a_hub_that_is_killed_while_a_checkpoint_is_written_or_right_behind_goes_on_as_if_nothing_had_been(
    tmp_path: Path, data: Path, desk: Desk, *, is_written: bool
) -> None:
    left = tmp_path / "left"
    async with judging(data, desk) as court:
        async with court.held():
            desk.hear(smoke(ALARM), native("door-1", {"values": {"door": "open"}}, "telemetry"), GARBAGE)
            desk.tick(30)
            await court.judge()
            if not is_written:
                crash(data, left)
        covered = await court.until_written()
        if is_written:
            crash(data, left)
    position, _ = on_disk(left)
    assert (position == covered) is is_written
    assert_is_whole(left, desk, position)
    await assert_it_goes_on_as_if_nothing_had_been(left, desk)


async def assert_it_goes_on_as_if_nothing_had_been(data: Path, desk: Desk) -> None:
    """Assert that the next hub judges as one that was never interrupted, and has in the end what that has."""
    position, entries = on_disk(data)
    other = desk.revive(entries)
    effects = [other.engine.apply(record) for record in desk.records[position:]]
    assert encoded(effects) == encoded(desk.effects[position:])
    async with judging(data, desk):
        pass
    assert_is_whole(data, desk, len(desk.records))


async def test_a_wide_revision_waits_for_what_is_written_and_a_narrow_one_does_not(data: Path, desk: Desk) -> None:
    now = dict(desk.engine.content.bodies())
    async with judging(data, desk) as court:
        async with court.held():
            desk.revise(now | device("smoke-2", "smoke_sensor", "milesight/gs524n"))
            await court.judge()
            unused = next(key for key in now if key.startswith("profile/") and key != "profile/milesight/gs524n")
            desk.revise({key: body for key, body in now.items() if key != unused})
            await court.tell()
            await some_turns()
            assert court.position == len(desk.records) - 1
        await court.judge()
        assert court.made.position >= len(desk.records) - 1
    assert_is_whole(data, desk, len(desk.records))


async def test_a_checkpoint_that_fails_for_good_ends_the_judging_though_nothing_more_is_heard(
    data: Path, desk: Desk
) -> None:
    async def judge() -> None:
        async with judging(data, desk) as court:
            await court.settle()
            with closing(sqlite3.connect(data / "state.sqlite")) as other:
                other.execute("DROP TABLE entries")
            desk.hear(smoke(ALARM))
            desk.tick(6)
            await court.tell()
            async with asyncio.timeout(PATIENCE_SECONDS):
                await asyncio.Event().wait()

    with pytest.RaisesGroup(pytest.RaisesGroup(pytest.RaisesExc(sqlite3.OperationalError, match="entries"))):
        await judge()
