"""InfluxDB goes away in a running stream: all points arrive once, and events do not notice."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import cast

import pytest
from typing_extensions import override

from hub.journal.outbox import MEMORY_BYTES
from hub.sinks.redis_link import pairs, rows
from hub.sinks.streams import decode_event, domain_key
from tests.chaos.town import Town, opened
from tests.servers.influxdb import InfluxServer
from tests.servers.mosquitto import Mosquitto
from tests.servers.valkey import ValkeyServer
from tests.waiting import wait_until

RATE = 500
CARD_EVERY = 10
"""One message in ten is an event: of one in a hundred a window would hold 50, and their p99 be the slowest of all."""
BEFORE_SECONDS, OUTAGE_SECONDS = (8, 8), (10, 10)
ALLOWED = 1.2
FLOOR_MS = 20.0
"""On a quiet machine the p99 is 10 ms (two turns of the reader, which reads every 5 ms). With other work on its cores
it is anything from 10 to 30, before as well as meanwhile; an event that waited for a store would take 100 or more.
"""


class InfluxTown(Town):
    """A town whose hub stores in InfluxDB; what is stored is asked of the server itself."""

    def __init__(self, directory: Path, mosquitto: Mosquitto, valkey: ValkeyServer, influxdb: InfluxServer) -> None:
        settings = f'[timeseries]\nstore = "influxdb"\nurl = "{influxdb.url}"\nbucket = "hub"\n'
        super().__init__(directory, mosquitto, valkey, settings=settings, card_every=CARD_EVERY)
        self.influxdb = influxdb

    @override
    async def stored(self) -> Counter[float]:
        return Counter(float(str(row[1])) for row in await self.influxdb.ask("SELECT co2 FROM environment_sensor"))

    @override
    async def stored_events(self) -> Counter[str]:
        found = await self.influxdb.ask("SELECT id FROM event WHERE event = 'access.card_seen'")
        return Counter(str(row[1]) for row in found)

    async def streamed_at(self) -> Mapping[str, int]:
        """Return the wall-clock ms at which Redis took the event of each card."""
        async with self.valkey.link() as link:
            found = [rows(row) for row in rows(await link.ask("XRANGE", domain_key("access"), "-", "+"))]
        entries = [(cast("bytes", entry), decode_event(pairs(fields))) for entry, fields in found]
        return {str(event.data["card"]): int(entry.partition(b"-")[0]) for entry, event in entries}


@pytest.fixture
async def town(
    tmp_path: Path, mosquitto: Mosquitto, valkey: ValkeyServer, influxdb: InfluxServer
) -> AsyncIterator[InfluxTown]:
    async for each in opened(InfluxTown(tmp_path, mosquitto, valkey, influxdb)):
        yield each


async def p99_ms(town: InfluxTown, moments: Sequence[int]) -> float:
    """Return the p99 of publish to stream in the quietest of the windows between ``moments`` (wall ns).

    Other work on the machine only ever adds, and comes and goes; what the outage itself costs is in every window.
    """
    streamed = await town.streamed_at()
    found = []
    for since, until in pairwise(moments):
        took = sorted(streamed[card] - at / 1e6 for card, at in town.sent.at.items() if since <= at < until)
        assert len(took) >= 8 * RATE // CARD_EVERY - CARD_EVERY
        found.append(took[math.ceil(len(took) * 0.99) - 1])
    return min(found)


async def windows(town: InfluxTown, lengths: Sequence[int]) -> list[int]:
    """Let windows of so many seconds pass; return the moments at their ends, and the one before the first."""
    moments = [town.clock.wall_ns()]
    for seconds in lengths:
        await town.until_sent(seconds * RATE)
        moments.append(town.clock.wall_ns())
    return moments


def resident_bytes(process: int) -> int:
    """Return how much memory a process holds."""
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    return 1024 * int(status.partition("VmRSS:")[2].split()[0])


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
async def test_twenty_seconds_without_influxdb_cost_no_point_and_no_event_its_time(town: InfluxTown) -> None:
    town.hub.start()
    await town.hub.until_ready()
    async with town.traffic(RATE):
        await town.until_sent(2 * RATE)
        before = await windows(town, BEFORE_SECONDS)
        held = resident_bytes(town.hub.pid)
        await asyncio.to_thread(town.influxdb.stop)
        meanwhile = await windows(town, OUTAGE_SECONDS)
        waiting = (await town.hub.metrics())["hub_points_waiting"]
        grown = resident_bytes(town.hub.pid) - held
        readiness = await town.hub.readiness()
        await town.influxdb.start()
        await town.until_sent(RATE)
    assert readiness == (503, {"timeseries_behind"})
    assert waiting >= sum(OUTAGE_SECONDS) * RATE * (1 - 1 / CARD_EVERY)
    assert grown < MEMORY_BYTES
    await check_all(town)
    assert await p99_ms(town, meanwhile) <= ALLOWED * max(await p99_ms(town, before), FLOOR_MS)


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
