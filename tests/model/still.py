"""A still world: an event loop and clocks that move only when they are told, and doors at which all I/O waits."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeVar, cast

from typing_extensions import override

from hub.errors import UnavailableError

R = TypeVar("R")
SECOND = 1_000_000_000
MOST_TURNS = 20_000


class StillClock:
    """Both clocks of a machine; a monotonic one that never goes back, and a wall clock that may be set."""

    def __init__(self, wall: int) -> None:
        self.wall = wall
        self.monotonic = 1_000 * SECOND

    def wall_ns(self) -> int:
        return self.wall

    def monotonic_ns(self) -> int:
        return self.monotonic

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)  # noqa: TID251 -- on the still loop, whose time is this clock's

    def pass_by(self, seconds: float) -> None:
        """Let time pass on both."""
        self.wall += round(seconds * SECOND)
        self.monotonic += round(seconds * SECOND)


class StillLoop(asyncio.SelectorEventLoop):
    """An event loop that runs what can run now, and never waits."""

    def __init__(self, clock: StillClock) -> None:
        super().__init__()
        self._clock = clock

    @override
    def time(self) -> float:
        return self._clock.monotonic / SECOND

    def settle(self) -> None:
        """Run until nothing can go on by itself."""
        for _ in range(MOST_TURNS):
            self.call_soon(self.stop)
            self.run_forever()
            if not cast("deque[object]", self._ready):  # type: ignore[attr-defined] # what BaseEventLoop still has to run
                return
        message = "the hub is busy with itself"
        raise AssertionError(message)


class Way(Enum):
    """What becomes of a request to something outside the process.

    ``LOST``: it happened, its answer does not come. ``REFUSED``: it never arrived. ``LATE``: nobody knows; it may
    still happen.
    """

    DONE = auto()
    LOST = auto()
    REFUSED = auto()
    LATE = auto()


@dataclass(slots=True)
class Request:
    """One piece of I/O that waits at its door: what it does, what it leaves behind when it comes late."""

    what: str
    happen: Callable[[], object]
    later: Callable[[], None] | None
    answer: asyncio.Future[object]

    def happen_unheard(self) -> None:
        """Let it happen when nobody is left to be told."""
        with suppress(UnavailableError):
            self.happen()

    def go(self, way: Way) -> None:
        """Let it through."""
        result: object = None
        failure: BaseException | None = None
        if way in {Way.DONE, Way.LOST}:
            try:
                result = self.happen()
            except Exception as error:  # noqa: BLE001 -- the answer of whom was asked
                failure = error
        elif way is Way.LATE and self.later is not None:
            self.later()
        if self.answer.done():
            return  # who asked was cancelled meanwhile
        if way is not Way.DONE:
            self.answer.set_exception(UnavailableError("no_answer", "the model keeps it back"))
        elif failure is not None:
            self.answer.set_exception(failure)
        else:
            self.answer.set_result(result)


class Doors:
    """The doors of one process: what it asks of each place outside waits there, in order; of a dead one nothing."""

    def __init__(self) -> None:
        self.waiting: dict[str, deque[Request]] = {}
        self.is_dead = False

    async def through(
        self, door: str, what: str, happen: Callable[[], R], later: Callable[[], None] | None = None
    ) -> R:
        """Wait at ``door`` until the machine lets it happen."""
        if self.is_dead:
            raise asyncio.CancelledError
        answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self.waiting.setdefault(door, deque()).append(Request(what, happen, later, answer))
        return cast("R", await answer)

    @property
    def open_ones(self) -> list[str]:
        """Return the doors at which something waits, by name."""
        return sorted(door for door, waiting in self.waiting.items() if waiting)

    def let(self, door: str, way: Way = Way.DONE) -> None:
        """Let the first at ``door`` through."""
        self.waiting[door].popleft().go(way)

    def close(self) -> None:
        """Nothing goes through any more: the process is dead."""
        self.is_dead = True
        self.waiting.clear()
