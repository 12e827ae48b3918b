"""systemd's watchdog is told that the loop turns, by whom it asks, and from the first moment of a start."""

from __future__ import annotations

import asyncio
import http.client
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import orjson
import pytest

from hub.services.child import free_port
from hub.services.watchdog import (
    ALIVE,
    Heartbeat,
    Watchdog,
    calm_the_watchdog,
    has_spoken,
    heartbeat_of,
    watchdog_of,
)
from tests.ui.installation import environment, hub_command
from tests.waiting import PATIENCE_SECONDS, wait_until

USEC = {"NOTIFY_SOCKET": "/run/systemd/notify", "WATCHDOG_USEC": "120000000"}


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """The socket at which a service manager listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(str(tmp_path / "notify"))
        line.settimeout(PATIENCE_SECONDS)
        yield line


@pytest.mark.parametrize(
    ("variables", "found"),
    [
        (USEC, Watchdog(address="/run/systemd/notify", seconds=120)),
        (USEC | {"WATCHDOG_PID": str(os.getpid())}, Watchdog(address="/run/systemd/notify", seconds=120)),
        (USEC | {"NOTIFY_SOCKET": "@abstract"}, Watchdog(address="\0abstract", seconds=120)),
        (USEC | {"WATCHDOG_PID": "1"}, None),
        ({"NOTIFY_SOCKET": "/run/systemd/notify"}, None),
        ({"WATCHDOG_USEC": "120000000"}, None),
        ({}, None),
    ],
)
def test_only_who_asks_this_process_is_told(variables: dict[str, str], found: Watchdog | None) -> None:
    assert watchdog_of(variables) == found


def test_a_manager_that_is_gone_ends_nobody(tmp_path: Path) -> None:
    Watchdog(address=str(tmp_path / "nowhere"), seconds=1).tell()


def test_what_was_said_to_a_keeper_is_heard_once_and_one_that_is_gone_ends_nobody() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours:
        teller = heartbeat_of(f"{theirs.detach()}:120")
        assert teller.seconds == 120
        assert not has_spoken(ours)
        teller.tell()
        teller.tell()
        assert [has_spoken(ours), has_spoken(ours)] == [True, False]
    with teller.line:
        teller.tell()


async def test_who_keeps_us_is_told_nothing_while_a_stage_hangs_and_again_when_it_goes_on() -> None:
    asked, is_well = 0, True

    def ask() -> bool:
        nonlocal asked
        asked += 1
        return is_well

    async def ask_again() -> bool:
        """Let it be asked a few times more; return whether anything was said meanwhile."""
        has_spoken(ours)
        before = asked
        await wait_until(lambda: asked >= before + 3)
        return has_spoken(ours)

    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        calm_the_watchdog(ask, Heartbeat(line=theirs, seconds=0.03))
        assert await ask_again()
        is_well = False
        assert not await ask_again()
        is_well = True
        assert await ask_again()


def test_a_hub_tells_it_while_it_waits_for_its_servers(manager: socket.socket, tmp_path: Path) -> None:
    config = tmp_path / "hub.toml"
    settings = f'data_dir = "{tmp_path}"\nmqtt.port = {free_port()}\nredis.url = "redis://127.0.0.1:{free_port()}/0"\n'
    config.write_text(settings, encoding="utf-8")
    said = environment(NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="300000")
    hub = subprocess.Popen(hub_command("--config", str(config), "run"), env=said, stderr=subprocess.DEVNULL)
    try:
        assert [manager.recv(100) for _ in range(3)] == [ALIVE] * 3
    finally:
        hub.kill()
        hub.wait()


HANGS = """
import threading
from pathlib import Path
import hub.stages
from hub.journal.files import SqliteFile
hub.stages.HUNG_LOOKS = 2
transact = SqliteFile._transact
def hang(file, *args, **more):
    if Path({sign!r}).exists():
        threading.Event().wait()
    return transact(file, *args, **more)
SqliteFile._transact = hang
from hub.ui.cli.main import main
main()
"""


WORKS = re.compile(rb"hub_journal_records_appended_total (?!0|1\.)")


def test_a_hub_whose_journal_hangs_is_told_of_no_more_though_its_loop_turns(
    manager: socket.socket, tmp_path: Path
) -> None:
    config, sign, port = tmp_path / "hub.toml", tmp_path / "hang", free_port()
    settings = f'data_dir = "{tmp_path}"\nhttp.port = {port}\nmqtt.port = {free_port()}\n'
    config.write_text(settings + f'redis.url = "redis://127.0.0.1:{free_port()}/0"\n', encoding="utf-8")
    said = environment(NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="300000")
    command = [sys.executable, "-c", HANGS.format(sign=str(sign)), "--config", str(config), "run"]
    hub = subprocess.Popen(command, env=said, stderr=subprocess.DEVNULL)
    try:
        while manager.recv(100) and not WORKS.search(page(port, "/metrics")):
            pass  # what holds up a start is no hang
        sign.touch()
        manager.setblocking(False)  # noqa: FBT003 -- the standard library's own

        def is_known() -> bool:
            found = orjson.loads(page(port, "/healthz"))
            has_spoken(manager)
            # Its other file hangs as well, once that is asked.
            return not found["alive"] and "journal.thread" in found["hung"]

        asyncio.run(wait_until(is_known))
        manager.settimeout(1)  # ten times as long as between two words

        def is_silent() -> bool:
            # A thread that waits for the disk at a look explains it for a moment, and one word may be on its way.
            try:
                manager.recv(100)
            except TimeoutError:
                return True
            return False

        asyncio.run(wait_until(is_silent))
    finally:
        hub.kill()
        hub.wait()


def page(port: int, path: str) -> bytes:
    """Return what a hub says at ``path``, nothing while none answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    with closing(connection), suppress(OSError):
        connection.request("GET", path)
        return connection.getresponse().read()
    return b""
