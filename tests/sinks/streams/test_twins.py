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
from hub.sinks.twins import ROWS_PER_WRITE, TwinSink
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


async def test_one_that_is_gone_and_one_of_its_name_that_has_spoken_since_is_shown(
    valkey: ValkeyServer, link: Link
) -> None:
    twins = MemoryTwins(twin("smoke-1"))
    async with written_by_hand(valkey, twins) as sink:
        twins.remove(twin("smoke-1"))
        twins.put(twin("smoke-1", 99.0))
        await sink.write()
        assert await read_twins(link, "north") == [twin("smoke-1", 99.0)]


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


async def test_of_many_that_change_at_once_so_many_are_written_a_second_those_first_that_wait_longest(
    valkey: ValkeyServer, link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.sinks.twins.ROWS_PER_SECOND", 1_200)
    rows = [twin(f"smoke-{number:04}", number) for number in range(2_000)]
    twins = MemoryTwins()
    async with written_by_hand(valkey, twins) as sink:
        for row in rows:
            twins.put(row)
        await sink.write()
        assert await read_twins(link, "north") == rows[:1_200]
        newer = [twin(rows[number].name, -1.0) for number in (0, 1_999)]
        for row in newer:
            twins.put(row)
        twins.remove(rows[1])  # one that is shown,
        twins.remove(rows[1_998])  # and one that waits
        await sink.write()
        assert await read_twins(link, "north") == [newer[0], *rows[2:1_998], newer[1]]
        assert sink.written == len(rows)  # of the one that is gone none, of who spoke again one more


async def test_what_waits_for_its_second_when_redis_is_gone_is_in_the_whole_and_not_written_again(
    valkey: ValkeyServer, link: Link
) -> None:
    twins = MemoryTwins()
    async with written_by_hand(valkey, twins) as sink:
        twins.put(twin("smoke-1"))
        await link.ask("FLUSHALL")
        valkey.kill()
        with pytest.raises(UnavailableError):
            await sink.write()
        valkey.start()
        twins.put(twin("smoke-2"))
        await sink.write()
        assert not twins.changed
    async with valkey.link() as again:
        assert await read_twins(again, "north") == [twin("smoke-1"), twin("smoke-2")]


@pytest.mark.parametrize("is_told_first", [True, False], ids=["while redis is away", "before the first whole"])
async def test_of_a_site_that_went_nothing_is_left(valkey: ValkeyServer, *, is_told_first: bool) -> None:
    """Its twins stood there for ever, with who had passed last: the whole is of sites that are there."""
    twins = MemoryTwins(twin("smoke-1"), twin("smoke-2", site="south"))
    async with written_by_hand(valkey, twins) as sink:
        twins.remove(twin("smoke-2", site="south"))
        twins.of_partition = ("north",)
        if is_told_first:
            valkey.stop()
            with pytest.raises(UnavailableError):
                await sink.write()
            valkey.start()
        else:
            sink.lost()
        await sink.write()
    async with valkey.link() as again:
        assert await again.ask("KEYS", "hub:twin:*") == [b"hub:twin:north"]


async def test_rows_go_a_portion_at_a_time(valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def weighed(*words: Argument) -> bytes:
        if words[0] == "HSET":
            sizes.append((len(words) - 2) // 2)
        return pack(*words)

    monkeypatch.setattr("hub.sinks.twins.pack", weighed)
    twins = MemoryTwins()
    async with written_by_hand(valkey, twins) as sink:
        for number in range(1_203):
            twins.put(twin(f"smoke-{number:04}", number))
        await sink.write()
    assert sizes == [ROWS_PER_WRITE, ROWS_PER_WRITE, 203]
