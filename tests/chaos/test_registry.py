"""Devices that are registered while a hub runs: taken up within 6 seconds, at once when they have spoken."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hub import app
from hub.registry.nouns import Device, DeviceState
from hub.registry.registry import Registry
from tests.chaos.town import SITE, Town, opened, start
from tests.machine import needs_mosquitto
from tests.servers.mosquitto import Mosquitto
from tests.servers.valkey import ValkeyServer
from tests.waiting import wait_until

pytestmark = needs_mosquitto

TOPIC = f"hub/{SITE}/newcomer/telemetry"
NEWCOMER = Device(site=SITE, id="newcomer", kind="environment_sensor")


@pytest.fixture
async def town(tmp_path: Path, mosquitto: Mosquitto, valkey: ValkeyServer) -> AsyncIterator[Town]:
    async for each in opened(Town(tmp_path, mosquitto, valkey)):
        yield each


async def said(town: Town, name: str) -> float:
    return (await town.hub.metrics()).get(name, 0)


async def speak(town: Town) -> None:
    async with town.client() as client:
        await client.publish(TOPIC, b'{"values": {"temperature": 20.5}}', qos=1)


async def until(town: Town, name: str, count: float) -> None:
    async def is_there() -> bool:
        return await said(town, name) >= count

    await wait_until(is_there)


def test_a_hub_looks_for_changes_so_often_that_a_device_is_heard_within_six_seconds() -> None:
    assert app.REGISTRY_TICKS * app.REGISTRY_TICK_SECONDS <= 5


async def test_a_device_that_speaks_is_looked_up_at_once_and_lives_its_life_in_a_running_hub(town: Town) -> None:
    town.hub.prelude = "import hub.app; hub.app.REGISTRY_TICKS = 10**9; "  # so that only the look-up can find it
    await start(town)
    await speak(town)
    await until(town, 'hub_messages_dead_lettered_total{code="unknown_device"}', 1)
    async with Registry(town.hub.settings.registry_url()) as registry:
        await registry.add_devices([NEWCOMER])
        await speak(town)
        await until(town, "hub_messages_replayed_total", 2)
        await speak(town)
        await until(town, 'hub_messages_applied_total{timeliness="live"}', 1)


async def test_a_disabled_device_is_refused_by_a_running_hub(town: Town) -> None:
    await start(town)
    async with Registry(town.hub.settings.registry_url()) as registry:
        await registry.add_devices([NEWCOMER])
        await registry.set_device_state(SITE, "newcomer", DeviceState.DISABLED)

        async def is_refused() -> bool:
            await speak(town)
            return await said(town, 'hub_messages_refused_total{code="device_disabled"}') > 0

        await wait_until(is_refused)
