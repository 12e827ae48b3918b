"""What the city keeps in Redis: each event once, also when a stream's key was somebody else's for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import msgspec
import pytest
from typing_extensions import override

from hub.citywide import keeping
from hub.citywide.keeping import CITY, Keeper, Kept, telling_of
from hub.clock import SystemClock
from hub.model.effects import Event
from hub.sinks.ownership import Claim, Ownership
from hub.sinks.redis_link import Answer, Link, RedisAddress, pack
from hub.sinks.stream_readers import read_events
from hub.sinks.streams import events_key, outbox_key
from tests.citywide.rig import GARDEN, swipe
from tests.servers.valkey import ValkeyServer
from tests.sinks.streams.rig import JOURNAL
from tests.waiting import PATIENCE_SECONDS, wait_until


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
        await _held_up(keeper, [told])
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


async def test_a_stream_that_takes_some_and_refuses_again_has_each_event_once(
    valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "COMMANDS_PER_TELLING", 4)
    clock, told = SystemClock(), [swipe(number, GARDEN) for number in range(1, 11)]
    claim = Claim(partition=CITY, journal=JOURNAL, host="host-a", epoch_hint=0, journal_end=100)
    stream, seen = events_key(told[0].name), list[str]()
    async with valkey.link() as link, valkey.link() as of_owner, valkey.link() as of_keeper:
        for free, events in ((0, told), (6, []), (100, [])):  # of four and four the second portion ends in its middle
            await link.ask("XADD", stream, f"{2**64 - 1}-{2**64 - 1 - free}", "a", "b")
            await link.ask("XTRIM", stream, "MAXLEN", 0)
            keeper = Keeper(of_keeper, Ownership(of_owner, clock, claim), clock)
            if free <= len(told):
                await _held_up(keeper, events)
            else:
                await keeper.keep([], Kept(judged_until=1))
            seen += [event.id for event in await read_events(link)]
            await link.ask("DEL", stream)
    assert seen == [each.id for each in told]


async def _held_up(keeper: Keeper, told: Sequence[Event]) -> None:
    """Let ``keeper`` keep what Redis does not take yet, and end it then."""
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_SECONDS) as limit, asyncio.TaskGroup() as group:
            group.create_task(keeper.keep(told, Kept()))
            await wait_until(lambda: keeper.behind_since is not None)
            limit.reschedule(0)
            await asyncio.Event().wait()


class Weighed(Link):
    """A link that counts the bytes that go over it, both ways."""

    def __init__(self, address: RedisAddress) -> None:
        super().__init__(address)
        self.carried_bytes = 0

    @override
    async def exchange(self, packed: Sequence[bytes], answers: int, *, patience: float = 0) -> list[Answer]:
        found = await super().exchange(packed, answers, patience=patience)
        self.carried_bytes += sum(map(len, packed)) + _size(found)
        return found


def _size(answer: Answer) -> int:
    return sum(map(_size, answer)) if isinstance(answer, list) else len(answer) if isinstance(answer, bytes) else 0


async def _told_bytes(valkey: ValkeyServer, count: int) -> int:
    """Return what goes over the wire until ``count`` events are told that a stream had refused."""
    clock, told = SystemClock(), [swipe(number, GARDEN) for number in range(count)]
    claim = Claim(partition=CITY, journal=JOURNAL, host="host-a", epoch_hint=0, journal_end=100)
    async with valkey.link() as link, valkey.link() as of_owner, Weighed(valkey.address) as of_keeper:
        await link.ask("FLUSHALL")
        await link.ask("SET", events_key(told[0].name), "somebody's note")
        await _held_up(Keeper(of_keeper, Ownership(of_owner, clock, claim), clock), told)
        await link.ask("DEL", events_key(told[0].name))
        of_keeper.carried_bytes = 0
        await Keeper(of_keeper, Ownership(of_owner, clock, claim), clock).keep([], Kept(judged_until=1))
        assert await link.ask("XLEN", events_key(told[0].name)) == count
        return of_keeper.carried_bytes


async def test_four_times_as_many_refused_events_are_told_with_four_times_as_many_bytes(valkey: ValkeyServer) -> None:
    few, many = await _told_bytes(valkey, 50), await _told_bytes(valkey, 200)
    assert 3.5 < many / few < 4.5


def test_a_note_of_an_earlier_version_is_told_from_its_beginning_and_a_mark_says_how_far_it_came() -> None:
    commands = [pack("RPUSH", outbox_key(CITY), f"line:{number}") for number in range(3)]
    note = msgspec.msgpack.encode(commands)
    assert [command for _, command in telling_of(note).commands] == commands
    assert telling_of(note + b":2").commands == [(b":2", commands[2])]
