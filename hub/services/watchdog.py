"""systemd's watchdog: it is told again and again that our loop turns, where it asks for that (sd_notify(3))."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

ALIVE = b"WATCHDOG=1"
TIMES = 3
"""So often within the time after which it would end us."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watchdog:
    """Who waits at the socket ``address``, for ``seconds`` at most."""

    address: str
    seconds: float

    def tell(self) -> None:
        """Say that we live; a manager that is not there is told nothing."""
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
            line.sendto(ALIVE, socket.MSG_DONTWAIT, self.address)


def watchdog_of(variables: Mapping[str, str]) -> Watchdog | None:
    """Return who waits for this process; None where nobody does, or for another process."""
    address, microseconds = variables.get("NOTIFY_SOCKET", ""), variables.get("WATCHDOG_USEC", "")
    is_for_us = variables.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    if not (address and microseconds.isdigit() and is_for_us):
        return None
    where = "\0" + address[1:] if address.startswith("@") else address  # an address of Linux that is no file
    return Watchdog(address=where, seconds=int(microseconds) / 1e6)


def calm_the_watchdog() -> None:
    """Tell it from now on, as long as the running loop turns."""
    if watchdog := watchdog_of(os.environ):  # noqa: TID251 -- what systemd says to this process is no setting
        _tell_again(watchdog)


def _tell_again(watchdog: Watchdog) -> None:
    watchdog.tell()
    asyncio.get_running_loop().call_later(watchdog.seconds / TIMES, _tell_again, watchdog)
