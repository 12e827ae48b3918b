"""Workers: processes of ours side by side, each on a leash; one that dies is started again, and all end together."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import structlog

from hub.clock import Clock
from hub.services.watchdog import TIMES, has_spoken

STOP_SECONDS = 30.0
"""How long a worker may take to end in good order."""
FIRST_REST_SECONDS, LONGEST_REST_SECONDS = 1.0, 30.0
STEADY_NS = 60_000_000_000
"""A worker that lived so long had begun well: the next one follows at once again."""
SILENT_SECONDS = 120.0
"""A worker that lives, and says for so long that it does not hang, hangs: systemd waits as long for a hub alone."""
HOPELESS = 2
"""The exit code of a process that only people can help."""

log = structlog.get_logger(__name__)


@dataclass(slots=True, kw_only=True)
class Worker:
    """One process: what it runs, and how it fares. ``fate`` says how it ended until whoever asks it has an answer.

    ``sockets`` are file descriptors that it inherits under the same numbers. At ``line`` we hear that it does not hang;
    ``silent`` looks in a row have heard nothing.
    """

    name: str
    command: Sequence[str]
    sockets: Sequence[int] = ()
    pid: int = 0
    restarts: int = 0
    fate: str = "it is starting"
    is_hopeless: bool = False
    line: socket.socket | None = field(default=None, repr=False)
    silent: int = 0
    process: asyncio.subprocess.Process | None = field(default=None, repr=False)


class Workers:
    """Runs ``workers`` until ``stop``. A process that dies is started again, later each time that it dies soon.

    One that hangs is killed, and started again like one that died; the others go on meanwhile.
    When every one of them has left with 2 and none is there again, nothing that time could heal is left: then they end
    by themselves.
    """

    def __init__(self, workers: Sequence[Worker], clock: Clock) -> None:
        self.all = workers
        self._clock = clock
        self._stop = asyncio.Event()

    async def run(self) -> int:
        """Work until ``stop`` and return the exit code: 0, or 2 when no worker could begin."""
        self._look_later()
        async with asyncio.TaskGroup() as group:
            for worker in self.all:
                group.create_task(self._keep(worker), name=f"hub.workers.{worker.name}")
        return HOPELESS if self._are_hopeless else 0

    def look(self) -> None:
        """Kill whoever lives and was silent for three looks: looks are counted, for we may have slept ourselves."""
        for worker in self.all:
            if worker.process is None or worker.line is None:
                continue
            worker.silent = 0 if has_spoken(worker.line) else worker.silent + 1
            if worker.silent >= TIMES:
                log.error("worker_hung", worker=worker.name, silent_seconds=SILENT_SECONDS)
                worker.process.kill()

    def _look_later(self) -> None:
        asyncio.get_running_loop().call_later(SILENT_SECONDS / TIMES, self._look_again)

    def _look_again(self) -> None:
        if not self._stop.is_set():
            self.look()
            self._look_later()

    def stop(self) -> None:
        """Let every worker end in good order; one that takes too long is killed."""
        self._stop.set()
        self._signal(signal.SIGTERM)
        asyncio.get_running_loop().call_later(STOP_SECONDS, self._signal, signal.SIGKILL)

    @property
    def _are_hopeless(self) -> bool:
        return all(worker.is_hopeless for worker in self.all)

    def _signal(self, number: signal.Signals) -> None:
        for worker in self.all:
            if worker.process is not None:
                if number is signal.SIGKILL:
                    log.error("worker_killed", worker=worker.name, after_seconds=STOP_SECONDS)
                with suppress(ProcessLookupError):
                    worker.process.send_signal(number)

    async def _keep(self, worker: Worker) -> None:
        rest = FIRST_REST_SECONDS
        while not self._stop.is_set():
            began = self._clock.monotonic_ns()
            code = await self._live(worker)
            if self._stop.is_set():
                log.info("worker_stopped", worker=worker.name, fate=worker.fate)
                return
            worker.is_hopeless = code == HOPELESS
            if self._are_hopeless:
                self.stop()
                return
            if self._clock.monotonic_ns() - began > STEADY_NS:
                rest = FIRST_REST_SECONDS
            log.error("worker_died", worker=worker.name, fate=worker.fate, again_in_seconds=rest)
            await self._rest(rest)
            rest = min(2 * rest, LONGEST_REST_SECONDS)
            worker.restarts += 1

    async def _live(self, worker: Worker) -> int:
        """Live through one process; return its exit code."""
        # A session of its own: Ctrl-C is for us, who then stop the workers in good order.
        try:
            process = await asyncio.create_subprocess_exec(
                *worker.command, stdin=asyncio.subprocess.PIPE, start_new_session=True, pass_fds=tuple(worker.sockets)
            )
        except OSError as error:  # for want of memory, say, or of file descriptors
            worker.fate = f"not started: {error.strerror}"
            return 1
        worker.process, worker.pid, worker.silent, worker.is_hopeless = process, process.pid, 0, False
        log.info("worker_started", worker=worker.name, pid=process.pid)
        if self._stop.is_set():  # it came while the process was made
            process.terminate()
        code = await process.wait()
        fate = f"hung, {fate_of(code)}" if worker.silent >= TIMES else fate_of(code)
        worker.process, worker.pid, worker.fate = None, 0, fate
        return code

    async def _rest(self, seconds: float) -> None:
        """Wait, or until ``stop``."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stop.wait()


def fate_of(code: int) -> str:
    """Return in words how a process ended."""
    return f"left with {code}" if code >= 0 else f"ended by {signal.Signals(-code).name}"
