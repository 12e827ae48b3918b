"""The signals that end a process: the first in good order, the second at once; and that of its parent's end."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

SIGNALS: Sequence[signal.Signals] = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PR_SET_PDEATHSIG = 1  # prctl(2)


def end_with(parent: int) -> None:
    """Let this process end with the one that started it, however that ends; at once when it is gone already."""
    tell = getattr(ctypes.CDLL(None), "prctl", None)
    if tell is not None:
        tell(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def on_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Call ``stop`` at the first SIGINT, SIGTERM or SIGHUP; a second one of somebody ends the process the hard way.

    SIGHUP is no wish to reload, for a reload answers whoever asked for it: the terminal goes. It may say so twice, by
    its shell and by the kernel, so only the first one counts; under nohup it says nothing.
    """
    loop, numbers = asyncio.get_running_loop(), SIGNALS
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        numbers = [number for number in SIGNALS if number is not signal.SIGHUP]

    def stop_once() -> None:
        for number in numbers:
            loop.remove_signal_handler(number)
        if signal.SIGHUP in numbers:
            signal.signal(signal.SIGHUP, lambda *_: None)  # SIG_IGN would be for our children, too
        stop()

    for number in numbers:
        loop.add_signal_handler(number, stop_once)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
