"""The leash: a tiny supervisor that ends its child when whoever holds the other end of the pipe is gone.

``python -m hub.services.leash SECONDS COMMAND…``. Standard input is the pipe: its end means that the hub has stopped
or was killed. The first line of standard output is the child's process id. Leaves with the child's return code, with
128 + the signal that ended it, or with 127 when it could not be started.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from threading import Event, Thread

NOT_FOUND = 127
SIGNALLED = 128


def main(arguments: list[str]) -> int:
    """Run ``arguments[1:]`` until it ends or the pipe does; then it has ``arguments[0]`` seconds before SIGKILL."""
    patience, command = float(arguments[0]), arguments[1:]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the hub, which then lets go in its own order
    signal.signal(signal.SIGHUP, lambda *_: None)  # so is a terminal that goes; SIG_IGN would be for the child, too
    try:
        # The child's output goes to our standard error, which is its log file.
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=2, start_new_session=True)  # noqa: S603 -- the hub's own
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        return NOT_FOUND
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    os.write(1, b"%d\n" % child.pid)
    Thread(target=_end_with_the_pipe, args=(child, patience), daemon=True).start()
    code = child.wait()
    return code if code >= 0 else SIGNALLED - code


def hold_me(patience: float) -> None:
    """Hold this very process, of ours, by its standard input: when that ends, SIGTERM, and SIGKILL after ``patience``.

    A thread of its own does it, so that also a process whose loop does not turn any more goes.
    """
    Thread(target=_go_with_the_pipe, args=(patience,), daemon=True, name="hub.leash").start()


def _go_with_the_pipe(patience: float) -> None:
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    Event().wait(patience)
    os.kill(os.getpid(), signal.SIGKILL)


def _end_with_the_pipe(child: subprocess.Popen[bytes], patience: float) -> None:
    while os.read(0, 1):
        pass
    child.terminate()
    try:
        child.wait(patience)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)  # its own children too: a database may have forked to save


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
