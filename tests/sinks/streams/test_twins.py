"""Twins in Redis, against a real Valkey."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from typing_extensions import override

from hub.errors import UnavailableError
from hub.model.effects import Twin
from hub.model.values import Quality, Scalar
from hub.sinks.ownership import Ownership
from hub.sinks.redis_link import Argument, Link, pack
from hub.sinks.stream_readers import read_twins
from hub.sinks.streams import twin_key
from hub.sinks.twins import FEW, ROWS_PER_WRITE, TwinSink
from tests.clocks import ManualClock
from tests.servers.valkey import ValkeyServer
from tests.sinks.streams.rig import NOON, MemoryTwins, claim_of
from tests.waiting import wait_until


def twin(name: str, value: float = 21.5, site: str = "north") -> Twin:
    reported: dict[str, tuple[Scalar, int, Quality]] = {"temperature": (value, NOON, Quality.GOOD)}
    return Twin(site=site, name=name, kind="smoke_sensor", availability="online", heard_at=NOON, reported=reported)


@asynccontextmanager
async def written_by_hand(valkey: ValkeyServer, twins: MemoryTwins) -> AsyncIterator[TwinSink]:
    clock = ManualClock()
    ownership = Ownership(valkey.link(), clock, claim_of())
    sink = TwinSink(valkey.link(), clock, ownership, twins)
    await sink.write()
    yield sink
    await sink.close()
    await ownership.close()


@asynccontextmanager
async def showing(
    valkey: ValkeyServer, twins: MemoryTwins, clock: ManualClock | None = None
) -> AsyncIterator[tuple[TwinSink, Ownership, asyncio.Task[None]]]:
    clock = clock or ManualClock()
    ownership = Ownership(valkey.link(), clock, claim_of())
    sink = TwinSink(valkey.link(), clock, ownership, twins)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(sink.run())
        yield sink, ownership, task
        task.cancel()
        await asyncio.wait([task])
    await sink.close()
    await ownership.close()


@pytest.fixture
async def link(valkey: ValkeyServer) -> AsyncIterator[Link]:
    async with valkey.link() as link:
        yield link


async def test_the_whole_replaces_what_was_there_and_leaves_no_draft(valkey: ValkeyServer, link: Link) -> None:
    await link.ask("HSET", twin_key("north"), "gone", "left behind")
    await link.ask("HSET", twin_key("south"), "gone", "left behind")
    rows = [twin(f"smoke-{number:04}", number) for number in range(1203)]
    async with showing(valkey, MemoryTwins(*rows)) as (sink, *_):
        await wait_until(lambda: sink.wholes)
        assert await read_twins(link, "north") == rows
        assert await link.ask("KEYS", "hub:twin:*") == [b"hub:twin:north"]
        assert await link.ask("KEYS", "hub:draft:*") == []


async def test_changes_follow_the_whole_row_by_row(valkey: ValkeyServer, link: Link) -> None:
    first, second = twin("smoke-1"), twin("smoke-2", site="south")
    twins = MemoryTwins(first)
    async with showing(valkey, twins) as (sink, *_):
        await wait_until(lambda: sink.wholes)
        twins.put(twin("smoke-1", 99.0))
        twins.put(second)
        await wait_until(lambda: read_twins(link, "south"))  # it goes with the other, and behind it
        assert await read_twins(link, "north") == [twin("smoke-1", 99.0)]
        assert await read_twins(link, "south") == [second]
        assert sink.written == 3
        twins.remove(second)
        await wait_until(lambda: sink.removed)
        assert await read_twins(link, "south") == []
    assert sink.wholes == 1


async def test_after_redis_was_gone_the_whole_is_written_again(valkey: ValkeyServer, link: Link) -> None:
    twins = MemoryTwins(twin("smoke-1"))
    async with showing(valkey, twins) as (sink, *_):
        await wait_until(lambda: sink.wholes)
        await link.ask("FLUSHALL")
        valkey.kill()
        twins.put(twin("smoke-2"))
        valkey.start()
        await wait_until(lambda: sink.wholes == 2)
    async with valkey.link() as again:
        assert await read_twins(again, "north") == [twin("smoke-1"), twin("smoke-2")]


async def test_after_a_living_redis_was_emptied_the_whole_is_written_again(valkey: ValkeyServer, link: Link) -> None:
    twins = MemoryTwins(twin("smoke-1"))
    async with written_by_hand(valkey, twins) as sink:
        await link.ask("FLUSHALL")
        sink.lost()
        await sink.write()
        assert await read_twins(link, "north") == [twin("smoke-1")]


async def test_what_is_lost_while_the_whole_is_being_written_is_written_again(valkey: ValkeyServer) -> None:
    class Losing(MemoryTwins):
        @override
        def of_site(self, site: str) -> Sequence[Twin]:
            if self.sink is not None:
                self.sink.lost()
            return super().of_site(site)

        sink: TwinSink | None = None

    twins = Losing(twin("smoke-1"))
    async with written_by_hand(valkey, twins) as sink:
        sink.lost()
        twins.sink = sink
        await sink.write()
        twins.sink = None
        await sink.write()
        await sink.write()
        assert sink.wholes == 3


async def test_while_redis_refuses_them_a_site_is_read_less_and_less_often(valkey: ValkeyServer, link: Link) -> None:
    """Of 100,000 devices that is a good part of a second, each second for as long as its memory is full."""

    class Read(MemoryTwins):
        @override
        def of_site(self, site: str) -> Sequence[Twin]:
            reads.append(clock.monotonic_ns() // 1_000_000_000)
            return super().of_site(site)

    clock, reads = ManualClock(), list[int]()
    await link.ask("ACL", "SETUSER", "default", "resetkeys", "~hub:cursor:*", "~hub:heartbeat:*")
    async with showing(valkey, Read(twin("smoke-1")), clock) as (sink, *_):
        await wait_until(lambda: len(reads) >= 7)
        assert reads[:7] == [1, 2, 4, 8, 16, 32, 48]
        await link.ask("ACL", "SETUSER", "default", "allkeys")
        await wait_until(lambda: sink.wholes)
        assert sink.behind_since is None


async def test_a_row_that_cannot_be_written_down_costs_itself(valkey: ValkeyServer, link: Link) -> None:
    twins = MemoryTwins(twin("smoke-1"), twin("smoke-2", site="north", value="\ud800"))  # type: ignore[arg-type]
    async with showing(valkey, twins) as (sink, *_):
        await wait_until(lambda: sink.wholes)
        assert await read_twins(link, "north") == [twin("smoke-1")]
    assert sink.rejected == 1


async def test_a_site_of_which_no_row_can_be_written_down_costs_the_others_nothing(
    valkey: ValkeyServer, link: Link
) -> None:
    bad = twin("smoke-1", value="\ud800")  # type: ignore[arg-type]
    async with written_by_hand(valkey, MemoryTwins(bad, twin("smoke-2", site="south"))):
        assert await read_twins(link, "south") == [twin("smoke-2", site="south")]
        assert await read_twins(link, "north") == []


async def test_the_loser_of_a_partition_stops_showing_twins(valkey: ValkeyServer) -> None:
    async with showing(valkey, MemoryTwins(twin("smoke-1"))) as (sink, ownership, task):
        await wait_until(lambda: sink.wholes)
        ownership.lose("another")
        await wait_until(task.done)
    assert not task.cancelled()


async def test_rows_are_drawn_with_their_record_where_devices_speak_once_a_second(
    valkey: ValkeyServer, link: Link
) -> None:
    twins = MemoryTwins()
    async with written_by_hand(valkey, twins) as sink:
        for number in range(3):
            twins.put(twin(f"smoke-{number}", 1.0))
            sink.applied(1)
        assert len(twins.changed) == 3  # nobody knows yet how often they speak
        await sink.write()
        for number in range(3):
            twins.put(twin(f"smoke-{number}", 2.0))
            sink.applied(1)
        assert not twins.changed
        await sink.write()
        assert await read_twins(link, "north") == [twin(f"smoke-{number}", 2.0) for number in range(3)]


async def test_the_newest_row_is_written_however_often_it_was_drawn(valkey: ValkeyServer, link: Link) -> None:
    twins = MemoryTwins()
    async with written_by_hand(valkey, twins) as sink:
        twins.put(twin("smoke-1"))
        sink.applied(1)
        await sink.write()
        for value in (1.0, 2.0):
            twins.put(twin("smoke-1", value))
            sink.applied(1)
        await sink.write()
        assert await read_twins(link, "north") == [twin("smoke-1", 2.0)]
        twins.put(twin("smoke-1", 3.0))
        sink.applied(1)
        twins.put(twin("smoke-1", 4.0))  # of a record that nobody told of yet
        await sink.write()
        assert await read_twins(link, "north") == [twin("smoke-1", 4.0)]
        assert sink.written == 3


async def test_what_was_drawn_and_removed_goes_and_what_was_removed_and_drawn_stays(
    valkey: ValkeyServer, link: Link
) -> None:
    twins, first, second = MemoryTwins(), twin("smoke-1"), twin("smoke-2")
    async with written_by_hand(valkey, twins) as sink:
        for row in (first, second):
            twins.put(row)
            sink.applied(1)
        await sink.write()
        twins.put(first)
        sink.applied(1)
        for row in (first, second):
            twins.remove(row)
        sink.applied(0)
        twins.put(second)
        sink.applied(1)
        await sink.write()
        assert await read_twins(link, "north") == [second]


async def test_rows_of_devices_that_speak_often_wait_for_their_second(valkey: ValkeyServer, link: Link) -> None:
    twins = MemoryTwins()
    async with written_by_hand(valkey, twins) as sink:
        for value in (1.0, 2.0, 3.0):
            twins.put(twin("smoke-1", value))
            sink.applied(1)
        await sink.write()
        twins.put(twin("smoke-1", 4.0))
        sink.applied(1)
        assert twins.changed
        await sink.write()
        assert await read_twins(link, "north") == [twin("smoke-1", 4.0)]


async def test_what_was_drawn_for_a_redis_that_was_gone_is_in_the_whole(valkey: ValkeyServer, link: Link) -> None:
    twins = MemoryTwins()
    async with written_by_hand(valkey, twins) as sink:
        twins.put(twin("smoke-1"))
        sink.applied(1)
        await sink.write()
        twins.put(twin("smoke-2"))
        sink.applied(1)
        await link.ask("FLUSHALL")
        valkey.kill()
        with pytest.raises(UnavailableError):
            await sink.write()
        valkey.start()
        await sink.write()
    async with valkey.link() as again:
        assert await read_twins(again, "north") == [twin("smoke-1"), twin("smoke-2")]


async def drawing(sink: TwinSink, twins: MemoryTwins) -> None:
    """Have a second of devices that speak once in it, so that rows are drawn from now on."""
    twins.put(twin("smoke-1"))
    sink.applied(1)
    await sink.write()


async def test_nothing_is_drawn_in_the_second_of_a_flood(valkey: ValkeyServer, link: Link) -> None:
    twins = MemoryTwins()
    async with written_by_hand(valkey, twins) as sink:
        await drawing(sink, twins)
        twins.put(twin("smoke-2"))
        sink.applied(FEW + 1)
        sink.applied(0)
        assert twins.changed  # else the tick's record would draw all of the flood at once
        await sink.write()
        assert await read_twins(link, "north") == [twin("smoke-1"), twin("smoke-2")]


async def test_of_many_that_change_at_once_few_are_drawn_and_all_are_written_a_portion_at_a_time(
    valkey: ValkeyServer, link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def weighed(*words: Argument) -> bytes:
        if words[0] == "HSET":
            sizes.append((len(words) - 2) // 2)
        return pack(*words)

    monkeypatch.setattr("hub.sinks.twins.pack", weighed)
    rows = [twin(f"smoke-{number:04}", number) for number in range(2_000)]
    twins = MemoryTwins(*rows)
    async with written_by_hand(valkey, twins) as sink:
        await drawing(sink, twins)
        for start in range(0, 600, FEW):
            for row in rows[start : start + FEW]:
                twins.put(row)
            sink.applied(FEW)
        twins.shown = 0
        for row in rows:
            twins.put(row)
        sink.applied(0)  # a tick in which they all fell silent
        assert 0 < twins.shown <= ROWS_PER_WRITE
        twins.put(twin("smoke-1999", -1.0))
        for row in rows[:3]:
            twins.remove(row)
        sink.applied(0)
        await sink.write()
        expected = [twin("smoke-1"), *rows[3:-1], twin("smoke-1999", -1.0)]
        assert await read_twins(link, "north") == sorted(expected, key=lambda row: row.name)
    assert max(sizes) <= ROWS_PER_WRITE
