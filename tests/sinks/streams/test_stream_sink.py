"""The stream sink against a real Valkey: every record once, in order, with its cursor."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from hub.model.effects import AlarmChange, Reply, Where
from hub.sinks.redis_link import RedisAddress, pairs, rows
from hub.sinks.stream_readers import read_alarms, read_events
from hub.sinks.streams import DEAD_LETTERS, domain_key, reply_key
from tests.clocks import ManualClock
from tests.interrupted import Interrupted, here
from tests.servers.proxy import Proxy
from tests.servers.valkey import PASSWORD, ValkeyServer
from tests.sinks.streams.rig import (
    JOURNAL,
    MemoryOutbox,
    Rig,
    alarm,
    claim_of,
    cursor,
    dead_letter,
    event,
    numbers,
    work,
)
from tests.waiting import wait_until


async def test_events_arrive_in_record_order_with_the_cursor(valkey: ValkeyServer) -> None:
    outbox = MemoryOutbox()
    outbox.put(1, *[work([event(record)]) for record in range(1, 1201)])
    rig = Rig(valkey.address, outbox)
    async with valkey.link() as link, rig.running():
        await wait_until(lambda: not outbox.owed)
        assert await numbers(link) == list(range(1, 1201))
        position = await cursor(link)
    assert (position.journal, position.epoch, position.record) == (JOURNAL, 1, 1200)
    assert outbox.tally["events"] == rig.sink.delivered["events"] == 1200


async def test_an_event_comes_back_as_it_was_raised(valkey: ValkeyServer) -> None:
    outbox = MemoryOutbox()
    lift = Where("lift-2", "elevator", {"zh": "二号梯"})
    raised = event(7, "elevator.ebike", late=True, test=True, drill=True, place=lift)
    outbox.put(1, work([raised]))
    async with valkey.link() as link, Rig(valkey.address, outbox).running():
        await wait_until(lambda: not outbox.owed)
        assert await read_events(link, ["elevator"]) == [raised]


async def test_one_record_that_is_bigger_than_a_transaction_goes_whole(valkey: ValkeyServer) -> None:
    outbox = MemoryOutbox()
    outbox.put(1, work([event(1)]), work([event(number) for number in range(2, 1502)]), work([event(1502)]))
    rig = Rig(valkey.address, outbox)
    async with valkey.link() as link, rig.running():
        await wait_until(lambda: not outbox.owed)
        assert await numbers(link) == list(range(1, 1503))
    assert rig.sink.transactions == 3


async def test_all_sorts_of_work_travel_with_their_record(valkey: ValkeyServer) -> None:
    outbox = MemoryOutbox()
    raised, gone = alarm("fire-confirmed"), alarm("gas-leak")
    outbox.put(
        1,
        work(alarms=[AlarmChange("north", gone.rule, gone.key, gone)]),
        work(
            alarms=[
                AlarmChange("north", raised.rule, raised.key, raised),
                AlarmChange("north", gone.rule, gone.key, None),
            ],
            replies=[Reply("b7e6", ok=True, code="done")],
            dead_letters=[dead_letter(12)],
        ),
    )
    rig = Rig(valkey.address, outbox)
    async with valkey.link() as link, rig.running():
        await wait_until(lambda: not outbox.owed)
        assert await read_alarms(link) == [raised]
        assert 0 < cast("int", await link.ask("TTL", reply_key("b7e6"))) <= 60
        announced = pairs(rows(rows(await link.ask("XRANGE", DEAD_LETTERS, "-", "+"))[0])[1])
    assert announced == {
        b"number": b"12",
        b"topic": b"hub/north/smoke-17/telemetry",
        b"code": b"bad_checksum",
        b"site": b"north",
        b"device": b"smoke-17",
    }
    assert outbox.tally == {"events": 0, "alarms": 3, "replies": 1, "dead_letters": 1, "rejected": 0}


async def test_what_cannot_be_written_down_costs_itself_and_not_what_follows(valkey: ValkeyServer) -> None:
    outbox = MemoryOutbox()
    outbox.put(1, work([event(1), event(2, time=1 << 70), event(3)]), work([event(4, device="\ud800")]))
    outbox.put(3, work([event(5)]))
    async with valkey.link() as link, Rig(valkey.address, outbox).running():
        await wait_until(lambda: not outbox.owed)
        assert await numbers(link) == [1, 3, 5]
    assert (outbox.tally["events"], outbox.tally["rejected"]) == (3, 2)


async def test_a_sink_cancelled_at_any_await_neither_loses_nor_repeats(valkey: ValkeyServer) -> None:
    async with valkey.link() as link:
        for at in range(1, 200):
            await link.ask("FLUSHALL")
            outbox = MemoryOutbox()
            outbox.put(1, *[work([event(record)]) for record in range(1, 1101)])
            first = Rig(valkey.address, outbox)
            interrupted = Interrupted(_until_empty(first, outbox), at)
            try:
                await interrupted
            except asyncio.CancelledError:
                here().uncancel()
            finally:
                await first.close()
            async with Rig(valkey.address, outbox).running():
                await wait_until(lambda outbox=outbox: not outbox.owed)  # type: ignore[misc]
            assert await numbers(link) == list(range(1, 1101)), f"cancelled at await {at}"
            if not interrupted.reached:
                break
        else:
            pytest.fail("the sink never finished undisturbed")
    assert at > 10


async def _until_empty(rig: Rig, outbox: MemoryOutbox) -> None:
    while outbox.owed:
        await rig.sink.deliver_next()


async def test_killing_valkey_while_it_is_written_to_neither_loses_nor_repeats(valkey: ValkeyServer) -> None:
    outbox = MemoryOutbox()
    rig = Rig(valkey.address, outbox)
    total = 0
    async with rig.running():
        for _ in range(6):
            outbox.put(total + 1, *[work([event(total + n)]) for n in range(1, 2501)])
            total += 2500
            await outbox.shrunk()
            valkey.kill()
            valkey.start()
        await wait_until(lambda: not outbox.owed)
    async with valkey.link() as link:
        assert await numbers(link) == list(range(1, total + 1))
    assert rig.fence.generation > 1
    assert rig.tails == []


async def test_a_transaction_that_happened_but_was_never_answered_is_not_repeated(valkey: ValkeyServer) -> None:
    outbox = MemoryOutbox()
    async with Proxy(valkey.port).serve() as proxy:
        address = RedisAddress(url=f"redis://:{PASSWORD}@127.0.0.1:{proxy.port}/0")
        rig = Rig(address, outbox, answer_seconds=1)
        async with valkey.link() as link, rig.running():
            outbox.put(1, work([event(1)]))
            await wait_until(lambda: not outbox.owed)
            proxy.deafen_at = b"XADD"
            outbox.put(2, work([event(2)]), work([event(3)]))
            await wait_until(lambda: not outbox.owed)
            assert await numbers(link) == [1, 2, 3]
    assert proxy.deafened == 1
    assert rig.sink.retries >= 1  # a busy server may take its second for other answers too


async def test_a_paused_valkey_that_finds_the_transaction_later_runs_it_once(valkey: ValkeyServer) -> None:
    outbox = MemoryOutbox()
    rig = Rig(valkey.address, outbox)
    async with rig.running():
        outbox.put(1, work([event(1)]))
        await wait_until(lambda: not outbox.owed)
        for record in range(2, 12):
            valkey.pause()
            rig.waits(0.1)
            outbox.put(record, work([event(record)]))
            retries = rig.sink.retries
            await wait_until(lambda retries=retries: rig.sink.retries > retries)  # type: ignore[misc]
            rig.waits()
            valkey.resume()
            await wait_until(lambda: not outbox.owed)
    async with valkey.link() as link:
        assert await numbers(link) == list(range(1, 12))


async def test_it_rests_between_two_transactions_and_not_behind_the_last_one(valkey: ValkeyServer) -> None:
    outbox, clock = MemoryOutbox(), ManualClock()
    async with Rig(valkey.address, outbox, clock=clock).running():
        for record, sleeps in ((1, []), (2, [0.005])):
            outbox.put(record, work([event(record)]))
            await wait_until(lambda: not outbox.owed)
            assert clock.sleeps == sleeps
        clock.advance(1)
        outbox.put(3, work([event(3)]))
        await wait_until(lambda: not outbox.owed)
        assert clock.sleeps == [0.005]


async def test_a_stopped_redis_gets_everything_once_and_in_order_when_it_is_back(valkey: ValkeyServer) -> None:
    outbox, clock = MemoryOutbox(), ManualClock()
    rig = Rig(valkey.address, outbox, clock=clock)
    async with rig.running():
        outbox.put(1, work([event(1)]))
        await wait_until(lambda: not outbox.owed)
        assert (rig.sink.connected, rig.sink.behind_since) == (True, None)
        valkey.stop()
        clock.advance(1)  # it has rested
        since = clock.monotonic_ns()
        outbox.put(2, *[work([event(record)]) for record in range(2, 500)])
        await wait_until(lambda: sum(clock.sleeps) > 10)
        assert (rig.sink.connected, rig.sink.behind_since) == (False, since)
        valkey.start()
        await wait_until(lambda: not outbox.owed)
        assert (rig.sink.connected, rig.sink.behind_since) == (True, None)
    async with valkey.link() as link:
        assert await numbers(link) == list(range(1, 500))
    assert max(clock.sleeps) == 1.0


async def test_a_full_redis_keeps_the_work_until_there_is_room(valkey: ValkeyServer) -> None:
    outbox = MemoryOutbox()
    rig = Rig(valkey.address, outbox)
    async with valkey.link() as link, rig.running():
        outbox.put(1, work([event(1)]))
        await wait_until(lambda: not outbox.owed)
        await link.ask("CONFIG", "SET", "maxmemory", "1mb")
        outbox.put(2, work([event(2)]))
        await wait_until(lambda: rig.sink.retries > 2)
        assert await numbers(link) == [1]
        await link.ask("CONFIG", "SET", "maxmemory", "0")
        await wait_until(lambda: not outbox.owed)
        assert await numbers(link) == [1, 2]
        assert (await cursor(link)).record == 2


async def test_a_key_that_holds_something_else_holds_up_its_events_instead_of_losing_them(valkey: ValkeyServer) -> None:
    outbox = MemoryOutbox()
    outbox.put(1, work([event(1)]))
    rig = Rig(valkey.address, outbox)
    async with valkey.link() as link, rig.running():
        await link.ask("SET", domain_key("care"), "somebody's note")
        outbox.put(2, work([event(2, "care.fall")]))
        await wait_until(lambda: rig.sink.retries > 2)
        assert outbox.owed
        await link.ask("DEL", domain_key("care"))
        await wait_until(lambda: not outbox.owed)
        assert await numbers(link) == [1, 2]


async def test_what_the_cursor_covers_is_confirmed_and_not_sent_again(valkey: ValkeyServer) -> None:
    first, again = MemoryOutbox(), MemoryOutbox()
    for outbox, records in ((first, range(1, 4)), (again, range(1, 6))):
        outbox.put(1, *[work([event(record)]) for record in records])
        async with Rig(valkey.address, outbox).running():
            await wait_until(lambda outbox=outbox: not outbox.owed)  # type: ignore[misc]
    async with valkey.link() as link:
        assert await numbers(link) == [1, 2, 3, 4, 5]


async def test_a_login_that_is_refused_is_retried_and_not_fatal(valkey: ValkeyServer) -> None:
    outbox, clock = MemoryOutbox(), ManualClock()
    outbox.put(1, work([event(1)]))
    rig = Rig(RedisAddress(url=valkey.address.url), outbox, clock=clock, claim=claim_of())
    async with rig.running():
        await wait_until(lambda: rig.sink.retries > 2)
    assert outbox.owed
