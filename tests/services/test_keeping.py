"""A service that is kept: ready before anybody goes on, back after a kill with all that it acknowledged."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hub.clock import SystemClock
from hub.errors import ConfigError, UnavailableError
from hub.services.child import free_port
from hub.services.keeping import kept
from hub.services.leash import SIGNALLED
from hub.services.valkey import ValkeyService
from hub.sinks.redis_link import Link, RedisAddress
from tests.machine import is_running
from tests.waiting import PATIENCE_SECONDS, wait_until


class Services:
    """Makes Valkeys in one place, and remembers them."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self.made: list[ValkeyService] = []
        self._directory = directory

    def __call__(self) -> ValkeyService:
        self.made.append(ValkeyService(self._directory, port=self.port, clock=SystemClock()))
        return self.made[-1]

    async def ask(self, *words: str) -> object:
        """Return the answer, None while nobody answers."""
        address = RedisAddress(url=self.made[0].url, password=self.made[0].password)
        try:
            async with Link(address) as link:
                return await link.ask(*words)
        except UnavailableError:
            return None


async def test_a_killed_valkey_comes_back_with_what_it_acknowledged(tmp_path: Path) -> None:
    services = Services(tmp_path / "valkey")
    async with kept(services, SystemClock()):
        assert await services.ask("SET", "kept", "yes") == b"OK"
        os.kill(services.made[0].pid, signal.SIGKILL)
        await wait_until(lambda: len(services.made) == 2 and services.made[1].pid)

        async def is_back() -> bool:
            return await services.ask("GET", "kept") == b"yes"

        await wait_until(is_back)
        last = services.made[-1].pid
    assert not Path(f"/proc/{last}").exists()


async def test_one_whose_files_cannot_be_written_meanwhile_is_tried_again(tmp_path: Path) -> None:
    services = Services(tmp_path / "valkey")
    async with kept(services, SystemClock()):
        obstacle = tmp_path / "valkey" / "valkey.conf"
        obstacle.unlink()
        obstacle.mkdir()  # as a full disk or one that is read-only would: OSError
        os.kill(services.made[0].pid, signal.SIGKILL)
        await wait_until(lambda: len(services.made) > 2)
        obstacle.rmdir()

        async def is_back() -> bool:
            return await services.ask("PING") == b"PONG"

        await wait_until(is_back)


async def test_one_that_has_slipped_its_leash_goes_on_and_is_kept_again_when_it_ends(tmp_path: Path) -> None:
    services = Services(tmp_path / "valkey")
    async with kept(services, SystemClock()):
        first = services.made[0].pid
        leash = int(Path(f"/proc/{first}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[1])
        os.kill(leash, signal.SIGKILL)  # as the kernel may that looks for memory
        await wait_until(lambda: len(services.made) > 2)  # its port is in use
        assert await services.ask("PING") == b"PONG"
        os.kill(first, signal.SIGKILL)
        await wait_until(lambda: services.made[-1].pid)


def test_a_leash_that_is_told_that_its_terminal_goes_still_holds_its_child() -> None:
    """The end of a login session tells all that was begun in it: who had no leash any more outlived the hub."""
    words, pipe = [sys.executable, "-m", "hub.services.leash", "10", "sleep", "1000"], subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True) as leash:
        assert leash.stdin is not None
        assert leash.stdout is not None
        child = int(leash.stdout.readline())
        leash.send_signal(signal.SIGHUP)
        assert is_running(child)
        leash.stdin.close()
        assert leash.wait(PATIENCE_SECONDS) == SIGNALLED + signal.SIGTERM
    assert not is_running(child)


async def test_one_that_cannot_be_started_at_all_is_told_at_once(tmp_path: Path) -> None:
    services = Services(tmp_path / "valkey")
    async with ValkeyService(tmp_path / "other", port=services.port, clock=SystemClock()):
        with pytest.raises(ExceptionGroup) as raised:
            await kept(services, SystemClock()).__aenter__()
    (error,) = raised.value.exceptions
    assert isinstance(error, ConfigError)
    assert error.code == "port_in_use"
