"""Signals that end a process in good order: which, how often, and what nohup says against it."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.waiting import PATIENCE_SECONDS

WORK = """\
import asyncio, sys
from hub.ui.process.signals import on_signals

async def work():
    stopped = asyncio.Event()
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    with on_signals(stopped.set):
        print("at work", flush=True)
        line = asyncio.ensure_future(reader.readline())
        await asyncio.wait({asyncio.ensure_future(stopped.wait()), line}, return_when=asyncio.FIRST_COMPLETED)
        print("stopped" if stopped.is_set() else "let be", flush=True)
    await (line if stopped.is_set() else reader.readline())
    print("tidied up", flush=True)

asyncio.run(work())
"""


class Worker:
    """A process that ends in good order: it says so, waits for a line, and tidies up."""

    def __init__(self, prelude: str = "") -> None:
        pipe = subprocess.PIPE
        words = [sys.executable, "-c", prelude + WORK]
        self.process = subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe, text=True)

    def says(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def end(self) -> tuple[int, str]:
        said, _ = self.process.communicate("go on\n", timeout=PATIENCE_SECONDS)
        return self.process.returncode, said.strip()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_one_ends_it_in_good_order_and_a_terminal_may_say_twice_that_it_goes(number: signal.Signals) -> None:
    """A shell that its terminal hangs up on tells its jobs, and then the kernel does."""
    worker = Worker()
    assert worker.says() == "at work"
    worker.process.send_signal(number)
    assert worker.says() == "stopped"
    worker.process.send_signal(signal.SIGHUP)
    assert worker.end() == (0, "tidied up")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_one_that_somebody_sends_ends_it_the_hard_way(number: signal.Signals) -> None:
    worker = Worker()
    assert worker.says() == "at work"
    worker.process.send_signal(signal.SIGHUP)
    assert worker.says() == "stopped"
    worker.process.send_signal(number)
    assert worker.process.wait(PATIENCE_SECONDS) != 0
    assert worker.end()[1] == ""


def test_what_was_begun_with_nohup_stays_when_the_terminal_goes() -> None:
    worker = Worker("import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n")
    assert worker.says() == "at work"
    worker.process.send_signal(signal.SIGHUP)
    assert worker.process.stdin is not None
    worker.process.stdin.write("go on\n")
    worker.process.stdin.flush()
    assert worker.says() == "let be"
    assert worker.end() == (0, "tidied up")
