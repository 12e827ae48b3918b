"""A whole installation for tests: mosquitto, Valkey, settings, and `hub run` as a process; and the CLI beside it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self

import pytest
import structlog
from paho.mqtt import publish

from hub.services.child import free_port
from hub.ui.cli.main import main
from tests.ready_registry import lay_ready
from tests.servers.mosquitto import Mosquitto
from tests.servers.pages import page
from tests.servers.valkey import ValkeyServer
from tests.servers.warm import Forked, fork
from tests.waiting import PATIENCE_SECONDS, wait_until

SITE, SENSOR, GATE = "willow", "smoke-1", "gate-1"
FIRE, NORMAL, BROKEN = bytes.fromhex("221164321F18"), bytes.fromhex("2217641E1A2B"), bytes.fromhex("221164321F19")

ATTENTIVE = "import hub.app; hub.app.REGISTRY_TICKS = 5; from hub.ui.cli.main import main; main()"
"""A hub that looks into the registry once a second, and not once in five: tests wait for that again and again."""


def hub_command(*arguments: str) -> list[str]:
    """Return the command line of a hub process."""
    return [sys.executable, "-m", "hub.ui.cli.main", *arguments]


def environment(**more: str) -> dict[str, str]:
    """Return this environment without anything that would lead a hub elsewhere."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}  # noqa: TID251 -- for children
    return {**kept, **more}


class HubRun:
    """`hub run` with the settings in ``config``, as a process; ``start`` and ``stop`` it, and read its pages."""

    def __init__(self, directory: Path, config: Path, http_port: int) -> None:
        self.directory = directory
        self.config = config
        self.http_port = http_port
        self._process: Forked | None = None

    def kill(self) -> None:
        """End it at once, if it runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def start(self, but_for: str = "") -> None:
        """Start `hub run` and wait until it is ready, or would be but for one reason."""
        with (self.directory / "hub.log").open("ab") as log:
            self._process = fork(ATTENTIVE, ["--config", str(self.config), "run"], environment(), log.fileno())
        asyncio.run(wait_until(lambda: self._is_ready(but_for)))

    def _is_ready(self, but_for: str) -> bool:
        status, said = self.readiness()
        return status == HTTPStatus.OK or [one["code"] for one in said.get("reasons", ())] == [but_for]

    def stop(self) -> int:
        """Ask `hub run` to end (SIGTERM); return its exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(PATIENCE_SECONDS)

    def page(self, path: str) -> tuple[int, bytes]:
        """Return status and body of a page; 0 while nothing listens."""
        return page(self.http_port, path)

    def readiness(self) -> tuple[int, Mapping[str, Any]]:
        """Return status and content of /readyz."""
        status, body = self.page("/readyz")
        return status, json.loads(body or b"{}")


class Installation(HubRun):
    """A hub on servers of its own; ``settings`` are further lines at the top of its file."""

    def __init__(self, directory: Path, settings: str = "") -> None:
        super().__init__(directory, directory / "hub.toml", free_port())
        self.broker = Mosquitto(directory / "mosquitto")
        self.redis = ValkeyServer(directory / "valkey")
        self.config.write_text(
            f"""\
{settings}data_dir = "{directory / "data"}"
redis.url = "{self.redis.url}"
mqtt.port = {self.broker.port}
http.port = {self.http_port}
checkpoint.every = "1s"
""",
            encoding="utf-8",
        )

    def open(self) -> None:
        """Start the servers, register a sensor and a gate, start the hub."""
        self.broker.start()
        self.redis.start()
        lay_ready(self.directory / "data")
        for words in (
            ("sites", "add", SITE, "--zh", "柳园"),
            ("devices", "add", SITE, SENSOR, "--kind", "smoke_sensor", "--profile", "milesight/gs524n"),
            ("devices", "add", SITE, GATE, "--kind", "access_controller", "--profile", "hikvision/access"),
        ):
            self.does(*words)
        self.start()

    def __enter__(self) -> Self:
        try:
            self.open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End everything that was started."""
        self.kill()
        self.redis.kill()
        self.broker.kill()

    def does(self, *words: str) -> None:
        """Run a command of the hub, here: a process of its own would take a second."""
        with pytest.raises(SystemExit) as left:
            main(("--config", str(self.config), *words))
        structlog.reset_defaults()
        assert left.value.code == 0, words

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish as a device does; returns after the PUBACK."""
        publish.single(topic, payload, qos=1, retain=retain, hostname="127.0.0.1", port=self.broker.port)
