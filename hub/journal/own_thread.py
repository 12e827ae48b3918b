"""A thread that does one thing after another and hands each result to the loop, for less than an executor takes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from hub.errors import UnavailableError

R = TypeVar("R")


class OwnThread:
    """Started by the first ``call``, ended by ``close``; called from one loop. ``answered`` counts what is done.

    An executor's second future, its locks and its additional turn of the loop cost 100 us of CPU a call, where each
    call finds cold caches: 5 us a message at 1,000 a second.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._is_closed = False
        self._given = self.answered = 0
        self._ran: bytes | None = None

    @property
    def owes(self) -> bool:
        """True while anything that was called for is not done."""
        return self._given > self.answered

    def has_worked(self) -> bool:
        """Return whether it was on a processor since the last time that this was asked; True where nobody can say."""
        if self._thread is None or not self._thread.is_alive():
            return False
        try:
            ran = Path(f"/proc/self/task/{self._thread.native_id}/schedstat").read_bytes().split()[0]
        except (OSError, IndexError):
            return True
        before, self._ran = self._ran, ran
        return ran != before

    @property
    def is_running(self) -> bool:
        """True from the first ``call`` to ``close``."""
        return self._thread is not None

    async def call(self, work: Callable[[], R]) -> R:
        """Return what ``work`` returns, or raise what it raises; who is cancelled before it began leaves it undone.

        UnavailableError ``closed`` behind ``close``: nobody would end another thread.
        """
        if self._is_closed:
            raise UnavailableError("closed", f"{self._name} has ended")
        if self._thread is None:
            thread = Thread(target=self._run, name=self._name, daemon=True)
            thread.start()  # the system may have none left: then there is nothing that close could wait for
            self._thread = thread
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[R] = loop.create_future()
        self._given += 1
        self._calls.put(partial(_do, loop, work, outcome))
        return await outcome

    def close(self) -> None:
        """End the thread behind what was called for."""
        self._is_closed = True
        if self._thread is not None:
            self._calls.put(None)
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
            self.answered += 1
            del call  # what it held, and what came of it, would stay until the next one


def _do(loop: asyncio.AbstractEventLoop, work: Callable[[], R], outcome: asyncio.Future[R]) -> None:
    if outcome.cancelled():
        return
    try:
        result = work()
    except BaseException as error:  # noqa: BLE001 -- it is raised where it is awaited
        _tell(loop, outcome, outcome.set_exception, error)
    else:
        _tell(loop, outcome, outcome.set_result, result)


def _tell(
    loop: asyncio.AbstractEventLoop, outcome: asyncio.Future[Any], settle: Callable[[Any], None], value: object
) -> None:
    with suppress(RuntimeError):  # the loop is closed: nobody waits
        loop.call_soon_threadsafe(_settle, outcome, settle, value)


def _settle(outcome: asyncio.Future[Any], settle: Callable[[Any], None], value: object) -> None:
    if not outcome.done():
        settle(value)
