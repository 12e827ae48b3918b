"""Alarms in Redis: shown whole on each new connection, and never overwritten by a late copy."""

from __future__ import annotations

import asyncio
from collections import UserDict
from collections.abc import ItemsView, Sequence

import pytest
from redis import Redis
from typing_extensions import override

from hub.model.effects import AlarmChange, AlarmState
from hub.sinks.stream_readers import read_alarms
from hub.sinks.streams import alarms_key, cursor_key
from tests.clocks import ManualClock
from tests.servers.valkey import PASSWORD, ValkeyServer
from tests.sinks.streams.rig import (
    MemoryOutbox,
    Rig,
    alarm,
    event,
    work,
)
from tests.waiting import wait_until


async def test_all_alarms_are_shown_on_a_new_connection_and_sites_without_any_are_cleared(valkey: ValkeyServer) -> None:
    outbox = MemoryOutbox()
    active = alarm()
    async with valkey.link() as link:
        await link.ask("HSET", alarms_key("south"), "old-rule/south/k", "left behind")
        rig = Rig(valkey.address, outbox, alarms={"north": [active], "south": []})
        async with rig.running():
            outbox.put(1, work([event(1)]))
            await wait_until(lambda: not outbox.owed)
            assert await read_alarms(link) == [active]


async def test_alarms_are_shown_again_after_redis_was_gone_without_any_event(valkey: ValkeyServer) -> None:
    outbox, clock = MemoryOutbox(), ManualClock()
    rig = Rig(valkey.address, outbox, clock=clock, alarms={"north": []})
    async with asyncio.TaskGroup() as tasks:
        keeping_up = tasks.create_task(rig.sink.keep_up())
        await wait_until(lambda: rig.sink.connected)
        valkey.stop()
        await wait_until(lambda: not rig.sink.connected)
        rig.alarms["north"] = [alarm()]
        valkey.start()
        async with valkey.link() as link:
            await wait_until(lambda: read_alarms(link))
            assert await read_alarms(link, ["north"]) == [alarm()]
        keeping_up.cancel()
        await asyncio.wait([keeping_up])
    await rig.close()


@pytest.mark.parametrize("delivered", [0, 1])
async def test_alarms_are_shown_again_after_a_living_redis_was_emptied(valkey: ValkeyServer, delivered: int) -> None:
    outbox, clock = MemoryOutbox(), ManualClock()
    rig = Rig(valkey.address, outbox, clock=clock, alarms={"north": [alarm()]})
    async with valkey.link() as link, rig.running(), asyncio.TaskGroup() as tasks:
        outbox.put(1, *[work([event(1)])] * delivered)
        await wait_until(lambda: not outbox.owed)
        keeping_up = tasks.create_task(rig.sink.keep_up())
        await wait_until(lambda: read_alarms(link))
        await link.ask("FLUSHALL")
        await wait_until(lambda: read_alarms(link))
        keeping_up.cancel()
        assert await read_alarms(link) == [alarm()]
    assert rig.tails == [(delivered, 0)]


async def test_the_whole_is_written_again_when_the_cursor_moved_under_it(valkey: ValkeyServer) -> None:
    outbox = MemoryOutbox()
    outbox.put(1, work([event(1)]))
    snapshots: list[int] = []

    class Racing(UserDict[str, Sequence[AlarmState]]):
        """Moves the cursor from another connection while the first snapshot is being taken."""

        @override
        def items(self) -> ItemsView[str, Sequence[AlarmState]]:
            snapshots.append(1)
            if len(snapshots) == 1:
                with Redis(port=valkey.port, password=PASSWORD) as other:
                    other.hset(cursor_key("p1"), "record", "0")
            return super().items()

    rig = Rig(valkey.address, outbox)
    rig.alarms = Racing(north=[alarm()])
    async with valkey.link() as link, rig.running():
        await wait_until(lambda: not outbox.owed)
        assert await read_alarms(link) == [alarm()]
    assert len(snapshots) == 2


async def test_a_change_that_follows_the_whole_is_not_overwritten_by_a_late_copy_of_it(valkey: ValkeyServer) -> None:
    """The whole times out in a paused server, which then finds two copies of it and a change in its buffers."""
    outbox = MemoryOutbox()
    stale = alarm("stale")
    rig = Rig(valkey.address, outbox, alarms={"north": [stale]})
    async with rig.running():
        outbox.put(1, work([event(1)]))
        await wait_until(lambda: not outbox.owed)
        await rig.fence.close()
        for record in range(2, 7):
            valkey.pause()
            rig.waits(0.1)
            outbox.put(record, work(alarms=[AlarmChange("north", stale.rule, stale.key, None)]))
            retries = rig.sink.retries
            await wait_until(lambda retries=retries: rig.sink.retries > retries)  # type: ignore[misc]
            rig.alarms["north"] = []
            rig.waits()
            valkey.resume()
            await wait_until(lambda: not outbox.owed)
            async with valkey.link() as link:
                assert await read_alarms(link) == []
