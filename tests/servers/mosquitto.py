"""A real mosquitto for tests: started on a free port, stopped, killed, paused and started again at will."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

READY_SECONDS = 20


class Mosquitto:
    """One broker; its port and files outlive its process, so that ``start`` after ``kill`` finds what was saved."""

    def __init__(self, directory: Path, *options: str, anonymous: bool = True) -> None:
        self.directory = directory
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
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
        (directory / "mosquitto.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")

    @property
    def pid(self) -> int:
        """The process id; 0 while it is not running."""
        return 0 if self._process is None else self._process.pid

    def start(self) -> None:
        """Start it and wait until it listens."""
        command = [shutil.which("mosquitto") or "/usr/sbin/mosquitto", "-c", str(self.directory / "mosquitto.conf")]
        with (self.directory / "mosquitto.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.perf_counter() + READY_SECONDS
        while not self._listens():
            if self._process.poll() is not None or time.perf_counter() > deadline:
                raise AssertionError(self.log()[-2000:])
            time.sleep(0.005)

    def stop(self) -> None:
        """End it in good order: everything is saved."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once (SIGKILL): what was not saved in the last second is lost."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop and start."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Stop it without ending it: connections stay, answers do not come."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on where it was paused."""
        self._signal(signal.SIGCONT)

    def reload(self) -> None:
        """Read passwords and ACL again."""
        self._signal(signal.SIGHUP)

    def log(self) -> str:
        """Return what it said so far."""
        return (self.directory / "mosquitto.log").read_text(encoding="utf-8", errors="replace")

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(number)
            self._process.wait(10)
            self._process = None

    def _listens(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return True
        except OSError:
            return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A running mosquitto that lets everybody in and drops nothing."""
    directory = tmp_path / "mosquitto"
    directory.mkdir()
    broker = Mosquitto(directory)
    broker.start()
    yield broker
    broker.kill()
