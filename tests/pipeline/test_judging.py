"""apply -> deliver: judging never ends unless the hub is stopped."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from pydantic import SecretStr

from hub.app import Hub
from hub.bridge.uplink import Inbox
from hub.clock import SystemClock
from hub.config.settings import MqttSettings, RedisSettings, Settings, TimeseriesSettings
from hub.errors import HubError
from hub.ui.pages.observing import Watch
from tests.machine import needs_mosquitto
from tests.servers.mosquitto import Mosquitto
from tests.servers.valkey import ValkeyServer
from tests.waiting import PATIENCE_SECONDS, wait_until


@needs_mosquitto
async def test_a_hub_whose_judging_ends_unasked_ends_with_an_error_and_does_not_stand_still(
    tmp_path: Path, mosquitto: Mosquitto, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(
        data_dir=tmp_path / "data",
        mqtt=MqttSettings(port=mosquitto.port),
        redis=RedisSettings(url=SecretStr(valkey.url)),
        timeseries=TimeseriesSettings(store="local"),
    )
    async with Hub(settings, SystemClock()) as hub:
        running = asyncio.get_running_loop().create_task(hub.run())
        await wait_until(lambda: hub.is_running)
        monkeypatch.setattr(Inbox, "_look", lambda _: None)  # its flag stays up: it gives nothing, which means the end
        with pytest.RaisesGroup(pytest.RaisesExc(HubError, match="judging_ended")):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await running
        assert [reason.code for reason in Watch(hub).missing()] == ["not_running"]
