"""A server of the tests as a process: started until it answers, paused, ended; its port and files outlive it."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from hub.services.child import free_port
from tests.waiting import PATIENCE_SECONDS

LISTENS = "0A"
"""A state in /proc/net/tcp."""


class ServerProcess:
    """``command`` is asked at each start; ``answers`` says whether it is ready, at first: whether it listens."""

    def __init__(
        self, log: Path, command: Callable[[], Sequence[str]], answers: Callable[[], bool] | None = None
    ) -> None:
        self.port = free_port()
        self._log = log
        self._command = command
        self._answers = answers or self.listens
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id; 0 while it is not running."""
        return 0 if self._process is None else self._process.pid

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command(), stdout=log, stderr=log)
        deadline = time.perf_counter() + PATIENCE_SECONDS
        while not (self._answers() and self._has_the_port(self._process.pid)):
            if self._process.poll() is not None or time.perf_counter() > deadline:
                message = f"port {self.port}: {self.log()[-2000:]}"
                raise AssertionError(message)
            time.sleep(0.005)

    def stop(self) -> None:
        """End it in good order."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop and start."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Stop it without ending it: connections stay, answers do not come."""
        self.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on where it was paused."""
        self.send_signal(signal.SIGCONT)

    def log(self) -> str:
        """Return what it said so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def listens(self) -> bool:
        """Whether it accepts connections."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return True
        except OSError:
            return False

    def _has_the_port(self, pid: int) -> bool:
        """Whether it is process ``pid`` that listens; a stranger there would be taken for it, by whoever connects."""
        here = f"0100007F:{self.port:04X}", f"00000000:{self.port:04X}"
        rows = [line.split() for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()]
        listening = {f"socket:[{row[9]}]" for row in rows if row[1] in here and row[3] == LISTENS}
        with suppress(FileNotFoundError):  # it has ended, or closed one while we looked
            return any(str(each.readlink()) in listening for each in Path(f"/proc/{pid}/fd").iterdir())
        return False

    def send_signal(self, number: signal.Signals) -> None:
        """Send ``number`` to it, if it runs."""
        if self._process is not None:
            self._process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(number)
            self._process.wait(PATIENCE_SECONDS)
            self._process = None
