"""The embedded Valkey: ready, private, durable, and never left behind."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import stat
import sys
from pathlib import Path

import pytest
from typing_extensions import override

from hub.clock import SystemClock
from hub.errors import ConfigError, UnavailableError
from hub.services.child import READY_SECONDS, accepts, free_port
from hub.services.valkey import ValkeyService
from hub.sinks.redis_check import check_server
from hub.sinks.redis_link import Link, RedisAddress
from tests.interrupted import Interrupted, here
from tests.machine import is_running, waits_for_a_lock
from tests.waiting import wait_until

HOST_PROGRAM = """
import asyncio, sys
from pathlib import Path
from hub.clock import SystemClock
from hub.services.valkey import ValkeyService

async def main():
    async with ValkeyService(Path(sys.argv[1]), port=int(sys.argv[2]), clock=SystemClock()) as service:
        print("pid", service.pid, flush=True)
        await service.wait()

asyncio.run(main())
"""


def service_in(directory: Path, port: int | None = None) -> ValkeyService:
    return ValkeyService(directory / "valkey", port=port or free_port(), clock=SystemClock())


def link_to(service: ValkeyService) -> Link:
    return Link(RedisAddress(url=service.url, password=service.password))


async def test_it_answers_its_password_and_is_what_the_hub_trusts(tmp_path: Path) -> None:
    async with service_in(tmp_path) as service, link_to(service) as link:
        await check_server(link)  # raises what is wrong
        assert await link.ask("CONFIG", "GET", "appendfsync") == [b"appendfsync", b"always"]
    assert not is_running(service.pid)


async def test_nobody_gets_in_without_the_password(tmp_path: Path) -> None:
    async with service_in(tmp_path) as service, Link(RedisAddress(url=service.url)) as link:
        with pytest.raises(UnavailableError):
            await link.ask("PING")


async def test_password_and_configuration_are_for_our_eyes_only(tmp_path: Path) -> None:
    async with service_in(tmp_path):
        files = [tmp_path / "valkey" / name for name in ("password", "valkey.conf", "lock")]
        assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o600] * 3


def test_a_password_is_on_the_disk_before_anybody_finds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut left an empty one, and with that no Valkey began any more."""
    synced, fsync = set(), os.fsync

    def noted(descriptor: int) -> None:
        fsync(descriptor)
        synced.add(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(os, "fsync", noted)
    (tmp_path / "valkey").mkdir()
    assert service_in(tmp_path).password.get_secret_value()
    assert (tmp_path / "valkey" / "password").stat().st_ino in synced


async def test_who_is_cancelled_while_it_asks_whether_it_is_ready_leaves_no_connection_open(tmp_path: Path) -> None:
    async with service_in(tmp_path) as service, link_to(service) as link:

        async def is_alone() -> bool:
            clients = await link.ask("CLIENT", "LIST")
            return isinstance(clients, bytes) and clients.count(b"\n") == 1

        for at in itertools.count(1):
            asking = Interrupted(service._is_ready(), at)  # noqa: SLF001 -- its keeper is cancelled in the middle of it
            try:
                await asking
            except asyncio.CancelledError:
                here().uncancel()
            await wait_until(is_alone)
            if not asking.reached:
                break
    assert at > 3


async def test_what_it_acknowledged_survives_a_kill_and_the_password_stays(tmp_path: Path) -> None:
    async with service_in(tmp_path) as service:
        async with link_to(service) as link:
            await link.ask("SET", "kept", "yes")
        os.kill(service.pid, signal.SIGKILL)
        assert await service.wait() != 0
    async with service_in(tmp_path) as again, link_to(again) as link:
        assert await link.ask("GET", "kept") == b"yes"
        assert again.password == service.password


async def test_a_killed_hub_leaves_no_valkey_and_the_next_one_waits_for_its_files(tmp_path: Path) -> None:
    directory = tmp_path / "valkey"
    hub = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOST_PROGRAM, str(directory), str(free_port()), stdout=asyncio.subprocess.PIPE
    )
    assert hub.stdout is not None
    pid = int((await hub.stdout.readuntil(b"pid ")) and (await hub.stdout.readline()))
    os.kill(pid, signal.SIGSTOP)  # it cannot end: its files stay locked
    hub.kill()
    assert await hub.wait() == -signal.SIGKILL
    async with asyncio.TaskGroup() as tasks:
        next_one = service_in(tmp_path)
        starting = tasks.create_task(next_one.__aenter__())
        await wait_until(lambda: next_one.pid)
        await wait_until(lambda: waits_for_a_lock(next_one.pid))
        assert not starting.done()
        os.kill(pid, signal.SIGCONT)
    assert not is_running(pid)
    async with link_to(next_one) as link:
        assert await link.ask("PING") == b"PONG"
    await next_one.__aexit__(None, None, None)
    assert not is_running(next_one.pid)


def aof(*commands: tuple[bytes, ...]) -> bytes:
    """Return an append-only file."""
    bulks = ([b"$%d\r\n%s\r\n" % (len(word), word) for word in words] for words in commands)
    return b"".join(b"*%d\r\n%s" % (len(words), b"".join(words)) for words in bulks)


class Leaping(SystemClock):
    """Between two questions to a server that listens so much time passes that only what it says makes us wait on."""

    def __init__(self, port: int) -> None:
        self.leaps = 0
        self._port = port

    @override
    def monotonic_ns(self) -> int:
        return super().monotonic_ns() + self.leaps * 2 * int(READY_SECONDS * 1e9)

    @override
    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        self.leaps += await accepts(self._port)


async def test_one_that_has_much_to_read_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "valkey").mkdir()
    piece = [(b"DEBUG", b"SLEEP", b"0.2"), *[(b"INCR", b"read")] * 1_024]  # it says that it is loading once in so many
    (tmp_path / "valkey" / "appendonly.aof").write_bytes(aof((b"SELECT", b"0"), *piece * 8))
    clock = Leaping(port := free_port())
    service = ValkeyService(tmp_path / "valkey", port=port, clock=clock)
    async with service, link_to(service) as link:
        assert clock.leaps > 0
        assert await link.ask("GET", "read") == b"8192"


async def test_a_port_that_is_taken_is_refused_before_the_password_is_shown(tmp_path: Path) -> None:
    stranger = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with stranger:
        with pytest.raises(ConfigError, match="port_in_use"):
            await service_in(tmp_path, stranger.sockets[0].getsockname()[1]).__aenter__()
