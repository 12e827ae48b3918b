"""The hub dies: at a random moment, and at every await of its pipeline."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial

from hub.failpoints import Place
from hub.registry.nouns import Device
from hub.registry.registry import Registry
from tests.bridge.device import publish
from tests.chaos.faults.fault import DOWN, STARTING, Fault
from tests.chaos.faults.redis import SLOW
from tests.chaos.faults.store import BEHIND
from tests.chaos.hub_process import HubProcess
from tests.chaos.poisons import POISONS
from tests.chaos.storm import RATE, Storm
from tests.chaos.town import SITE
from tests.waiting import wait_until


async def kill(storm: Storm) -> None:
    """Kill it at a random moment; let the broker queue for a while; start it again."""
    hub = storm.town.hub
    await storm.publisher.until_acked(storm.random.randrange(1, RATE))
    hub.kill()
    await storm.publisher.until_acked(storm.random.randrange(RATE // 4, RATE))
    hub.start()


async def kill_starting(storm: Storm) -> None:
    """Kill it again and again while it starts, at moments from its first import to its first acks."""
    hub = storm.town.hub
    hub.kill()
    await storm.publisher.until_acked(RATE)
    for _ in range(STARTS):
        hub.start(is_warm=False)
        await storm.clock.sleep(storm.random.uniform(*START_SECONDS))
        hub.kill()
    hub.start()


async def sleep(storm: Storm) -> None:
    """Let it sleep for longer than its heartbeat lives, as a machine that is suspended; nobody took its place."""
    hub = storm.town.hub
    hub.pause()
    await storm.publisher.until_acked(round(SLEEP_SECONDS * RATE))
    hub.resume()


async def die_at(place: Place, storm: Storm) -> None:
    """Start it so that it kills itself at ``place``, where what happens meanwhile leads; then start it again."""
    hub = storm.town.hub
    hub.kill()
    await storm.until_said(DOWN)  # it may be up again before anybody looks
    times = storm.random.randrange(*_TIMES[place.partition("_")[0]])
    async with _LEADS_TO.get(place, nothing)(storm):
        hub.start(f"{place}:{times}")
        await wait_until(hub.has_died)
    hub.start()


@asynccontextmanager
async def nothing(_storm: Storm) -> AsyncIterator[None]:
    """Let happen what happens anyway."""
    yield


@asynccontextmanager
async def spilling(storm: Storm) -> AsyncIterator[None]:
    """Let InfluxDB hang, and the hub's memory hold next to nothing of what it owes."""
    town = storm.town
    town.influxdb.pause()
    with beginning_with(town.hub, f"from hub.journal.outbox import Outbox as _; _.spill.__defaults__ = ({SMALL},); "):
        try:
            yield
        finally:
            town.influxdb.resume()


@asynccontextmanager
async def burying(storm: Storm) -> AsyncIterator[None]:
    """Let devices say what nobody can understand."""

    async def say() -> None:
        while True:
            await publish(storm.town.mosquitto.port, [POISONS[0].payload], topic=POISONS[0].topic)
            await storm.clock.sleep(1 / RATE)

    async with meanwhile(say()):
        yield


@asynccontextmanager
async def laying_down(storm: Storm) -> AsyncIterator[None]:
    """Let a few devices be registered, and the hub write ahead what is known of them one by one."""
    hub = storm.town.hub

    async def register() -> None:
        await hub.until_connected()
        new = [f"ahead-{storm.publisher.number}-{each}" for each in range(NEW_DEVICES)]
        async with Registry(hub.settings.registry_url()) as registry:
            await registry.add_devices([Device(site=SITE, id=each, kind="environment_sensor") for each in new])

    with beginning_with(hub, "import hub.journal.journal as _; _.LAID_AT_ONCE = 1; "):
        async with meanwhile(register()):
            yield


@contextmanager
def beginning_with(hub: HubProcess, code: str) -> Iterator[None]:
    """Let what is started meanwhile run ``code`` first."""
    hub.prelude = code
    try:
        yield
    finally:
        hub.prelude = ""


@asynccontextmanager
async def meanwhile(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Let ``work`` go on, until it has ended or the block has."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(work, name="storm.meanwhile")
        try:
            yield
        finally:
            task.cancel()


STARTS, START_SECONDS = 4, (0.6, 2.0)
SLEEP_SECONDS = 7
SMALL, NEW_DEVICES = 2_000, 3
_OFTEN, _ONCE = (2, 6), (1, 2)
_LEADS_TO = {Place.SPILLED: spilling, Place.BURIED: burying, Place.LAID_DOWN: laying_down}
_TIMES = {
    **dict.fromkeys(("taken", "journaled", "acknowledged", "applied"), _OFTEN),  # the first time is the start itself
    **dict.fromkeys(("streams", "timeseries"), _ONCE),  # a sink may take everything at once
    "command": _OFTEN,  # that it leaves and that the broker has it, or that nobody is there, of each that a rule sends
    **dict.fromkeys(("spilled", "buried"), _OFTEN),
    "laid": (1, NEW_DEVICES + 1),
    "epoch": _ONCE,  # one a start
    "checkpoint": (1, 3),  # each waits 3 s for what may settle: five of them are half a minute on a busy machine
}
_CAMPAIGNS = {Place.BURIED, Place.LAID_DOWN, Place.EPOCH_CLAIMED, Place.EPOCH_KEPT}
_DEAD = frozenset({DOWN})

ROWS = (
    Fault(
        name="hub killed",
        does="SIGKILL at a random moment, in the middle of traffic",
        strike=kill,
        says=_DEAD,
        may_say=STARTING,
    ),
    Fault(
        name="hub killed while it starts",
        does=f"SIGKILL {STARTS} times, from its first import to its first acks, with a backlog",
        strike=kill_starting,
        says=_DEAD,
        may_say=STARTING,
        is_long=True,
    ),
    Fault(
        name="the hub sleeps",
        does=f"SIGSTOP for {SLEEP_SECONDS} s, longer than its heartbeat lives, SIGCONT",
        strike=sleep,
        says=_DEAD,
        may_say=STARTING | SLOW | BEHIND,
        is_long=True,
    ),
    *(
        Fault(
            name=f"hub killed at {place}",
            does=f"it kills itself at the failpoint `{place}`, after a start with a backlog",
            strike=partial(die_at, place),
            says=_DEAD,
            may_say=STARTING | (BEHIND if place is Place.SPILLED else frozenset()),
            is_long=place in _CAMPAIGNS,
        )
        for place in Place
    ),
)
