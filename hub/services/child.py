"""A child process that is ready before we go on, stops cleanly, and cannot outlive the hub."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from hub.clock import Clock
from hub.errors import UnavailableError

NEVER_LENT = range(10_000, 32_768)
"""Linux lends ports from 32,768 on (net.ipv4.ip_local_port_range)."""
HELD_PORTS = 200
"""By then a server is there, or nobody wants one any more: each costs a file descriptor."""
READY_SECONDS = 15.0
POLL_SECONDS = 0.02
STOP_SECONDS = 10.0
LOG_TAIL_BYTES = 2_000

log = structlog.get_logger(__name__)


_held: deque[int] = deque()  # file descriptors: the system closes them at the end


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 for a server that is yet to be started: nobody else is given it meanwhile.

    We hold it, bound and not listening, so that whoever looks for one, here or in another process, finds it taken; a
    server gets it all the same, and after its death once more, because servers bind with SO_REUSEADDR. Without that two
    were given one port now and then: the later server ended, and whoever waited for it met the other one, and waited.

    None of those that the system lends to outgoing connections, if it can be helped: one of them may be taken by a
    connection before the server that it is for has started.
    """
    for wanted in (*random.SystemRandom().sample(NEVER_LENT, 100), 0):
        holder = socket.socket()
        try:
            holder.bind(("127.0.0.1", wanted))
        except OSError:
            holder.close()
            continue
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # only now: two of us must not both have it
        port: int = holder.getsockname()[1]
        _held.append(holder.detach())
        while len(_held) > HELD_PORTS:
            os.close(_held.popleft())
        return port
    raise UnavailableError("no_free_port", "nothing can be listened on at 127.0.0.1")


async def accepts(port: int) -> bool:
    """Tell whether something accepts TCP connections on ``port`` of 127.0.0.1."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True


class Child:
    """``command`` on a leash; its output goes to ``log_file``.

    Entering waits until ``ready`` says so: UnavailableError ``service_died`` or ``service_not_ready`` otherwise,
    with the tail of the log. ``pid`` is the service itself, for signals. Not ready is who neither is so nor ``loads``
    within 15 seconds.
    """

    def __init__(
        self, name: str, command: Sequence[str], *, log_file: Path, ready: Callable[[], Awaitable[bool]], clock: Clock
    ) -> None:
        self.name = name
        self.pid = 0
        self._command = command
        self._log_file = log_file
        self._ready = ready
        self._clock = clock
        self._leash: asyncio.subprocess.Process | None = None
        self._deadline = 0

    async def __aenter__(self) -> Self:
        self._log_file.parent.mkdir(parents=True, exist_ok=True)
        with self._log_file.open("ab") as output:
            leash = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "hub.services.leash",
                str(STOP_SECONDS),
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=output,
                start_new_session=True,
            )
        self._leash = leash
        try:
            await self._wait_until_ready(leash)
        except BaseException:
            await self._let_go(leash)
            raise
        log.info("service_started", service=self.name, pid=self.pid)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._leash is not None:
            await self._let_go(self._leash)
            log.info("service_stopped", service=self.name, returncode=self._leash.returncode)

    async def ended(self) -> int:
        """Wait for the service to end, wanted or not; return its return code (128 + a signal)."""
        if self._leash is None:
            raise UnavailableError("service_not_started", service=self.name)
        return await self._leash.wait()

    def send_signal(self, number: signal.Signals) -> None:
        """Send ``number`` to the service; nothing happens when it has already ended."""
        if self._leash is not None and self._leash.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def loads(self) -> None:
        """Wait on for it: it says that it reads its files, and how many those are only it knows."""
        self._deadline = self._clock.monotonic_ns() + int(READY_SECONDS * 1e9)

    async def _wait_until_ready(self, leash: asyncio.subprocess.Process) -> None:
        if leash.stdout is None:
            raise UnavailableError("service_died", service=self.name)
        self.pid = int(await leash.stdout.readline() or 0)
        self.loads()
        while not (self.pid and await self._ready()):
            # The leash ends with its child, so the end of its output is the end of both.
            if not self.pid or leash.returncode is not None:
                raise UnavailableError("service_died", self._tail(), service=self.name)
            if self._clock.monotonic_ns() > self._deadline:
                raise UnavailableError("service_not_ready", self._tail(), service=self.name)
            await self._clock.sleep(POLL_SECONDS)

    async def _let_go(self, leash: asyncio.subprocess.Process) -> None:
        if leash.stdin is not None:
            leash.stdin.close()
        await leash.wait()

    def _tail(self) -> str:
        with self._log_file.open("rb") as output:
            output.seek(max(0, self._log_file.stat().st_size - LOG_TAIL_BYTES))
            return output.read().decode(errors="replace").strip()
