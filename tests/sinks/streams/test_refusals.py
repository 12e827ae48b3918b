"""What a Valkey refuses inside a transaction that it does: told when it takes it again, once, whoever owns it then."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from hub.sinks import backlog, parcels, stream_sink
from hub.sinks.redis_link import RedisAddress, pairs
from hub.sinks.stream_readers import read_events
from hub.sinks.streams import cursor_key, domain_key
from tests.clocks import ManualClock
from tests.servers.proxy import Proxy
from tests.servers.valkey import PASSWORD, ValkeyServer
from tests.sinks.streams.rig import PARTITION, MemoryOutbox, Rig, event, has, is_there, work
from tests.waiting import wait_until

FIRE, LAST_ID = domain_key("fire"), f"{2**64 - 1}-{2**64 - 1}"


async def test_what_a_key_replaced_behind_our_back_refused_waits_until_it_is_mended_and_comes_once(
    valkey: ValkeyServer,
) -> None:
    outbox = MemoryOutbox()
    rig = Rig(valkey.address, outbox)
    async with valkey.link() as link, rig.running():
        outbox.put(1, work([event(1)]))
        await wait_until(lambda: not outbox.owed)
        await link.ask("SET", domain_key("fire"), "somebody's note")
        outbox.put(2, work([event(2), event(3, "care.fall")]))
        await wait_until(lambda: rig.sink.behind_since is not None)
        outbox.put(3, work([event(4)]))
        await wait_until(lambda: rig.sink.retries > 2)
        assert [each.name for each in await read_events(link, ["care"])] == ["care.fall"]
        await link.ask("DEL", domain_key("fire"))
        await wait_until(lambda: not outbox.owed)
        assert [each.id for each in await read_events(link, ["fire"])] == [event(2).id, event(4).id]
        assert [each.name for each in await read_events(link, ["care"])] == ["care.fall"]
    assert rig.fence.refused == 1
    assert rig.sink.behind_since is None


async def test_what_was_refused_is_told_by_the_next_process_and_told_once(valkey: ValkeyServer) -> None:
    outbox = MemoryOutbox()
    async with valkey.link() as link:
        rig = Rig(valkey.address, outbox, clock=ManualClock())
        async with rig.running():
            outbox.put(1, work([event(1)]))
            await wait_until(lambda: not outbox.owed)
            await link.ask("SET", domain_key("fire"), "somebody's note")
            outbox.put(2, work([event(2), event(3, "care.fall")]), work([event(4, "care.fall")]), work([event(5)]))
            await wait_until(lambda: rig.sink.behind_since is not None)
        await link.ask("DEL", domain_key("fire"))
        later = Rig(valkey.address, outbox, clock=ManualClock())
        async with later.running():
            outbox.put(6, work([event(6)]))
            await wait_until(lambda: not outbox.owed)
        assert [each.id for each in await read_events(link, ["fire"])] == [event(n).id for n in (2, 5, 6)]
        assert [each.id for each in await read_events(link, ["care"])] == [event(n).id for n in (3, 4)]
        assert set(pairs(await link.ask("HGETALL", cursor_key("p1")))) == {b"journal", b"epoch", b"record"}
    assert outbox.tally["events"] == 6


async def test_the_next_process_tells_what_was_refused_in_whatever_portions_the_outbox_gives_it(
    valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = MemoryOutbox()
    async with valkey.link() as link:
        rig = Rig(valkey.address, outbox, clock=ManualClock())
        async with rig.running():
            outbox.put(1, work([event(1), event(11, "care.fall")]))
            await wait_until(lambda: not outbox.owed)
            await link.ask("SET", FIRE, "somebody's note")
            await link.ask("SET", domain_key("care"), "another")
            outbox.put(2, *[work([event(n), event(n + 10, "care.fall")]) for n in range(2, 7)])
            await wait_until(lambda: rig.fence.refused == 10)
        await link.ask("DEL", domain_key("fire"), domain_key("care"))
        monkeypatch.setattr(stream_sink, "RECORDS_PER_TAKE", 2)
        outbox.put(7, work([event(7)]))
        async with Rig(valkey.address, outbox, clock=ManualClock()).running():
            await wait_until(lambda: not outbox.owed)
        assert [each.id for each in await read_events(link, ["fire"])] == [event(n).id for n in range(2, 8)]
        assert [each.id for each in await read_events(link, ["care"])] == [event(n + 10).id for n in range(2, 7)]


async def test_a_key_that_has_taken_more_than_another_is_not_told_again_what_the_other_lacks(
    valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox, care = MemoryOutbox(), domain_key("care")
    async with valkey.link() as link:
        rig = Rig(valkey.address, outbox, clock=ManualClock())
        async with rig.running():
            outbox.put(1, work([event(1), event(11, "care.fall")]))
            await wait_until(lambda: not outbox.owed)
            for key in (FIRE, care):
                await link.ask("SET", key, "somebody's note")
            outbox.put(2, *[work([event(n), event(n + 10, "care.fall")]) for n in range(2, 7)])
            await wait_until(lambda: rig.fence.refused == 10)
        await link.ask("DEL", FIRE, care)
        await link.ask("HSET", cursor_key(PARTITION), f"untold:{care}", 4)  # it has taken 2 to 4 since
        monkeypatch.setattr(stream_sink, "RECORDS_PER_TAKE", 2)
        async with Rig(valkey.address, outbox, clock=ManualClock()).running():
            await wait_until(lambda: not outbox.owed)
        assert [each.id for each in await read_events(link, ["fire"])] == [event(n).id for n in range(2, 7)]
        assert [each.id for each in await read_events(link, ["care"])] == [event(n + 10).id for n in range(5, 7)]


async def test_each_portion_that_a_mended_key_is_told_is_a_move(
    valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What hangs is ended by its watchdog (hub/stages.py), and it may take minutes until all is told."""
    monkeypatch.setattr(parcels, "COMMANDS_PER_TRANSACTION", 1)
    outbox = MemoryOutbox()
    async with valkey.link() as link:
        await link.ask("SET", FIRE, "somebody's note")
        rig = Rig(valkey.address, outbox)
        async with rig.running():
            outbox.put(1, *[work([event(n)]) for n in range(1, 21)])
            await wait_until(lambda: rig.sink.retries > 0)
            moves = rig.sink.transactions
            await link.ask("DEL", FIRE)
            await wait_until(lambda: not outbox.owed)
        assert rig.sink.transactions == moves + 20


async def test_what_one_stream_refuses_waits_alone_while_the_others_go_on(valkey: ValkeyServer) -> None:
    outbox, care = MemoryOutbox(), domain_key("care")
    async with valkey.link() as link:
        await link.ask("SET", FIRE, "somebody's note")
        rig = Rig(valkey.address, outbox)
        async with rig.running():
            for record in range(1, 8):  # one after the other, so that it refuses before most of them come
                outbox.put(record, work([event(record), event(record + 10, "care.fall")]))
                await wait_until(lambda: has(link, care, record))  # noqa: B023 -- it is awaited here
            assert rig.fence.refused == 1
            assert rig.sink.behind_since is not None
            assert [position for position, _ in outbox.owed] == [*range(1, 8)]
        await link.ask("DEL", FIRE)
        later = Rig(valkey.address, outbox)
        async with later.running():
            outbox.put(8, work([event(8), event(18, "care.fall")]))
            await wait_until(lambda: not outbox.owed)
            assert later.sink.behind_since is None
        assert [each.id for each in await read_events(link, ["fire"])] == [event(n).id for n in range(1, 9)]
        assert [each.id for each in await read_events(link, ["care"])] == [event(n).id for n in range(11, 19)]
        assert set(pairs(await link.ask("HGETALL", cursor_key(PARTITION)))) == {b"journal", b"epoch", b"record"}
    assert outbox.tally["events"] == 16


def begun_tasks() -> list[str]:
    """Return the names of the tasks that this loop begins from now on."""
    begun: list[str] = []

    def noted(loop: asyncio.AbstractEventLoop, work: Any, **words: Any) -> asyncio.Task[Any]:  # noqa: ANN401 -- as it comes
        begun.append(str(work))
        return asyncio.Task(work, loop=loop, **words)

    asyncio.get_running_loop().set_task_factory(noted)
    return begun


async def test_others_do_not_wait_until_one_that_refuses_is_asked_again(
    valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_sink, "BACKOFF_SECONDS", (3_600.0,))
    outbox, care = MemoryOutbox(), domain_key("care")
    async with valkey.link() as link:
        await link.ask("SET", FIRE, "somebody's note")
        rig = Rig(valkey.address, outbox)
        async with rig.running():
            outbox.put(1, work([event(1)]))
            await wait_until(lambda: rig.sink.retries == 1)
            begun = begun_tasks()
            for record in range(2, 6):
                outbox.put(record, work([event(record), event(record + 10, "care.fall")]))
                await wait_until(lambda: has(link, care, record - 1))  # noqa: B023 -- it is awaited here
        assert rig.sink.retries == 1
        assert [each.id for each in await read_events(link, ["care"])] == [event(n + 10).id for n in range(2, 6)]
        assert begun == [], "whoever rests is woken by what comes, and not by tasks that watch for it"


async def test_a_stream_that_is_mended_gets_all_of_it_while_another_refuses_still(
    valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_sink, "RECORDS_PER_TAKE", 2)
    outbox, care, access = MemoryOutbox(), domain_key("care"), domain_key("access")
    async with valkey.link() as link:
        for key in (FIRE, care):
            await link.ask("SET", key, "somebody's note")
        rig = Rig(valkey.address, outbox)
        async with rig.running():
            names = ("fire.confirmed", "care.fall", "access.passage")
            outbox.put(1, *[work([event(n + 10 * at, name) for at, name in enumerate(names)]) for n in range(1, 8)])
            await wait_until(lambda: has(link, access, 7))
            await link.ask("DEL", care)
            await wait_until(lambda: has(link, care, 7))
            outbox.put(8, work([event(18, "care.fall")]))
            await wait_until(lambda: has(link, care, 8))
            await link.ask("DEL", FIRE)
            await wait_until(lambda: not outbox.owed)
        for at, domain in enumerate(("fire", "care", "access")):
            expected = [event(n + 10 * at).id for n in range(1, 9 if domain == "care" else 8)]
            assert [each.id for each in await read_events(link, [domain])] == expected


async def test_however_much_is_owed_behind_what_one_stream_refuses_the_others_get_theirs(
    valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "PORTION", 3)
    outbox, care = MemoryOutbox(), domain_key("care")
    async with valkey.link() as link:
        await link.ask("SET", FIRE, "somebody's note")
        async with Rig(valkey.address, outbox).running():
            outbox.put(1, *[work([event(n), event(n + 100, "care.fall")]) for n in range(1, 12)])
            await wait_until(lambda: has(link, care, 11))
            outbox.put(12, *[work([event(n), event(n + 100, "care.fall")]) for n in range(12, 30)])
            await wait_until(lambda: has(link, care, 29))
            await link.ask("DEL", FIRE)
            await wait_until(lambda: not outbox.owed)
        assert [each.id for each in await read_events(link, ["fire"])] == [event(n).id for n in range(1, 30)]
        assert [each.id for each in await read_events(link, ["care"])] == [event(n + 100).id for n in range(1, 30)]
    assert outbox.tally["events"] == 58


async def test_more_keys_than_a_hub_can_ask_hold_up_everything_until_they_are_mended(
    valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_sink, "UNTOLD_KEYS", 2)
    outbox, care, access = MemoryOutbox(), domain_key("care"), domain_key("access")
    async with valkey.link() as link:
        for key in (FIRE, care):
            await link.ask("SET", key, "somebody's note")
        rig = Rig(valkey.address, outbox)
        async with rig.running():
            outbox.put(1, work([event(1), event(2, "care.fall"), event(3, "access.passage")]))
            await wait_until(lambda: has(link, access, 1))
            outbox.put(2, work([event(4, "access.passage")]))
            retries = rig.sink.retries
            await wait_until(lambda: rig.sink.retries > retries + 3)
            assert await link.ask("XLEN", access) == 1
            await link.ask("DEL", care)
            await wait_until(lambda: has(link, access, 2))
            await link.ask("DEL", FIRE)
            await wait_until(lambda: not outbox.owed)


async def test_a_server_that_forgets_a_refusal_with_its_transaction_is_told_each_event_once(
    valkey: ValkeyServer,
) -> None:
    outbox, fire, aside = MemoryOutbox(), domain_key("fire"), "aside"
    rig = Rig(valkey.address, outbox)
    async with valkey.link() as link, rig.running():
        outbox.put(1, work([event(1)]))
        await wait_until(lambda: not outbox.owed)
        before = await link.ask("DUMP", cursor_key("p1"))
        assert isinstance(before, bytes)
        await link.ask("RENAME", fire, aside)
        await link.ask("SET", fire, "somebody's note")
        outbox.put(2, work([event(2), event(3, "care.fall")]))
        await wait_until(lambda: rig.sink.behind_since is not None)
        await link.ask("MULTI")
        for forgotten in (("DEL", domain_key("care"), fire), ("RENAME", aside, fire)):
            await link.ask(*forgotten)
        await link.ask("RESTORE", cursor_key("p1"), 0, before, "REPLACE")
        await link.ask("EXEC")
        await wait_until(lambda: not outbox.owed)
        assert [each.id for each in await read_events(link, ["fire"])] == [event(1).id, event(2).id]
        assert [each.id for each in await read_events(link, ["care"])] == [event(3).id]
    assert rig.fence.tails_lost == 1


async def test_a_loss_is_told_once_also_by_whoever_starts_while_a_key_refuses_what_came_behind_it(
    valkey: ValkeyServer,
) -> None:
    outbox = MemoryOutbox()
    rig = Rig(valkey.address, outbox)
    async with valkey.link() as link, rig.running():
        outbox.put(1, work([event(1), event(2, "care.fall")]))
        await wait_until(lambda: not outbox.owed)
        await link.ask("FLUSHALL")
        await link.ask("SET", FIRE, "somebody's note")
        outbox.put(2, work([event(3), event(4, "care.fall")]))
        await wait_until(lambda: rig.sink.retries > 2)
    assert rig.tails == [(1, 0)]
    again = Rig(valkey.address, outbox, confirmed=1)
    async with again.running():
        await wait_until(lambda: again.sink.retries > 2)
    assert again.tails == []


async def test_a_server_that_forgets_what_a_key_was_told_and_no_more_is_told_of(valkey: ValkeyServer) -> None:
    """An old copy from between the refusal and its mending: its cursor is the same, and the note is there again."""
    outbox = MemoryOutbox()
    rig = Rig(valkey.address, outbox)
    fire = domain_key("fire")
    async with valkey.link() as link, rig.running():
        outbox.put(1, work([event(1, "care.fall")]))
        await wait_until(lambda: not outbox.owed)
        await link.ask("SET", fire, "somebody's note")
        outbox.put(2, work([event(2), event(102, "care.fall")]), work([event(3)]))
        await wait_until(lambda: rig.sink.retries > 2)
        noted = pairs(await link.ask("HGETALL", cursor_key(PARTITION)))
        await link.ask("DEL", fire)
        await wait_until(lambda: not outbox.owed)
        await link.ask("DEL", fire)
        await link.ask("HSET", cursor_key(PARTITION), *(word for pair in noted.items() for word in pair))
        outbox.put(4, work([event(4)]))
        await wait_until(lambda: not outbox.owed)
        assert [each.id for each in await read_events(link, ["fire"])] == [event(4).id]
    assert (rig.tails, rig.fence.tails_lost) == ([(3, 1)], 1)


async def test_a_stream_without_an_id_left_holds_up_what_follows_and_is_told_by_whoever_finds_it_mended(
    valkey: ValkeyServer,
) -> None:
    outbox = MemoryOutbox()
    rig = Rig(valkey.address, outbox)
    async with valkey.link() as link:
        with capture_logs() as logs:
            async with rig.running():
                await link.ask("XADD", FIRE, LAST_ID, "a", "b")
                outbox.put(1, work([event(1), event(2, "care.fall")]), work([event(3)]))
                await wait_until(lambda: rig.sink.behind_since is not None)
                await wait_until(lambda: rig.sink.retries > 1)
        assert outbox.owed
        refusal = next(each for each in logs if each["event"] == "stream_command_refused")
        assert (refusal["key"], "ID" in refusal["reason"]) == (FIRE, True)
        await link.ask("DEL", FIRE)
        async with Rig(valkey.address, outbox).running():
            await wait_until(lambda: not outbox.owed)
        assert [each.id for each in await read_events(link, ["fire"])] == [event(1).id, event(3).id]
        assert [each.id for each in await read_events(link, ["care"])] == [event(2).id]
        assert set(pairs(await link.ask("HGETALL", cursor_key(PARTITION)))) == {b"journal", b"epoch", b"record"}
    assert outbox.tally["events"] == 3


@pytest.mark.parametrize("fills", [False, True], ids=["somebody else's", "no id left"])
async def test_a_hub_killed_between_a_refusal_and_its_answer_leaves_it_to_the_next_one(
    valkey: ValkeyServer,
    fills: bool,  # noqa: FBT001 -- a case
) -> None:
    outbox = MemoryOutbox()
    async with valkey.link() as link, Proxy(valkey.port).serve() as proxy:
        rig = Rig(RedisAddress(url=f"redis://:{PASSWORD}@127.0.0.1:{proxy.port}/0"), outbox)
        async with rig.running():
            outbox.put(1, work([event(1)]))
            await wait_until(lambda: not outbox.owed)
            if fills:
                await link.ask("XADD", FIRE, LAST_ID, "a", "b")
            else:
                await link.ask("SET", FIRE, "somebody's note")
            proxy.deafen_at = b"XADD"
            outbox.put(2, work([event(2), event(3, "care.fall")]))
            await wait_until(lambda: proxy.deafened)
            await wait_until(lambda: is_there(link, domain_key("care")))
        assert rig.fence.refused == 0  # nobody heard of it
        await link.ask("DEL", FIRE)
        async with Rig(valkey.address, outbox).running():
            await wait_until(lambda: not outbox.owed)
        assert [each.id for each in await read_events(link, ["fire"])] == [event(2).id]
        assert [each.id for each in await read_events(link, ["care"])] == [event(3).id]
