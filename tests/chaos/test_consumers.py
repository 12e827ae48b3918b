"""A consumer group that everybody forgot: it is told of with what it lost, and nothing waits for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest

from hub.sinks.redis_link import Link, rows
from hub.sinks.stream_readers import read_events
from hub.sinks.streams import DEAD_LETTERS
from tests.chaos.town import Town, open_town
from tests.servers.mosquitto import Mosquitto
from tests.servers.valkey import ValkeyServer
from tests.waiting import wait_until

STREAM, GROUP = DEAD_LETTERS, "forgotten"
NODE = 100
"""Redis trims whole nodes of a stream, of so many entries."""
HOUR_MS = 3_600_000


@pytest.fixture
async def town(tmp_path: Path, mosquitto: Mosquitto, valkey: ValkeyServer) -> AsyncIterator[Town]:
    async for each in open_town(tmp_path, mosquitto, valkey):
        yield each


async def entries(link: Link, count: int, *, hours_old: int) -> str:
    """Put entries of long ago into the stream; return the id of the first."""
    now = int(cast("bytes", rows(await link.ask("TIME"))[0])) * 1_000
    for number in range(count):
        await link.ask("XADD", STREAM, f"{now - hours_old * HOUR_MS}-{number + 1}", "id", f"{hours_old}-{number}")
    return f"{now - hours_old * HOUR_MS}-1"


async def test_a_group_abandoned_for_longer_than_it_may_owe_is_told_what_it_lost_and_stops_nothing(town: Town) -> None:
    async with town.valkey.link() as link:
        first_lost = await entries(link, 2 * NODE, hours_old=8 * 24)  # older than everything that is kept
        first_kept = await entries(link, NODE, hours_old=4 * 24)  # and more than a group may owe: 72 h
        await link.ask("XGROUP", "CREATE", STREAM, GROUP, "0")
        town.hub.start()
        await town.hub.until_ready()
        await town.publish(300)
        await town.until_settled()

        async def told() -> list[dict[str, object]]:
            events = await read_events(link, ["device"], count=100)
            return [dict(event.data) for event in events if event.name == "device.consumer_group_lagging"]

        async def is_told() -> bool:
            return bool(await told())

        await wait_until(is_told)
        gap = {"stream": STREAM, "group": GROUP, "owed": first_lost, "kept_from": first_kept}
        assert await told() == [gap]
        assert await link.ask("XLEN", STREAM) == NODE
    assert (await town.hub.metrics())["hub_consumer_groups_lagging"] == 1
    await town.hub.until_ready()
    assert town.hub.stop() == 0
    await town.check_once()
