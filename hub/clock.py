"""Time as a dependency: the system clock behind a Protocol that tests replace."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator
from typing import Protocol, TypeVar

T = TypeVar("T")


class Clock(Protocol):
    """Where time comes from; nothing else in the hub asks the operating system."""

    def wall_ns(self) -> int:
        """Return UTC nanoseconds since 1970; may step back or forth."""
        ...

    def monotonic_ns(self) -> int:
        """Return nanoseconds that never go back; the origin means nothing."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait ``seconds`` of monotonic time."""
        ...


class SystemClock:
    """The operating system's clocks."""

    def wall_ns(self) -> int:
        """Return the wall clock in ns."""
        return time.time_ns()

    def monotonic_ns(self) -> int:
        """Return the monotonic clock in ns."""
        return time.monotonic_ns()

    async def sleep(self, seconds: float) -> None:
        """Sleep on the event loop."""
        await asyncio.sleep(seconds)  # noqa: TID251 -- this is the room that the ban names


async def stroke(clock: Clock, seconds: float) -> None:
    """Wait for the next multiple of ``seconds``: all who do something once a second share one wake-up that way."""
    await clock.sleep(seconds - clock.monotonic_ns() / 1e9 % seconds)


async def until(is_done: Callable[[], bool], clock: Clock, *, within: int) -> None:
    """Return when something is done, or after so many ns."""
    deadline = clock.monotonic_ns() + within
    while not is_done() and clock.monotonic_ns() < deadline:
        await clock.sleep(0.02)


async def in_turns(steps: Generator[None, None, T], clock: Clock, taken: Callable[[], None] = lambda: None) -> T:
    """Return what ``steps`` come to; between two of them whoever else waits for the loop has a turn.

    ``taken`` is called behind each but the last.
    """
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: T = end.value
            return found
        taken()
        await clock.sleep(0)
