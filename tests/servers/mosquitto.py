"""A real mosquitto for tests: started on a free port, stopped, killed, paused and started again at will."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.clock import SystemClock
from tests.servers.process import ServerProcess
from tests.waiting import wait_until

SAVE_NS = 50_000_000
"""Within this time a save is done; it begins one every two seconds."""


class Mosquitto(ServerProcess):
    """One broker, which saves into ``file``; ``stop`` saves everything, ``kill`` loses what was not saved."""

    def __init__(self, directory: Path, *options: str, anonymous: bool = True) -> None:
        self.directory = directory
        self.file = directory / "mosquitto.db"
        self._clock = SystemClock()
        config = directory / "mosquitto.conf"
        command = [shutil.which("mosquitto") or "/usr/sbin/mosquitto", "-c", str(config)]
        super().__init__(directory / "mosquitto.log", lambda: command)
        lines = (
            f"listener {self.port} 127.0.0.1",
            f"allow_anonymous {str(anonymous).lower()}",
            "user root",  # as root it would give up the right to write into the directory
            "persistence true",
            f"persistence_location {directory}/",
            "autosave_interval 1",
            "max_inflight_messages 0",
            "max_queued_messages 0",
            "sys_interval 1",
            "log_dest stderr",
            *options,
        )
        directory.mkdir(parents=True, exist_ok=True)
        config.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def reload(self) -> None:
        """Read passwords and ACL again."""
        self.send_signal(signal.SIGHUP)

    async def until_saved(self) -> None:
        """Wait until everything that it has taken so far is in its file: for a save that begins now or later."""
        since = self._clock.wall_ns() + SAVE_NS
        await wait_until(lambda: self.file.exists() and self.file.stat().st_mtime_ns > since)


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A running mosquitto that lets everybody in and drops nothing."""
    broker = Mosquitto(tmp_path / "mosquitto")
    broker.start()
    yield broker
    broker.kill()
