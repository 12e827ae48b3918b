"""A process that has the hub loaded and forks: of what a start of ``hub run`` costs, half is to import it.

What it forks is a process like any other, which can be paused, killed and waited for; nothing of the hub has run in it.
Whoever wants to see the imports too starts one of its own.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import CodeType

import msgspec

LOADED = "import hub.ui.cli.run, hub.sinks.timeseries.influxdb; "
REQUEST_BYTES = 65_536
ROOT = Path(__file__).parent.parent.parent
OUTPUTS = (1, 2)
ROOM = " " * 1_000
"""For the words of what is forked, where /proc and `ps` show them."""
_ARGUMENTS = slice(45, 47)
"""Where they begin and end, among what /proc/self/stat says behind the name."""


class Wish(msgspec.Struct):
    """What a process is to run, with which ``sys.argv`` and which environment."""

    code: str
    words: Sequence[str]
    environment: Mapping[str, str]


class Forked:
    """A process that was forked, to be used as a ``subprocess.Popen``."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self.pid = _number(line)
        self._code: int | None = None

    def __del__(self) -> None:
        self._line.close()

    def poll(self) -> int | None:
        """Return its exit code, negative for a signal; None while it lives."""
        return self._ended(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended; TimeoutExpired."""
        code = self._ended(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
        return code

    def _ended(self, seconds: float | None) -> int | None:
        if self._code is None:
            self._line.settimeout(seconds)
            with suppress(BlockingIOError, TimeoutError):
                self._code = _number(self._line)
                self._line.close()
        return self._code

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it lives."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


@cache
def warmed() -> socket.socket:
    """Return the line to a process that loads everything, forks what is asked for, and ends with us."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        command = (sys.executable, "-m", __spec__.name, str(theirs.fileno()), ROOM)
        # What it has compiled others read, also where whoever runs the tests forbids that to them.
        writing = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}  # noqa: TID251 -- for a child
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, pass_fds=(theirs.fileno(),), env=writing
        )

    @atexit.register
    def end() -> None:
        ours.close()
        process.wait()

    return ours


def fork(code: str, arguments: Sequence[str], environment: Mapping[str, str], output: int) -> Forked:
    """Run ``code`` with ``sys.argv[1:]`` in a process that has the hub loaded; it writes to the file ``output``."""
    wish = msgspec.json.encode(Wish(code, ["-c", *arguments], environment))
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        socket.send_fds(warmed(), [wish], [theirs.fileno(), output])
    return Forked(ours)


def _number(line: socket.socket) -> int:
    said = line.recv(64)
    if not said:
        raise ConnectionError
    return int(said)


# ------------------------------------------------------------------------------------------------- the process itself


def _serve(control: socket.socket) -> CodeType:
    """Fork for each request until nobody can ask any more; return, in what was forked, what it is to run."""
    signal.signal(signal.SIGCHLD, _reap)
    while True:
        wish, descriptors, _, _ = socket.recv_fds(control, REQUEST_BYTES, 1 + len(OUTPUTS))
        if not wish:
            os._exit(0)
        if os.fork() == 0:
            control.close()
            return _born(msgspec.json.decode(wish, type=Wish), *descriptors)
        for each in descriptors:
            os.close(each)


def _reap(*_: object) -> None:
    """Let those who have told of an end go; what they and theirs have used of the processor is counted as ours."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _born(wish: Wish, line: int, output: int) -> CodeType:
    """Fork once more: one runs what is wished, the other tells of its birth and of its end."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = os.fork()
    if child:
        os.close(output)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with socket.socket(fileno=line) as told:
            told.send(b"%d" % child)
            told.send(b"%d" % os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        os._exit(0)
    for each in OUTPUTS:
        os.dup2(output, each)
    os.close(output)
    os.close(line)
    os.environ.clear()  # noqa: TID251 -- it is another process's from here on
    os.environ.update(wish.environment)  # noqa: TID251 -- as above
    sys.argv = [*wish.words]
    _show([sys.executable, *sys.argv])
    return compile(wish.code, "<string>", "exec")


def _show(words: Sequence[str]) -> None:
    """Let /proc tell what runs here."""
    stat = Path("/proc/self/stat").read_text(encoding="ascii")
    first, beyond = map(int, stat.rpartition(")")[2].split()[_ARGUMENTS])
    text = "\0".join(words).encode()[: beyond - first - 1]
    ctypes.memmove(first, text.ljust(beyond - first, b"\0"), beyond - first)


if __name__ == "__main__":
    exec(LOADED)  # noqa: S102 -- our own words
    exec(_serve(socket.socket(fileno=int(sys.argv[1]))), {"__name__": "__main__"})  # noqa: S102 -- as above
