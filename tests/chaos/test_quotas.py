"""One device floods a running hub: it loses points, nobody else anything; its own alarm comes, and people see it."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from tests.chaos.town import SITE, Town, opened, start
from tests.engine.desk import ALARM, NORMAL
from tests.machine import needs_mosquitto
from tests.servers.mosquitto import Mosquitto
from tests.servers.valkey import ValkeyServer
from tests.ui.installation import environment, hub_command
from tests.waiting import wait_until

pytestmark = needs_mosquitto

SETTINGS = """
[limits]
quota_per_second = 1
quota_burst = 50
"""
LOUD, QUIET, SMOKES = 2_000, 40, 600


@pytest.fixture
async def town(tmp_path: Path, mosquitto: Mosquitto, valkey: ValkeyServer) -> AsyncIterator[Town]:
    async for each in opened(Town(tmp_path, mosquitto, valkey, settings=SETTINGS)):
        yield each


async def _say(town: Town, first: int, last: int) -> None:
    """Let env-0 and the smoke detector shout; env-1 says a fiftieth of it, the numbers 50,000 and up."""
    async with town.client() as client:
        for number in range(first, last):
            await client.publish(f"hub/{SITE}/env-0/telemetry", b'{"values": {"co2": %d}}' % number, qos=1)
            if number % (LOUD // QUIET) == 0:
                quiet = orjson.dumps({"values": {"co2": 50_000 + number}})
                await client.publish(f"hub/{SITE}/env-1/telemetry", quiet, qos=1)
            if number < SMOKES:
                await client.publish(f"hub/{SITE}/smoke/telemetry", bytes.fromhex(NORMAL), qos=1)


async def _until(town: Town, name: str, count: float) -> None:
    async def is_there() -> bool:
        return (await town.hub.metrics()).get(name, 0) >= count

    await wait_until(is_there)


async def _listed(town: Town) -> set[str]:
    command = [*hub_command("--config", str(town.hub.config), "devices", "over-quota", "--json")]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, check=True, env=environment())
    return {each["device"] for each in json.loads(done.stdout)}


async def test_a_flood_costs_its_device_points_and_nobody_else_anything_also_when_the_hub_is_killed_in_it(
    town: Town,
) -> None:
    await start(town)
    await _say(town, 0, LOUD // 2)
    await _until(town, "hub_devices_over_quota", 2)
    await _until(town, "hub_checkpoints_written_total", 1)
    town.hub.kill()
    await start(town)
    await _until(town, "hub_devices_over_quota", 2)
    await _say(town, LOUD // 2, LOUD)
    async with town.client() as client:
        await client.publish(f"hub/{SITE}/smoke/telemetry", bytes.fromhex(ALARM), qos=1)
    heard = LOUD + QUIET + SMOKES + 1

    async def is_whole() -> bool:
        found, numbers = await town.stored(), await town.hub.metrics()
        applied = sum(numbers[f'hub_messages_applied_total{{timeliness="{how}"}}'] for how in ("live", "late"))
        return found[LOUD - 1] == 1 and applied == heard and numbers["hub_points_waiting"] == 0

    await wait_until(is_whole)
    stored, numbers = await town.stored(), await town.hub.metrics()
    assert set(stored.values()) == {1}
    assert sum(number >= 50_000 for number in stored) == QUIET
    assert sum(number < 50_000 for number in stored) < LOUD // 2
    assert numbers["hub_readings_thinned_total"] > LOUD // 2
    fire = [event for event in await town.events("fire") if event.name == "fire.smoke_alarm"]
    assert [event.transition for event in fire] == ["raised"]
    over = [event for event in await town.events("device") if event.name == "device.over_quota"]
    assert {event.device for event in over} >= {"env-0", "smoke"}
    assert all(set(event.label) == {"en", "zh"} for event in over)

    async def is_listed() -> bool:
        return f"{SITE}/env-0" in await _listed(town)

    await wait_until(is_listed)
    assert f"{SITE}/env-1" not in await _listed(town)
