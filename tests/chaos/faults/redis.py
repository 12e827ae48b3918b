"""Valkey goes away, hangs, or does what it was asked and never says so."""

from __future__ import annotations

import resource
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import cast

from hub.model.effects import Event
from hub.sinks.redis_link import pack, pairs, rows
from hub.sinks.stream_readers import read_events
from hub.sinks.streams import DOMAINS, cursor_key, decode_event, domain_key, events_key
from hub.ui.pages.readiness import FORGOT_WINDOW_SECONDS
from tests.chaos.faults.fault import DOWN, STARTING, Fault
from tests.chaos.hub_process import HubProcess
from tests.chaos.storm import RATE, Storm
from tests.waiting import PATIENCE_SECONDS, wait_until

TAIL_LOST = "device.stream_tail_lost"
TAKE = "redis.call('RENAME', KEYS[1], KEYS[2]); return redis.call('SET', KEYS[1], 'a note')"
"""At once: what the hub adds to a stream between the two would be its own, and lost."""


async def kill(storm: Storm) -> None:
    """Kill it until the hub has noticed."""
    valkey = storm.town.valkey
    valkey.kill()
    await storm.until_said("redis_unreachable")
    await storm.publisher.until_acked(RATE)
    valkey.start()


async def hang(storm: Storm) -> None:
    """Let it hang until the hub has noticed."""
    valkey = storm.town.valkey
    valkey.pause()
    await storm.until_said("redis_unreachable", "ownership_unconfirmed")
    valkey.resume()


async def fill_memory(storm: Storm) -> None:
    """Let it refuse every write for want of memory, also to a hub that starts."""
    hub, valkey = storm.town.hub, storm.town.valkey
    async with valkey.link() as link:
        await link.ask("CONFIG", "SET", "maxmemory", "1")
        await storm.until_said("streams_behind")
        hub.kill()
        await storm.publisher.until_acked(RATE // 4)
        hub.start()
        await hub.until_connected()
        await hub.until_unready("streams_behind")
        await link.ask("CONFIG", "SET", "maxmemory", "0")


async def fill_disk(storm: Storm) -> None:
    """Let no file of it grow: with every write fsynced it gives up at the first that does not fit."""
    valkey, limit = storm.town.valkey, resource.RLIMIT_FSIZE
    resource.prlimit(valkey.pid, limit, (1, resource.prlimit(valkey.pid, limit)[1]))
    await storm.until_said(*GONE)
    await storm.publisher.until_acked(RATE)
    valkey.kill()
    valkey.start()


async def take_key(storm: Storm) -> None:
    """Let somebody put something else where a stream of ours was, and put the stream back when the hub has said so."""
    ours = events_key("access.granted")
    async with storm.town.valkey.link() as link:
        await link.ask("EVAL", TAKE, 2, ours, "aside")
        await storm.until_said("streams_behind")
        await link.ask("RENAME", "aside", ours)


@asynccontextmanager
async def refusing(storm: Storm) -> AsyncIterator[None]:
    """Let a stream be refused what a transaction adds to it, and its answer never come; mend it when the hub knows."""
    hub, link, ours = storm.town.hub, storm.redis_link, events_key("access.granted")
    cursor = cursor_key(storm.town.partition)
    async with storm.town.valkey.link() as valkey:

        async def is_noted() -> bool:
            return await valkey.ask("HEXISTS", cursor, f"untold:{ours}") == 1

        hub.pause()  # so that it is the first refusal of which nobody hears
        await valkey.ask("EVAL", TAKE, 2, ours, "aside")
        link.deafen_at = ours.encode()
        hub.resume()
        await wait_until(is_noted)
        yield
        await storm.until_said("streams_behind")
        await valkey.ask("RENAME", "aside", ours)


async def refuse_unheard(storm: Storm) -> None:
    """Let the hub find out by itself what its transaction came to."""
    async with refusing(storm):
        pass


async def kill_as_it_refuses(storm: Storm) -> None:
    """Kill the hub before it could hear of the refusal."""
    async with refusing(storm):
        storm.town.hub.kill()
        await storm.until_said(DOWN)
        storm.town.hub.start()


async def leave_no_id(storm: Storm) -> None:
    """Leave no id for a further entry of a stream, and go back to its last one when the hub has said so."""
    ours = events_key("access.granted")
    async with storm.town.valkey.link() as link:
        await link.ask("XSETID", ours, f"{2**64 - 1}-{2**64 - 1}")
        await storm.until_said("streams_behind")
        last = rows(rows(await link.ask("XREVRANGE", ours, "+", "-", "COUNT", 1))[0])[0]
        await link.ask("XSETID", ours, cast("bytes", last))


async def swallow_exec(storm: Storm) -> None:
    """Let a transaction happen and its answer vanish; over when the hub has given that connection up."""
    link, town = storm.redis_link, storm.town
    before = (await town.hub.metrics())['hub_flushes_failed_total{sink="streams"}']
    link.deafen_at = b"XADD"
    await wait_until(lambda: link.deafen_at is None)

    async def is_given_up() -> bool:
        return (await town.hub.metrics())['hub_flushes_failed_total{sink="streams"}'] > before

    await wait_until(is_given_up)


async def empty(storm: Storm) -> None:
    """Let somebody empty it under a hub at work."""
    async with forgetting(storm), storm.town.valkey.link() as link:
        looks = [pack("XRANGE", domain_key(domain), "-", "+") for domain in DOMAINS]
        # At once: what came between the look and the end would be lost, and nobody knew of it.
        *_, said = await link.exchange([pack("MULTI"), *looks, pack("FLUSHALL"), pack("EXEC")], len(looks) + 3)
        note(storm, [decode_event(pairs(rows(row)[1])) for held in rows(said)[:-1] for row in rows(held)])


async def come_back_old(storm: Storm) -> None:
    """Kill it and let it begin with an old copy of its files, as a replica that lags does when it takes over."""
    hub, valkey = storm.town.hub, storm.town.valkey
    files, old = valkey.directory / "appendonlydir", valkey.directory / "old"
    async with forgetting(storm):
        hub.pause()  # so that nobody writes meanwhile
        shutil.copytree(files, old)
        hub.resume()
        await storm.publisher.until_acked(RATE)
        hub.pause()
        async with valkey.link() as link:
            note(storm, await read_events(link, count=1_000_000))
        valkey.kill()
        shutil.rmtree(files)
        old.rename(files)
        valkey.start()
        hub.resume()


def note(storm: Storm, held: Sequence[Event]) -> None:
    """Note what the streams held until now."""
    known = {event.id for event in storm.streamed}
    storm.streamed += [event for event in held if event.id not in known]


@asynccontextmanager
async def forgetting(storm: Storm) -> AsyncIterator[None]:
    """Let Redis forget within the block; over when the hub has told of it, counted it, and is ready again.

    What the streams hold no more is in the store.
    """
    hub, counted = storm.town.hub, "hub_streams_forgotten_total"
    before = (await hub.metrics())[counted]
    yield
    await storm.until_said("redis_forgot")
    await wait_until(lambda: _is_ready(hub), seconds=FORGOT_WINDOW_SECONDS + PATIENCE_SECONDS)
    assert (await hub.metrics())[counted] == before + 1
    async with storm.town.valkey.link() as link:
        held = await read_events(link, count=1_000_000)
    assert TAIL_LOST in {event.name for event in held}, "no event tells of it"
    gone = {event.id for event in storm.streamed} - {event.id for event in held}
    await wait_until(lambda: _are_stored(storm, gone))
    storm.measured = f"{len(gone)} events are gone from the streams"


async def _is_ready(hub: HubProcess) -> bool:
    return await hub.readiness() == (HTTPStatus.OK, set())


async def _are_stored(storm: Storm, gone: set[str]) -> bool:
    return gone <= set(await storm.town.stored_event_ids())


GONE = frozenset({"redis_unreachable"})
SLOW = frozenset({"streams_behind", "ownership_unconfirmed"})

ROWS = (
    Fault(name="Valkey killed", does="SIGKILL, started again", strike=kill, says=GONE, may_say=SLOW),
    Fault(
        name="Valkey hangs",
        does="SIGSTOP until the hub says so, SIGCONT",
        strike=hang,
        says=GONE | {"ownership_unconfirmed"},
        may_say=SLOW,
    ),
    Fault(
        name="Valkey's memory is full",
        does="it refuses every write, also to a hub that is killed and starts meanwhile",
        strike=fill_memory,
        says=frozenset({"streams_behind", DOWN}),
        may_say=STARTING | GONE | SLOW | {"twins_behind"},
        is_long=True,
    ),
    Fault(
        name="Valkey's disk is full",
        does="RLIMIT_FSIZE: its append-only file cannot grow, and it ends; then there is room, and it is started again",
        strike=fill_disk,
        says=GONE,
        may_say=SLOW,
    ),
    Fault(
        name="a stranger's key in a stream's place",
        does="its transactions happen but for the events of that stream; then the stream is put back",
        strike=take_key,
        says=frozenset({"streams_behind"}),
        is_long=True,
    ),
    Fault(
        name="a stream refuses and nobody hears of it",
        does="as above, and the answer to the first transaction that it happens in never comes",
        strike=refuse_unheard,
        says=frozenset({"streams_behind"}),
        may_say=GONE | SLOW,
        is_long=True,
    ),
    Fault(
        name="hub killed as a stream refuses",
        does="as above, SIGKILL between EXEC and its answer, started again",
        strike=kill_as_it_refuses,
        says=frozenset({"streams_behind"}),
        may_say=STARTING | SLOW,
        is_long=True,
    ),
    Fault(
        name="no id left in a stream",
        does="XSETID to the last one there is: its transactions happen but for the events of that stream; then back",
        strike=leave_no_id,
        says=frozenset({"streams_behind"}),
        is_long=True,
    ),
    Fault(
        name="EXEC without an answer",
        does="the transaction happens, its answer never comes: the connection times out",
        strike=swallow_exec,
        may_say=GONE | SLOW,
    ),
    Fault(
        name="Valkey is emptied",
        does="FLUSHALL under a hub at work: it tells what is gone, which is in the store, and shows the rest again",
        strike=empty,
        says=frozenset({"redis_forgot"}),
        may_say=SLOW,
        is_long=True,
    ),
    Fault(
        name="Valkey comes back with an old copy",
        does="SIGKILL, then a start from files that are a second old, as a replica that lags does when it takes over",
        strike=come_back_old,
        says=frozenset({"redis_forgot"}),
        may_say=GONE | SLOW | {DOWN},
        is_long=True,
    ),
)
