"""InfluxDB goes away in a running stream: all points arrive once, and events do not notice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from hub.journal.outbox import MEMORY_BYTES
from tests.chaos.influx_town import InfluxTown
from tests.chaos.latency import ALLOWED, Rounds, Slowdowns, Window, p99s_ms, slowdown_after, slowdowns
from tests.chaos.town import opened
from tests.chaos.watch import resident_bytes
from tests.servers.influxdb import InfluxServer
from tests.servers.mosquitto import Mosquitto
from tests.servers.valkey import ValkeyServer
from tests.waiting import wait_until

RATE = 500
CARD_EVERY = 10
OUTAGE_SECONDS = 20
ROUNDS, WINDOW_SECONDS = Rounds(8, 40), 2
"""More rounds while it seems too slow: what others do on the machine passes, what the outage costs is in every one."""


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


async def compared(town: InfluxTown, here: Sequence[Window], away: Sequence[Window]) -> Slowdowns:
    """Return how many times longer events took in the windows ``away`` than in those ``here``."""
    wanted = {card for card, at in town.sent.at.items() if at < away[-1][1]}
    streamed: dict[str, int] = {}

    async def are_there() -> bool:
        streamed.update(await town.streamed_at())
        return wanted <= streamed.keys()

    await wait_until(are_there)
    return slowdowns(*(p99s_ms(town.sent.at, streamed, windows) for windows in (here, away)))


async def until_confirmed(town: InfluxTown) -> None:
    """Wait until the store has everything that was derived so far, or nearly: traffic goes on."""

    async def is_confirmed() -> bool:
        return (await town.hub.metrics())["hub_points_waiting"] < RATE

    await wait_until(is_confirmed)


async def is_waiting(town: InfluxTown, points: float) -> bool:
    """Return whether so many points wait for the store."""
    return (await town.hub.metrics())["hub_points_waiting"] >= points


async def is_unready(town: InfluxTown, codes: set[str]) -> bool:
    """Return whether the hub names these reasons, and no others."""
    return await town.hub.readiness() == (503, codes)


async def check_all(town: InfluxTown) -> None:
    """Assert that everything is everywhere once, and that nothing is owed any more."""
    await town.until_settled()

    async def is_confirmed() -> bool:
        return (await town.hub.metrics())["hub_points_waiting"] == 0

    await wait_until(is_confirmed)
    await town.hub.until_ready()
    assert town.hub.stop() == 0
    await town.check_once()


async def test_twenty_seconds_without_influxdb_cost_no_point(town: InfluxTown) -> None:
    town.hub.start()
    await town.hub.until_ready()
    async with town.traffic(RATE):
        await town.until_sent(2 * RATE)
        held = resident_bytes(town.hub.pid)
        await asyncio.to_thread(town.influxdb.stop)
        await town.until_sent(OUTAGE_SECONDS * RATE)
        await wait_until(lambda: is_waiting(town, OUTAGE_SECONDS * RATE * (1 - 1 / CARD_EVERY)))
        await wait_until(lambda: is_unready(town, {"timeseries_behind"}))
        grown = resident_bytes(town.hub.pid) - held
        await town.influxdb.start()
        await town.until_sent(RATE)
    assert grown < MEMORY_BYTES
    await check_all(town)


@pytest.mark.timeout(900)
async def test_events_take_no_longer_while_influxdb_is_away(town: InfluxTown) -> None:
    town.hub.start()
    await town.hub.until_ready()
    here: list[Window] = []
    away: list[Window] = []

    async def outage() -> None:
        here.append(await window(town))
        await asyncio.to_thread(town.influxdb.stop)
        away.append(await window(town))
        await town.influxdb.start()
        await until_confirmed(town)

    async with town.traffic(RATE):
        await town.until_sent(2 * RATE)
        assert await slowdown_after(outage, lambda: compared(town, here, away), ROUNDS) <= ALLOWED
    await check_all(town)


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
