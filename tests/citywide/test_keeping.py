"""What the city keeps in Redis: each event once, also when a stream's key was somebody else's for a while."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from hub.citywide.keeping import CITY, Keeper, Kept, _telling
from hub.clock import SystemClock
from hub.sinks.fence import _pack_telling
from hub.sinks.ownership import Claim, Ownership
from hub.sinks.redis_link import pack
from hub.sinks.stream_readers import read_events
from hub.sinks.streams import cursor_key, events_key, outbox_key
from tests.citywide.rig import GARDEN, swipe
from tests.servers.valkey import ValkeyServer
from tests.sinks.streams.rig import JOURNAL
from tests.waiting import wait_until


async def test_an_event_that_its_stream_refused_is_there_once_when_the_stream_is_ours_again(
    valkey: ValkeyServer,
) -> None:
    clock, told = SystemClock(), swipe(1, GARDEN)
    claim = Claim(partition=CITY, journal=JOURNAL, host="host-a", epoch_hint=0, journal_end=0)
    async with valkey.link() as link, valkey.link() as of_owner, valkey.link() as of_keeper:
        keeper = Keeper(of_keeper, Ownership(of_owner, clock, claim), clock)
        await link.ask("SET", events_key(told.name), "somebody's note")
        async with asyncio.TaskGroup() as group:
            keeping = group.create_task(keeper.keep([told], Kept()))
            await wait_until(lambda: keeper.behind_since is not None)
            assert not keeping.done()
            await link.ask("DEL", events_key(told.name))
        assert [event.id for event in await read_events(link)] == [told.id]
        assert (keeper.transactions, keeper.behind_since) == (1, None)


@pytest.mark.parametrize(
    ("name", "words"),
    [("SET", ["somebody's note"]), ("XADD", [f"{2**64 - 1}-{2**64 - 1}", "a", "b"])],
    ids=["somebody else's", "no id left"],
)
async def test_what_was_refused_when_the_city_stopped_is_told_once_by_the_next_one(
    valkey: ValkeyServer, name: str, words: list[str]
) -> None:
    clock, told, later = SystemClock(), swipe(1, GARDEN), swipe(2, GARDEN)
    claim = Claim(partition=CITY, journal=JOURNAL, host="host-a", epoch_hint=0, journal_end=100)
    async with valkey.link() as link, valkey.link() as of_owner, valkey.link() as of_keeper:
        keeper = Keeper(of_keeper, Ownership(of_owner, clock, claim), clock)
        await link.ask(name, events_key(told.name), *words)
        with suppress(TimeoutError):
            async with asyncio.timeout(10) as limit, asyncio.TaskGroup() as group:
                group.create_task(keeper.keep([told], Kept()))
                await wait_until(lambda: keeper.behind_since is not None)
                limit.reschedule(0)
                await asyncio.Event().wait()
        await link.ask("DEL", events_key(told.name))
        next_one = Keeper(of_keeper, Ownership(of_owner, clock, claim), clock)
        await next_one.keep([later], Kept(judged_until=1))
        assert [event.id for event in await read_events(link)] == [told.id, later.id]
        assert await link.ask("LLEN", outbox_key(CITY)) == 2


async def test_many_events_that_a_stream_refused_come_once_and_in_order_a_portion_at_a_time(
    valkey: ValkeyServer,
) -> None:
    clock, told = SystemClock(), [swipe(number, GARDEN) for number in range(1, 31)]
    claim = Claim(partition=CITY, journal=JOURNAL, host="host-a", epoch_hint=0, journal_end=0)
    async with valkey.link() as link, valkey.link() as of_owner, valkey.link() as of_keeper:
        keeper = Keeper(of_keeper, Ownership(of_owner, clock, claim), clock)
        await link.ask("SET", events_key(told[0].name), "somebody's note")
        async with asyncio.TaskGroup() as group:
            group.create_task(keeper.keep(told, Kept()))
            await wait_until(lambda: keeper.behind_since is not None)
            await link.ask("DEL", events_key(told[0].name))
        assert [event.id for event in await read_events(link)] == [each.id for each in told]
        assert await link.ask("LLEN", outbox_key(CITY)) == len(told)


def test_what_is_told_at_once_is_not_much_more_than_what_there_is_to_tell() -> None:
    commands = [pack("RPUSH", outbox_key(CITY), b"x" * 600) for _ in range(1_000)]
    packed = _pack_telling(cursor_key(CITY), outbox_key(CITY), _telling(commands))
    assert len(packed) < 10 * sum(map(len, commands))
