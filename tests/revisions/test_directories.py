"""What sources say of their devices, on its way through the rim: owed until a revision has it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from pydantic import SecretStr

from hub.app import Hub
from hub.clock import SystemClock
from hub.config.settings import MqttSettings, RedisSettings, Settings, TimeseriesSettings
from hub.errors import UnavailableError
from hub.model.effects import Effects
from hub.registry.nouns import Device, Site, Source
from tests.engine.foreign import listing
from tests.running import running
from tests.waiting import wait_until

HALL = "0x00158d0001b7d2a3"


@pytest.fixture(name="hub")
def _hub(tmp_path: Path) -> Hub:
    """Return a hub that has no broker and no Redis: neither is asked here."""
    settings = Settings(
        data_dir=tmp_path / "data",
        mqtt=MqttSettings(port=1),
        redis=RedisSettings(url=SecretStr("redis://127.0.0.1:1/0")),
        timeseries=TimeseriesSettings(store="local"),
    )
    return Hub(settings, SystemClock())


async def test_what_a_source_said_of_its_devices_while_the_registry_was_away_is_known_when_it_is_back(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.app.REGISTRY_TICKS", 1)
    async with hub:
        await hub.registry.add_site(Site(id="garden", zone="Asia/Shanghai"))
        await hub.registry.add_source(Source(id="z2m", network="zigbee2mqtt"))
        hall = Device(site="garden", id="hall", kind="smoke_sensor", source="z2m", network_id=HALL)
        await hub.registry.add_devices([hall])
        async with running(hub):
            await wait_until(lambda: hub.is_running and hub.engine.content.find("garden", "hall"))
            is_back, refused = asyncio.Event(), list[str]()
            ask = hub.registry.revision

            async def revision() -> int:
                if not is_back.is_set():
                    refused.append("revision")
                    raise UnavailableError("registry_unavailable", "the server closed the connection")
                return await ask()

            monkeypatch.setattr(hub.registry, "revision", revision)
            position = hub.engine.state.clock.position
            hub.applying.deliver(Effects(position, [], [], [], [], [], [], [("z2m", listing())]))
            await wait_until(lambda: not hub.applying.directories and len(refused) >= 2)
            is_back.set()
            await wait_until(lambda: "directory/z2m" in hub.engine.content.bodies())
            found = hub.engine.content.find("garden", "hall")
            assert found is not None
            assert (found.profile[:17], found.deafness) == ("zigbee2mqtt-auto/", None)
