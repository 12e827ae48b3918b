"""systemd's watchdog is told that the loop turns, by whom it asks, and from the first moment of a start."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.services.child import free_port
from hub.services.watchdog import ALIVE, Watchdog, watchdog_of
from tests.ui.installation import environment, hub_command

USEC = {"NOTIFY_SOCKET": "/run/systemd/notify", "WATCHDOG_USEC": "120000000"}


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """The socket at which a service manager listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(str(tmp_path / "notify"))
        line.settimeout(20)
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
