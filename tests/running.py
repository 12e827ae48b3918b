"""Lets a process of ours run for the length of a block; an error of one of its tasks ends the block."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

from pydantic import SecretStr

from hub.config.settings import MqttSettings, RedisSettings, Settings, TimeseriesSettings
from tests.servers.mosquitto import Mosquitto
from tests.servers.valkey import ValkeyServer


class Stoppable(Protocol):
    """Works until it is told to stop, then finishes what it has in hand."""

    def run(self) -> Coroutine[Any, Any, None]: ...

    def stop(self) -> None: ...


@asynccontextmanager
async def running(it: Stoppable) -> AsyncIterator[None]:
    """Run ``it``; at the end stop it and wait until it has ended."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(it.run())
        try:
            yield
        finally:
            it.stop()
            await asyncio.wait([task])


def settings_of(directory: Path, mosquitto: Mosquitto, valkey: ValkeyServer) -> Settings:
    """Return the settings of a hub in ``directory`` with these servers, and its telemetry on its own disk."""
    return Settings(
        data_dir=directory / "data",
        mqtt=MqttSettings(port=mosquitto.port),
        redis=RedisSettings(url=SecretStr(valkey.url)),
        timeseries=TimeseriesSettings(store="local"),
    )
