"""The cursor is somebody else's, or behind: a sink stops, or tells of a lost tail and goes on."""

from __future__ import annotations

import asyncio

import pytest

from hub.errors import OwnershipLostError
from hub.model.effects import AlarmChange
from hub.sinks.streams import cursor_key
from tests.servers.valkey import ValkeyServer
from tests.sinks.streams.rig import (
    MemoryOutbox,
    Rig,
    alarm,
    cursor,
    event,
    numbers,
    whole_database,
    work,
)
from tests.waiting import wait_until


async def test_after_a_takeover_the_loser_stops_and_writes_nothing_more(valkey: ValkeyServer) -> None:
    old_outbox, new_outbox = MemoryOutbox(), MemoryOutbox()
    old, new = Rig(valkey.address, old_outbox), Rig(valkey.address, new_outbox)
    async with valkey.link() as link:
        with pytest.RaisesGroup(OwnershipLostError):
            async with old.running():
                old_outbox.put(1, work([event(1)]))
                await wait_until(lambda: not old_outbox.owed)
                assert await new.ownership.claim() == 2
                before = await whole_database(link)
                old_outbox.put(2, work([event(2)], alarms=[AlarmChange("north", "r", "north/k", alarm())]))
                await wait_until(lambda: old.ownership.is_lost)
                await asyncio.Event().wait()
        assert old_outbox.owed
        assert await whole_database(link) == before
    await new.close()


async def test_another_journal_in_the_cursor_stops_a_running_sink(valkey: ValkeyServer) -> None:
    outbox = MemoryOutbox()
    rig = Rig(valkey.address, outbox)
    async with valkey.link() as link:
        with pytest.RaisesGroup(OwnershipLostError):
            async with rig.running():
                outbox.put(1, work([event(1)]))
                await wait_until(lambda: not outbox.owed)
                await link.ask("HSET", cursor_key("p1"), "journal", "another")
                outbox.put(2, work([event(2)]))
                await asyncio.Event().wait()
        assert await numbers(link) == [1]


async def test_a_server_that_forgot_its_tail_is_reported_and_delivery_goes_on(valkey: ValkeyServer) -> None:
    outbox = MemoryOutbox()
    rig = Rig(valkey.address, outbox)
    async with valkey.link() as link, rig.running():
        outbox.put(1, *[work([event(record)]) for record in range(1, 6)])
        await wait_until(lambda: not outbox.owed)
        await link.ask("HSET", cursor_key("p1"), "record", 3)
        outbox.put(6, work([event(6)]))
        await wait_until(lambda: not outbox.owed)
        assert rig.tails == [(5, 3)]
        assert rig.fence.tails_lost == 1
        assert (await cursor(link)).record == 6


async def test_an_emptied_server_is_a_lost_tail_too(valkey: ValkeyServer) -> None:
    outbox = MemoryOutbox()
    rig = Rig(valkey.address, outbox, confirmed=41)
    async with valkey.link() as link, rig.running():
        outbox.put(42, work([event(42)]))
        await wait_until(lambda: not outbox.owed)
        assert await numbers(link) == [42]
    assert rig.tails == [(41, 0)]
