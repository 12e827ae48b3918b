"""Watchdogs: whoever keeps this process is told again and again that it lives: systemd (sd_notify(3)), or a keeper."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

ALIVE = b"WATCHDOG=1"
TIMES = 3
"""So often within the time after which it would end us."""
MOST_BYTES = 64


class Teller(Protocol):
    """Somebody who ends us when he is not told for ``seconds``."""

    @property
    def seconds(self) -> float: ...

    def tell(self) -> None:
        """Say that we live."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Watchdog:
    """Who waits at the socket ``address``, for ``seconds`` at most."""

    address: str
    seconds: float

    def tell(self) -> None:
        """Say that we live; a manager that is not there is told nothing."""
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
            line.sendto(ALIVE, socket.MSG_DONTWAIT, self.address)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """The end of a pair of sockets whose other end the process has that keeps us."""

    line: socket.socket
    seconds: float

    def tell(self) -> None:
        """Say that we live; one that is not there, or does not read, is told nothing."""
        with suppress(OSError):
            self.line.send(ALIVE, socket.MSG_DONTWAIT)


def heartbeat_of(wish: str) -> Heartbeat:
    """Return what ``FD:SECONDS`` names; the number is that of an inherited socket."""
    descriptor, _, seconds = wish.partition(":")
    return Heartbeat(line=socket.socket(fileno=int(descriptor)), seconds=float(seconds))


def has_spoken(line: socket.socket) -> bool:
    """Return whether anything was said since the last time that this was asked."""
    found = False
    with suppress(OSError):
        while line.recv(MOST_BYTES, socket.MSG_DONTWAIT):
            found = True
    return found


def watchdog_of(variables: Mapping[str, str]) -> Watchdog | None:
    """Return who waits for this process; None where nobody does, or for another process."""
    address, microseconds = variables.get("NOTIFY_SOCKET", ""), variables.get("WATCHDOG_USEC", "")
    is_for_us = variables.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    if not (address and microseconds.isdigit() and is_for_us):
        return None
    where = "\0" + address[1:] if address.startswith("@") else address  # an address of Linux that is no file
    return Watchdog(address=where, seconds=int(microseconds) / 1e6)


def calm_the_watchdog(is_well: Callable[[], bool] = lambda: True, heartbeat: Heartbeat | None = None) -> None:
    """Tell whoever keeps us from now on, as long as the running loop turns and it ``is_well``."""
    watchdog = watchdog_of(os.environ)  # noqa: TID251 -- what systemd says to this process is no setting
    for teller in (watchdog, heartbeat):
        if teller is not None:
            _tell_again(teller, is_well)


def _tell_again(teller: Teller, is_well: Callable[[], bool]) -> None:
    if is_well():
        teller.tell()
    asyncio.get_running_loop().call_later(teller.seconds / TIMES, _tell_again, teller, is_well)
