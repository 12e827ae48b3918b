"""The MQTT broker of the embedded default: mosquitto where it is installed, else iotcore's rumqttd."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from typing_extensions import override

from hub.clock import Clock
from hub.errors import ConfigError
from hub.services.child import Child, accepts

# Debian installs daemons where an ordinary user's PATH does not look.
DAEMON_PATH = "/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin"

# 256 KiB of payload (the hub's own limit) and some for the topic and MQTT 5 properties.
IOTCORE_PAYLOAD_BYTES = 512 * 1024

IOTCORE_NOTICE = "the built-in broker on 127.0.0.1: nothing survives its restart, and it has no access control"


def mosquitto_executable() -> str | None:
    """Return the path of mosquitto, or None where it is not installed."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path=DAEMON_PATH)


class _Broker:
    """A broker on ``port`` of 127.0.0.1 for the length of an ``async with``."""

    def __init__(self, name: str, command: list[str], *, port: int, log_file: Path, clock: Clock) -> None:
        self.port = port
        self.child = Child(name, command, log_file=log_file, ready=self._is_ready, clock=clock)

    async def __aenter__(self) -> Self:
        # A stranger on our port would answer the ready check in the broker's place.
        if await accepts(self.port):
            raise ConfigError("port_in_use", f"something else listens on 127.0.0.1:{self.port}", hint="choose another")
        await self.child.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.child.__aexit__(kind, error, trace)

    @property
    def pid(self) -> int:
        """The process id of the broker itself."""
        return self.child.pid

    async def ended(self) -> int:
        """Wait until the broker is gone, wanted or not; return its return code."""
        return await self.child.ended()

    async def _is_ready(self) -> bool:
        return await accepts(self.port)


class MosquittoService(_Broker):
    """mosquitto with the configuration file that the registry's mosquitto room wrote; it must listen on ``port``."""

    def __init__(self, config: Path, *, port: int, log_file: Path, clock: Clock) -> None:
        executable = mosquitto_executable()
        if executable is None:
            raise ConfigError("mosquitto_missing", "mosquitto is not installed", hint="apt-get install mosquitto")
        super().__init__("mosquitto", [executable, "-c", str(config)], port=port, log_file=log_file, clock=clock)


class IotcoreService(_Broker):
    """rumqttd from the iotcore wheel: MQTT 5, loopback only, nothing on disk, no access control. For demo and tests."""

    def __init__(self, directory: Path, *, port: int, log_file: Path, clock: Clock) -> None:
        self._config = directory / "rumqttd.toml"
        # rumqttd's tracing spans come out as one error record per packet: only what is fatal goes to the log.
        command = [sys.executable, "-m", "iotcore", "--config", str(self._config), "--log-level", "CRITICAL"]
        super().__init__("iotcore", command, port=port, log_file=log_file, clock=clock)

    @override
    async def __aenter__(self) -> Self:
        self._config.parent.mkdir(parents=True, exist_ok=True)
        self._config.write_text(iotcore_toml(self.port), encoding="utf-8")
        return await super().__aenter__()


def iotcore_toml(port: int) -> str:
    """Return the TOML of rumqttd; MQTT 5 exists only through it, and the stock limit of 20 KiB disconnects devices."""
    return f"""\
id = 0

[router]
id = 0
max_connections = 10010
max_outgoing_packet_count = 1000
max_segment_size = 104857600
max_segment_count = 10

[v5.1]
name = "v5-1"
listen = "127.0.0.1:{port}"
next_connection_delay_ms = 1

[v5.1.connections]
connection_timeout_ms = 60000
max_payload_size = {IOTCORE_PAYLOAD_BYTES}
max_inflight_count = 1000
dynamic_filters = true
"""
