"""hear -> journal -> ack: what happens while the journal takes no messages, and engine time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from hub.bridge.frames import decode_packets
from hub.bridge.uplink import Inbox
from hub.clock import Clock, SystemClock
from hub.journal.journal import Journal
from hub.journal.journal_time import JournalTime
from hub.journal.own_thread import OwnThread
from hub.model.heard import Connected, Delivery, Packets, Publish
from hub.model.records import Batch, Outcome, OutcomeKind, Tick
from hub.pipeline import Hearing
from tests.clocks import ManualClock
from tests.journal.papers import set_read_only
from tests.pipeline.limits import LIMITS
from tests.waiting import PATIENCE_SECONDS, wait_until


class Spoken:
    """A session that only remembers what it was told."""

    name = "events"

    def __init__(self) -> None:
        self.acknowledged: list[Delivery] = []

    async def run(self) -> None:
        raise NotImplementedError  # never started here

    def acknowledge(self, delivery: Delivery) -> bool:
        self.acknowledged.append(delivery)
        return True

    def pause_reading(self) -> None:
        """Nothing to pause."""

    def resume_reading(self) -> None:
        """Nothing to resume."""


class Waiting:
    """What lies in the outbox."""

    outbox_bytes = 0


class Table:
    """A hearing on real files whose disk can be filled: ``free`` is what the journal believes it has."""

    def __init__(self, journal: Journal, clock: Clock | None = None) -> None:
        self.inbox, self.session = Inbox(), Spoken()
        self.inbox.attach(self.session)
        self.journal, self.waiting = journal, Waiting()
        self.hearing = Hearing(self.inbox, journal, self.waiting, [self.session], clock or SystemClock(), LIMITS)
        self.free = 2**40

    def deliver(self, *payloads: bytes) -> None:
        messages = [Publish("hub/s1/d/telemetry", payload, packet_id=1) for payload in payloads]
        self.inbox.put(Delivery("events", 1, Packets(b"", list(messages), 0, session_present=True)))


@pytest.fixture
async def table(tmp_path: Path) -> AsyncIterator[Table]:
    holder: list[Table] = []
    journal = Journal(
        tmp_path / "journal.sqlite", "main", decode_packets, free=lambda _path: holder[0].free if holder else 2**40
    )
    async with journal:
        holder.append(Table(journal))
        task = asyncio.get_running_loop().create_task(holder[0].hearing.run())
        yield holder[0]
        task.cancel()


async def taken(table: Table) -> list[object]:
    async with asyncio.timeout(PATIENCE_SECONDS):
        return [record.body for record in await table.hearing.heard.get()]


async def test_nothing_is_acknowledged_before_it_is_in_the_journal(table: Table) -> None:
    table.free = 0
    table.deliver(b"a")
    await wait_until(lambda: table.hearing.held_up_by)
    assert table.session.acknowledged == []
    assert table.journal.last == 0
    table.free = 2**40
    assert [type(body) for body in await taken(table)] == [Batch]
    assert [delivery.session for delivery in table.session.acknowledged] == ["events"]
    assert not table.hearing.held_up_by


async def test_what_came_while_the_clock_was_a_year_ahead_goes_when_it_is_as_old_as_everything_may_be(
    tmp_path: Path,
) -> None:
    clock, year, day = ManualClock(), 365 * 86_400, 86_400
    clock.step_wall(year)
    async with Journal(tmp_path / "journal.sqlite", "main", decode_packets) as journal:
        table = Table(journal, clock)
        task = asyncio.get_running_loop().create_task(table.hearing.run())
        firsts = []
        for days in (0, 6, 2):
            clock.advance(days * day)
            table.inbox.put_note(Tick())
            await taken(table)
            clock.step_wall(-year if journal.last == 1 else 0)
            table.hearing.trim_to = journal.last
            firsts.append(journal.first)
        task.cancel()
    assert firsts == [1, 1, 2]


async def test_notes_go_into_a_journal_that_takes_no_messages_and_do_not_end_the_judging_afterwards(
    table: Table,
) -> None:
    table.free = 8 * 2**20
    table.deliver(b"a")
    await wait_until(lambda: table.hearing.held_up_by)
    table.inbox.put_note(Tick())
    assert [type(body) for body in await taken(table)] == [Tick]
    table.free = 2**40
    assert [type(body) for body in await taken(table)] == [Batch]
    await wait_until(lambda: table.hearing.is_idle)
    assert table.hearing.heard.empty()
    table.deliver(b"b")
    assert [type(body) for body in await taken(table)] == [Batch]


async def test_time_passes_though_more_waits_to_be_delivered_than_the_journal_may_hold(table: Table) -> None:
    table.waiting.outbox_bytes = 2**40
    table.deliver(b"a")
    await wait_until(lambda: table.hearing.held_up_by)
    table.inbox.put_note(Tick())
    assert [type(body) for body in await taken(table)] == [Tick]
    assert "journal_full" in table.hearing.held_up_by
    table.waiting.outbox_bytes = 0
    assert [type(body) for body in await taken(table)] == [Batch]


async def test_a_journal_that_takes_nothing_for_a_moment_does_not_end_the_judging(table: Table) -> None:
    """An empty list on the queue means the end, so a retry that has nothing left to journal must not put one there."""
    set_read_only(table.journal, is_on=True)
    table.inbox.put_note(Tick())
    await wait_until(lambda: table.hearing.held_up_by)
    set_read_only(table.journal, is_on=False)
    assert [type(body) for body in await taken(table)] == [Tick]
    await wait_until(lambda: table.hearing.is_idle)
    table.inbox.put_note(Tick())
    assert [type(body) for body in await taken(table)] == [Tick]


async def test_of_the_ticks_of_a_disk_that_takes_nothing_the_last_is_journaled_and_all_else(table: Table) -> None:
    """They stand for one moment by then; those of days were made records twice a second, until the loop stood still."""
    set_read_only(table.journal, is_on=True)
    for number in range(3):
        table.inbox.put_note(Outcome(f"c{number}", OutcomeKind.SENT))
        table.inbox.put_note(Tick())
        tries = table.hearing.attempts
        await wait_until(lambda tries=tries: table.hearing.attempts > tries + 1)  # type: ignore[misc] # of this round
    set_read_only(table.journal, is_on=False)
    bodies = await taken(table)
    assert [body.command for body in bodies if isinstance(body, Outcome)] == ["c0", "c1", "c2"]
    assert [type(body) for body in bodies].count(Tick) == 1


async def test_what_a_session_says_is_journaled_in_its_order(table: Table) -> None:
    table.inbox.put(Delivery("events", 1, Connected(session_present=True)))
    table.deliver(b"a", b"b")
    bodies: list[object] = []
    while len(bodies) < 2:
        bodies += await taken(table)
    assert [getattr(body, "session", "") for body in bodies] == ["events", "events"]
    assert isinstance(bodies[1], Batch)


async def test_what_arrived_together_is_one_call_of_the_journal_s_thread_for_which_the_loop_waits_once(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a calm rate these are what a batch costs, whatever it brings: 600 of its 1,000 us of CPU."""
    calls: list[object] = []
    waits: list[float | None] = []
    call, selector = OwnThread.call, asyncio.get_running_loop()._selector  # type: ignore[attr-defined] # noqa: SLF001 -- it is asked how often it waits
    select = selector.select

    async def counted(thread: OwnThread, work: Callable[[], object]) -> object:
        calls.append(work)
        return await call(thread, work)

    def waited(timeout: float | None) -> object:
        if timeout is None or timeout > 0:
            waits.append(timeout)
        return select(timeout)

    monkeypatch.setattr(OwnThread, "call", counted)
    monkeypatch.setattr(selector, "select", waited)
    for batches in (1, 2, 3):
        table.inbox.put_note(Tick(), soon=False)
        table.deliver(b"a")
        table.deliver(b"b", b"c")
        assert [type(body) for body in await taken(table)] == [Tick, Batch]
        assert len(calls) == batches
        assert len(waits) <= batches


# --------------------------------------------------------------------------------------------------------- JournalTime


def test_engine_time_grows_though_the_wall_clock_steps_back() -> None:
    clock = ManualClock()
    time = JournalTime(clock, 0, 0)
    first, _ = time.stamp(10)
    clock.step_wall(-86_400)
    second, wall = time.stamp(0)
    assert second == first + 11
    assert wall == clock.wall_ns()


def test_engine_time_goes_on_over_a_restart_by_what_the_wall_clock_says() -> None:
    clock = ManualClock()
    last = clock.wall_ns() - 3_600 * 1_000_000_000
    t, _ = JournalTime(clock, 5_000, last).stamp(0)
    assert t == 5_000 + 3_600 * 1_000_000_000


def test_engine_time_does_not_go_back_over_a_restart_with_a_slow_clock() -> None:
    clock = ManualClock()
    t, _ = JournalTime(clock, 5_000, clock.wall_ns() + 3_600 * 1_000_000_000).stamp(0)
    assert t == 5_001
