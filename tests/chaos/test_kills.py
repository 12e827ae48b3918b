"""The hub is killed; nothing that the broker acknowledged is lost, nothing is done twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.chaos.town import Town, open_town
from tests.servers.mosquitto import Mosquitto
from tests.servers.valkey import ValkeyServer


@pytest.fixture
async def town(tmp_path: Path, mosquitto: Mosquitto, valkey: ValkeyServer) -> AsyncIterator[Town]:
    async for each in open_town(tmp_path, mosquitto, valkey):
        yield each


async def first_start(town: Town) -> None:
    """Let the hub subscribe once, so that the broker keeps messages for it from then on."""
    town.hub.start()
    await town.hub.until_connected()


async def test_three_kills_inside_three_thousand_messages_lose_and_double_nothing(town: Town) -> None:
    await first_start(town)
    for _ in range(3):
        await town.publish(375)
        town.hub.kill()
        await town.publish(375)
        town.hub.start()
    await town.publish(750)
    await town.until_settled()
    assert town.hub.stop() == 0
    assert len(town.sent.temperatures) + len(town.sent.cards) == 3_000
    await town.check_once()
