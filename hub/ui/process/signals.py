"""The signals that end a process: the first in good order, the second at once; and that of its parent's end."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM)
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
    """Call ``stop`` at the first SIGINT or SIGTERM; a second one ends the process the hard way."""
    loop = asyncio.get_running_loop()

    def stop_once() -> None:
        for number in SIGNALS:
            loop.remove_signal_handler(number)
        stop()

    for number in SIGNALS:
        loop.add_signal_handler(number, stop_once)
    try:
        yield
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)
