"""`hub run` tells the demo's broker from a real one."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.clock import SystemClock
from hub.config.settings import MqttSettings
from hub.errors import ConfigError
from hub.services.broker import IotcoreService
from hub.services.child import free_port
from hub.ui.process.preflight import refuse_toy_broker
from tests.machine import needs_mosquitto
from tests.servers.mosquitto import Mosquitto


async def test_the_broker_of_the_demo_is_refused(tmp_path: Path) -> None:
    port = free_port()
    async with IotcoreService(tmp_path, port=port, log_file=tmp_path / "log", clock=SystemClock()):
        with pytest.raises(ConfigError, match="toy_broker"):
            await refuse_toy_broker(MqttSettings(port=port))


@needs_mosquitto
async def test_a_mosquitto_that_lets_everybody_in_passes(mosquitto: Mosquitto) -> None:
    await refuse_toy_broker(MqttSettings(port=mosquitto.port))


@needs_mosquitto
async def test_a_mosquitto_that_lets_nobody_in_passes(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path, anonymous=False)
    broker.start()
    try:
        await refuse_toy_broker(MqttSettings(port=broker.port))
    finally:
        broker.kill()


async def test_a_broker_that_is_not_there_is_left_to_the_sessions() -> None:
    await refuse_toy_broker(MqttSettings(port=free_port()))
