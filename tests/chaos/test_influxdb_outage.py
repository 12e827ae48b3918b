"""InfluxDB goes away in a running stream: all points arrive once, and events do not notice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from hub.journal.outbox import MEMORY_BYTES
from tests.chaos.influx_town import InfluxTown
from tests.chaos.latency import ALLOWED, Window, p99s_ms, slowdown
from tests.chaos.town import opened
from tests.chaos.watch import resident_bytes
from tests.servers.influxdb import InfluxServer
from tests.servers.mosquitto import Mosquitto
from tests.servers.valkey import ValkeyServer
from tests.waiting import wait_until

RATE = 500
CARD_EVERY = 10
OUTAGE_SECONDS = 20
ROUNDS, WINDOW_SECONDS = 8, 3


@pytest.fixture
async def town(
    tmp_path: Path, mosquitto: Mosquitto, valkey: ValkeyServer, influxdb: InfluxServer
) -> AsyncIterator[InfluxTown]:
    async for each in opened(InfluxTown(tmp_path, mosquitto, valkey, influxdb, card_every=CARD_EVERY)):
        yield each


async def window(town: InfluxTown) -> Window:
    """Let a window of traffic pass and return its two ends (wall ns)."""
    since = town.clock.wall_ns()
    await town.until_sent(WINDOW_SECONDS * RATE)
    return since, town.clock.wall_ns()


async def check_latency(town: InfluxTown, here: Sequence[Window], away: Sequence[Window]) -> None:
    """Assert that events took about as long in the windows ``away`` as in those ``here``."""
    streamed = await town.streamed_at()
    p99s = [p99s_ms(town.sent.at, streamed, windows) for windows in (here, away)]
    assert slowdown(*p99s) <= ALLOWED


async def until_confirmed(town: InfluxTown) -> None:
    """Wait until the store has everything that was derived so far, or nearly: traffic goes on."""

    async def is_confirmed() -> bool:
        return (await town.hub.metrics())["hub_points_waiting"] < RATE

    await wait_until(is_confirmed)


async def check_all(town: InfluxTown) -> None:
    """Assert that everything is everywhere once, and that nothing is owed any more."""
    await town.until_settled()

    async def is_confirmed() -> bool:
        return (await town.hub.metrics())["hub_points_waiting"] == 0

    await wait_until(is_confirmed)
    await town.hub.until_ready()
    assert town.hub.stop() == 0
    await town.check_once()


@pytest.mark.timeout(150)
async def test_twenty_seconds_without_influxdb_cost_no_point(town: InfluxTown) -> None:
    town.hub.start()
    await town.hub.until_ready()
    async with town.traffic(RATE):
        await town.until_sent(2 * RATE)
        held = resident_bytes(town.hub.pid)
        await asyncio.to_thread(town.influxdb.stop)
        await town.until_sent(OUTAGE_SECONDS * RATE)
        waiting = (await town.hub.metrics())["hub_points_waiting"]
        grown = resident_bytes(town.hub.pid) - held
        readiness = await town.hub.readiness()
        await town.influxdb.start()
        await town.until_sent(RATE)
    assert readiness == (503, {"timeseries_behind"})
    assert waiting >= OUTAGE_SECONDS * RATE * (1 - 1 / CARD_EVERY)
    assert grown < MEMORY_BYTES
    await check_all(town)


@pytest.mark.timeout(180)
async def test_events_take_no_longer_while_influxdb_is_away(town: InfluxTown) -> None:
    town.hub.start()
    await town.hub.until_ready()
    here: list[Window] = []
    away: list[Window] = []
    async with town.traffic(RATE):
        await town.until_sent(2 * RATE)
        for _ in range(ROUNDS):
            here.append(await window(town))
            await asyncio.to_thread(town.influxdb.stop)
            away.append(await window(town))
            await town.influxdb.start()
            await until_confirmed(town)
    await check_all(town)
    await check_latency(town, here, away)


@pytest.mark.timeout(120)
async def test_a_hub_that_is_killed_while_influxdb_is_down_still_writes_every_point_once(town: InfluxTown) -> None:
    # Two events of one door in one millisecond, as in a backlog, share a point once in a million: see event_line.
    town.card_every = 100
    town.hub.start()
    await town.hub.until_ready()
    async with town.traffic(RATE):
        await town.until_sent(RATE)
        await asyncio.to_thread(town.influxdb.stop)
        for _ in range(2):
            await town.until_sent(2 * RATE)
            town.hub.kill()
            await town.until_sent(RATE // 2)
            town.hub.start()
            await town.hub.until_connected()
        await town.until_sent(RATE)
        await town.influxdb.start()
        await town.until_sent(RATE)
    await check_all(town)
