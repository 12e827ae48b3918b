"""One device talks a hundred times as much as the others: they must not notice."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from itertools import count
from statistics import median

import orjson

from hub.registry.nouns import Device
from hub.registry.registry import Registry
from tests.chaos.faults.fault import Fault
from tests.chaos.latency import ALLOWED, Window, p99s_ms, slowdown
from tests.chaos.storm import RATE, Storm
from tests.chaos.town import SITE
from tests.waiting import wait_until

QUIET, NOISY_TIMES = 100, 100
STEP_SECONDS = 0.05
ROUNDS, ROUNDS_MAX, WINDOW_MESSAGES = 12, 60, RATE
"""More rounds while it seems too slow: what others do on the machine passes, what the noise costs is in every round."""
DOORS = [f"quiet-{number}" for number in range(QUIET)]
NOISY = "noisy"


async def _talk(storm: Storm, sent_at: dict[str, int], enough: asyncio.Event) -> None:
    """Let one door after the other see a card, each once a second; note the wall ns before each publish."""
    async with storm.town.client() as client:
        began = storm.clock.monotonic_ns()
        for number in count():
            if enough.is_set():
                return
            await storm.clock.sleep((began + number * 1_000_000_000 // QUIET - storm.clock.monotonic_ns()) / 1e9)
            signal = {"name": "access.granted", "credential": "card", "card": f"quiet-{number}"}
            sent_at[f"quiet-{number}"] = storm.clock.wall_ns()
            payload = orjson.dumps({"part": "door-1", "signals": [signal]})
            await client.publish(f"hub/{SITE}/{DOORS[number % QUIET]}/signal", payload, qos=1)


async def _shout(storm: Storm, enough: asyncio.Event) -> None:
    """Publish a hundred times what a door does, in small bursts, as a firmware gone wild would."""
    async with storm.town.client() as client:
        while not enough.is_set():
            for _ in range(round(NOISY_TIMES * STEP_SECONDS)):
                await client.publish(f"hub/{SITE}/{NOISY}/telemetry", b'{"values": {"humidity": 50}}', qos=1)
            await storm.clock.sleep(STEP_SECONDS)


async def flood(storm: Storm) -> None:
    """Compare the doors' p99 in windows with and without the noise, one after the other."""
    await _register(storm)
    sent_at: dict[str, int] = {}
    calm: list[Window] = []
    loud: list[Window] = []
    before: list[float] = []
    meanwhile: list[float] = []
    async with _meanwhile(partial(_talk, storm, sent_at)):
        await storm.publisher.until_acked(RATE)
        found = math.inf
        while len(calm) < ROUNDS or (found > ALLOWED and len(calm) < ROUNDS_MAX):
            calm.append(await _window(storm))
            async with _meanwhile(partial(_shout, storm)):
                loud.append(await _window(storm))
            if len(calm) % ROUNDS == 0:
                streamed = await _streamed(storm, {card for card, at in sent_at.items() if at < loud[-1][1]})
                before, meanwhile = p99s_ms(sent_at, streamed, calm), p99s_ms(sent_at, streamed, loud)
                found = slowdown(before, meanwhile)
    storm.measured = f"p99 {median(before):.1f} → {median(meanwhile):.1f} ms, {found:.2f} ×"
    if found > ALLOWED:
        message = f"quiet devices notice it: {storm.measured}; {before} and {meanwhile} ms"
        raise AssertionError(message)


async def _register(storm: Storm) -> None:
    hub = storm.town.hub
    known = (await hub.metrics())["hub_registry_revision"]
    async with Registry(hub.settings.registry_url()) as registry:
        devices = [Device(site=SITE, id=door, kind="access_controller", place="b1") for door in DOORS]
        await registry.add_devices([*devices, Device(site=SITE, id=NOISY, kind="environment_sensor", place="b1")])

    async def is_known() -> bool:
        return (await hub.metrics())["hub_registry_revision"] > known

    await wait_until(is_known)


async def _window(storm: Storm) -> Window:
    since = storm.clock.wall_ns()
    await storm.publisher.until_acked(WINDOW_MESSAGES)
    return since, storm.clock.wall_ns()


async def _streamed(storm: Storm, wanted: set[str]) -> dict[str, int]:
    found: dict[str, int] = {}

    async def are_there() -> bool:
        found.update(await storm.town.streamed_at())
        return wanted <= found.keys()

    await wait_until(are_there)
    return found


@asynccontextmanager
async def _meanwhile(work: Callable[[asyncio.Event], Coroutine[None, None, None]]) -> AsyncIterator[None]:
    """Let ``work`` go on until its event is set.

    A cancel is not enough: in Python 3.11 ``wait_for``, in which aiomqtt awaits a PUBACK, passes over one that comes
    together with the answer, and the work would never end.
    """
    enough = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(work(enough), name="flood")
        try:
            yield
        finally:
            enough.set()


ROWS = (
    Fault(
        name="one device at 100 ×",
        does=f"p99 of {QUIET} quiet devices, publish to stream: at most {ALLOWED} × what it is without it",
        strike=flood,
        is_alone=True,
    ),
)
