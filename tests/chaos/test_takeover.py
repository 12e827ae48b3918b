"""Two hubs with one identity: the second is refused; one that slept through a takeover leaves and touches nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.chaos.hub_process import HubProcess
from tests.chaos.influx_town import InfluxTown
from tests.chaos.town import opened
from tests.servers.influxdb import InfluxServer
from tests.servers.mosquitto import Mosquitto
from tests.servers.proxy import ProxyFactory
from tests.servers.valkey import ValkeyServer

RATE = 200
LOST, REFUSED = 1, 2
SLOW_SECONDS = 0.2
"""How long each way to Redis takes for the hub that overslept: it hears its messages long before it hears the truth."""


@pytest.fixture
async def town(
    tmp_path: Path, mosquitto: Mosquitto, valkey: ValkeyServer, influxdb: InfluxServer
) -> AsyncIterator[InfluxTown]:
    """A town whose hubs store in one InfluxDB, where a point with another time would be a second one."""
    async for each in opened(InfluxTown(tmp_path, mosquitto, valkey, influxdb)):
        yield each


async def check_all(town: InfluxTown, owner: HubProcess) -> None:
    """Assert that what was sent is everywhere once, and in the files of ``owner``, which never was disturbed."""
    town.hub = owner
    await town.until_settled()
    assert (await owner.metrics())["hub_sessions_reconnected_total"] == 0
    assert await asyncio.to_thread(owner.stop) == 0  # the answers of InfluxDB come through our loop
    await town.check_once()


async def test_a_partition_that_beats_on_another_host_is_refused_after_the_heartbeats_life(town: InfluxTown) -> None:
    first = town.hub
    first.start()
    await first.until_ready()
    await town.publish(300)
    await town.until_settled()
    first.pause()
    second = town.second_hub()
    first.resume()
    began = town.clock.monotonic_ns()
    second.start()
    assert await second.until_ended() == REFUSED
    assert town.clock.monotonic_ns() - began > 4e9
    assert "[partition_owned_elsewhere]" in second.log()
    assert "session_connected" not in second.log()
    await town.publish(300)
    await check_all(town, first)


async def test_a_copy_that_fell_behind_its_partition_is_refused_at_once(town: InfluxTown) -> None:
    first = town.hub
    first.start()
    await first.until_ready()
    first.pause()
    second = town.second_hub()
    first.resume()
    await town.publish(300)
    await town.until_settled()
    second.start()
    assert await second.until_ended() == REFUSED
    assert "[cursor_ahead]" in second.log()
    assert "session_connected" not in second.log()
    await check_all(town, first)


async def test_a_hub_that_wakes_after_the_takeover_and_before_the_others_first_connection_acknowledges_nothing(
    town: InfluxTown, proxy_to: ProxyFactory
) -> None:
    async with proxy_to(town.valkey.port) as redis, proxy_to(town.mosquitto.port) as broker:
        first = town.hub
        first.redis_port = redis.port
        first.start()
        await first.until_ready()
        async with town.traffic(RATE):
            await town.until_sent(RATE)
            first.pause()
            await town.until_sent(RATE)  # lies in the first hub's socket, and its connection lives
            second = town.second_hub()
            second.mqtt_port, second.redis_port = broker.port, town.valkey.port
            broker.blackhole()
            second.start()
            await second.until_said("partition_claimed")
            redis.latency_seconds = SLOW_SECONDS
            first.resume()
            assert await first.until_ended() == LOST
            broker.heal()
            broker.reset()
            await second.until_connected()
            await town.until_sent(RATE)
        await check_all(town, second)
