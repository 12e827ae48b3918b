"""The writer: every owed line is stored once or rejected once, whatever the store does in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Self

import pytest
from structlog.testing import capture_logs

from hub.clock import Clock, SystemClock
from hub.errors import UnavailableError
from hub.model.effects import LineWork
from hub.sinks.timeseries.influxdb import InfluxStore
from hub.sinks.timeseries.lines import encode, event_line
from hub.sinks.timeseries.local import LocalStore
from hub.sinks.timeseries.query import telemetry
from hub.sinks.timeseries.store import Query, Row, Span, Store, Written
from hub.sinks.timeseries.writer import SeriesWriter
from tests.clocks import ManualClock
from tests.servers.http_stub import Answer, HttpStub, Manner
from tests.servers.influxdb import InfluxServer
from tests.sinks.timeseries.samples import NOON, OwedInMemory, event, series, work
from tests.waiting import PATIENCE_SECONDS, wait_until

EVERYTHING = telemetry("smoke_sensor", Span(since=0, until=2 * NOON, limit=100_000), {})


class Running:
    """A writer at work, and what it was told to do."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.owed = OwedInMemory()
        self.may_write = asyncio.Event()
        self.may_write.set()
        self.asked = 0
        self.writer = SeriesWriter(self.owed, store, clock, self._wake, jitter=lambda: 0.5)

    async def _wake(self) -> None:
        self.asked += 1
        await self.may_write.wait()

    async def confirmed(self, position: int) -> None:
        await wait_until(lambda: self.owed.confirmed == position)


@asynccontextmanager
async def writing(store: Store, clock: Clock) -> AsyncIterator[Running]:
    running = Running(store, clock)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(running.writer.run())
        yield running
        task.cancel()


@pytest.fixture
def deadline() -> timedelta:
    """How long an answer may take; a test of a store that hangs has its own."""
    return timedelta(seconds=PATIENCE_SECONDS)


@pytest.fixture
async def stubbed(http_stub: HttpStub, deadline: timedelta) -> AsyncIterator[tuple[Running, ManualClock]]:
    clock = ManualClock()
    async with AsyncExitStack() as opened:
        store = await opened.enter_async_context(
            InfluxStore(url=http_stub.url, token="", org="", bucket="hub", deadline=deadline)
        )
        yield await opened.enter_async_context(writing(store, clock)), clock


async def test_lines_that_wait_joined_are_written_and_blamed_one_by_one(tmp_path: Path) -> None:
    async with LocalStore(tmp_path / "s.sqlite", SystemClock()) as store, writing(store, ManualClock()) as running:
        lines = [*work(0, 3).lines, b"not a line", *work(3, 2).lines, event_line(event(1))]
        running.owed.add(LineWork(lines=[b"\n".join(lines)], points=6, events=1))
        await running.confirmed(1)

        assert running.owed.tally == {"written": 5, "rejected": 1, "events_written": 1, "events_rejected": 0}
        assert [row.fields["number"] for row in await store.query(EVERYTHING)] == list(range(5))


async def test_owed_work_is_written_and_confirmed_with_its_counts(tmp_path: Path) -> None:
    async with LocalStore(tmp_path / "s.sqlite", SystemClock()) as store, writing(store, ManualClock()) as running:
        lines = [*work(0, 10).lines, event_line(event(1)), event_line(event(2))]
        running.owed.add(LineWork(lines=lines, points=10, events=2), work(10, 5))
        await running.confirmed(2)

        assert running.owed.tally == {"written": 15, "rejected": 0, "events_written": 2, "events_rejected": 0}
        assert [row.fields["number"] for row in await store.query(EVERYTHING)] == list(range(15))


async def test_behind_a_write_the_next_one_waits_a_second_for_more(tmp_path: Path) -> None:
    clock, moment, second = ManualClock(), timedelta(milliseconds=250), timedelta(seconds=1)
    async with LocalStore(tmp_path / "s.sqlite", SystemClock()) as store, writing(store, clock) as running:
        running.owed.add(work(0, 1))
        await running.confirmed(1)
        assert running.owed.lingers == [moment, moment]  # and waits for the next
        clock.advance(0.5)
        running.owed.add(work(1, 1))
        await running.confirmed(2)
        assert running.owed.lingers == [moment, moment, second / 2, moment]
        clock.advance(2)
        running.owed.add(work(2, 1))
        await running.confirmed(3)
        assert running.owed.lingers == [moment, moment, second / 2, moment, moment]


async def test_as_much_as_one_write_takes_waits_for_nothing(tmp_path: Path) -> None:
    async with LocalStore(tmp_path / "s.sqlite", SystemClock()) as store, writing(store, ManualClock()) as running:
        for number in range(2):
            running.owed.add(work(number * 5_000, 5_000))
            await running.confirmed(number + 1)
        assert set(running.owed.lingers) == {timedelta(milliseconds=250)}


async def test_what_was_taken_together_is_one_write_and_what_is_large_is_several(
    stubbed: tuple[Running, ManualClock], http_stub: HttpStub
) -> None:
    running, _ = stubbed
    running.owed.add(work(0, 2000), work(2000, 2000), work(4000, 2000), work(6000, 12_000), work(18_000, 1))
    await running.confirmed(5)

    assert http_stub.writes == [5000, 1000, 5000, 5000, 2000, 1]
    assert len(http_stub.stored) == 18_001
    assert running.owed.tally["written"] == 18_001


async def test_nothing_is_written_before_it_is_known_that_we_may(
    stubbed: tuple[Running, ManualClock], http_stub: HttpStub
) -> None:
    running, _ = stubbed
    running.may_write.clear()
    running.owed.add(work(0, 100))
    await wait_until(lambda: running.asked == 1)
    assert http_stub.requests == []
    running.may_write.set()
    await running.confirmed(1)
    assert len(http_stub.stored) == 100


async def test_work_without_lines_is_confirmed_too(stubbed: tuple[Running, ManualClock], http_stub: HttpStub) -> None:
    running, _ = stubbed
    running.owed.add(LineWork(lines=[], points=0, events=0))
    await running.confirmed(1)

    assert http_stub.requests == []


async def test_lines_that_the_store_refuses_are_counted_told_and_passed_by(tmp_path: Path) -> None:
    bad_point = encode([(series(), NOON, {"plate": "A12345", "v": float("nan")})])[0]
    bad_event = event_line(event()).replace(b"late=false", b"late=maybe")
    with capture_logs() as logs:
        async with LocalStore(tmp_path / "s.sqlite", SystemClock()) as store, writing(store, ManualClock()) as running:
            lines = [*work(0, 3).lines, bad_point, bad_event]
            running.owed.add(LineWork(lines=lines, points=4, events=1), work(3, 1))
            await running.confirmed(2)

    assert running.owed.tally == {"written": 4, "rejected": 1, "events_written": 0, "events_rejected": 1}
    assert [log["series"].encode() for log in logs] == [line.partition(b" ")[0] for line in (bad_point, bad_event)]
    assert [(log["event"], log["of"]) for log in logs] == [("line_rejected", 2)] * 2
    assert "A12345" not in str(logs)


async def test_a_flood_of_rejections_is_logged_by_its_first_few(tmp_path: Path) -> None:
    with capture_logs() as logs:
        async with LocalStore(tmp_path / "s.sqlite", SystemClock()) as store, writing(store, ManualClock()) as running:
            running.owed.add(LineWork(lines=[b"not a line"] * 5000, points=5000, events=0))
            await running.confirmed(1)

    assert running.owed.tally["rejected"] == 5000
    assert [log["of"] for log in logs] == [5000] * 3


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
async def test_every_point_is_stored_once_after_a_store_that_answered_with(
    stubbed: tuple[Running, ManualClock], http_stub: HttpStub, status: int
) -> None:
    running, _ = stubbed
    http_stub.script.extend([Answer(status=status, stores=True), Answer(status=status), Answer(status=status)])
    running.owed.add(work(0, 100), work(100, 100))
    await running.confirmed(2)

    assert len(http_stub.stored) == running.owed.tally["written"] == 200
    assert running.writer.writes_failed == 3
    assert running.owed.tally["rejected"] == 0


@pytest.mark.parametrize("deadline", [timedelta(milliseconds=500)], ids=[""])
@pytest.mark.parametrize("manner", [Manner.HANGING, Manner.TRICKLING, Manner.TRUNCATED, Manner.GARBLED, Manner.RESET])
async def test_every_point_is_stored_once_after_a_store_that_answers_by(
    stubbed: tuple[Running, ManualClock], http_stub: HttpStub, manner: Manner
) -> None:
    running, _ = stubbed
    http_stub.script.extend([Answer(status=500, manner=manner, stores=True), Answer(status=500, manner=manner)])
    running.owed.add(work(0, 100))
    await running.confirmed(1)

    assert len(http_stub.stored) == running.owed.tally["written"] == 100


async def test_pauses_double_up_to_two_seconds_and_half_of_each_is_chance(
    stubbed: tuple[Running, ManualClock], http_stub: HttpStub
) -> None:
    running, clock = stubbed
    http_stub.script.extend([Answer(status=500)] * 8)
    running.owed.add(work(0, 1))
    await running.confirmed(1)

    assert clock.sleeps == pytest.approx([0.075, 0.15, 0.3, 0.6, 1.2, 1.5, 1.5, 1.5])


async def test_the_store_may_ask_for_a_longer_pause_but_not_for_none(
    stubbed: tuple[Running, ManualClock], http_stub: HttpStub
) -> None:
    running, clock = stubbed
    http_stub.script.extend(
        [Answer(status=429, headers={"Retry-After": "20"}), Answer(status=503, headers={"Retry-After": "0"})]
    )
    running.owed.add(work(0, 1))
    await running.confirmed(1)

    assert clock.sleeps == pytest.approx([21, 0.105])


class Gate:
    """A store that is shut until ``open`` is set."""

    def __init__(self) -> None:
        self.open = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return

    async def write(self, lines: Sequence[bytes]) -> Written:
        if not self.open:
            raise UnavailableError("store_busy", "shut")
        return Written(accepted=len(lines))

    async def query(self, select: Query) -> list[Row]:
        raise UnavailableError("store_busy", str(select))

    async def ping(self) -> None:
        return


async def test_the_state_tells_since_when_the_store_is_gone_and_when_it_is_back() -> None:
    gate, clock = Gate(), ManualClock()
    since = clock.monotonic_ns()
    with capture_logs() as logs:
        async with writing(gate, clock) as running:
            assert running.writer.state.healthy
            running.owed.add(work(0, 3))
            await wait_until(lambda: running.writer.writes_failed >= 3)

            state = running.writer.state
            assert (state.healthy, state.behind_since, state.last_error) == (False, since, "[store_busy] shut")

            gate.open = True
            await running.confirmed(1)
            assert (state.healthy, state.behind_since) == (True, None)

    assert [log["event"] for log in logs] == ["series_store_lost", "series_store_regained"]


async def test_a_store_that_hangs_is_behind_since_it_was_asked(
    stubbed: tuple[Running, ManualClock], http_stub: HttpStub
) -> None:
    running, clock = stubbed
    since = clock.monotonic_ns()
    http_stub.script.append(Answer(manner=Manner.HANGING))
    running.owed.add(work(0, 1))
    await wait_until(lambda: http_stub.requests)
    clock.advance(60)
    assert (running.writer.writes_failed, running.writer.state.behind_since) == (0, since)


async def test_every_point_is_there_once_after_the_real_server_was_gone_for_a_while(
    influxdb: InfluxServer, deadline: timedelta
) -> None:
    async with (
        InfluxStore(url=influxdb.url, token="", org="", bucket="hub", deadline=deadline) as store,
        writing(store, SystemClock()) as running,
    ):
        for position in range(20):
            running.owed.add(work(position * 500, 500))
        await running.confirmed(20)
        influxdb.stop()
        for position in range(20, 40):
            running.owed.add(work(position * 500, 500))
        await wait_until(lambda: running.writer.writes_failed >= 3)
        assert not running.writer.state.healthy
        await influxdb.start()
        await running.confirmed(40)

    assert running.owed.tally["written"] == 20_000
    assert await influxdb.ask("SELECT number FROM smoke_sensor") == [[NOON + n, n] for n in range(20_000)]


async def test_work_that_was_not_confirmed_before_a_crash_is_the_same_points_after_it(tmp_path: Path) -> None:
    async with LocalStore(tmp_path / "s.sqlite", SystemClock()) as store:
        async with writing(store, ManualClock()) as before:
            before.owed.add(work(0, 50))
            await before.confirmed(1)
        async with writing(store, ManualClock()) as after:
            after.owed.add(work(0, 50), work(50, 50))
            await after.confirmed(2)

        assert [row.fields["number"] for row in await store.query(EVERYTHING)] == list(range(100))
