"""What a start waits for: one step after the other, for /readyz, and for the log whenever one takes long."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import TypeVar

import structlog

from hub.clock import Clock
from hub.errors import StoppedError, UnavailableError

TELL_EVERY_SECONDS = 5.0
AGAIN_SECONDS = 1.0

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Step(Enum):
    """A stable code, and for people what is waited for.

    Redis ends its step by itself: without an answer the hub goes on, and claims later. The registry is waited for, as
    long as it is away: only it knows which sites are another partition's, and what both heard would be told twice. The
    others wait for nobody but this machine's processors and disks.
    """

    OWN_REDIS = "starting_own_redis", "the Valkey that the hub keeps reads its files"
    FILES = "starting_files", "profiles and rules are read"
    REGISTRY = "starting_registry", "the registry is opened"
    JOURNAL = "starting_journal", "journal and state are opened and checked"
    RECOVERY = "starting_recovery", "what no checkpoint covers is applied again"
    REDIS = "starting_redis", "Redis is asked whose the partition is"
    STORE = "starting_store", "the time series store is opened"
    REVISION = "starting_revision", "the registry is read, and compared with what is known"

    def __init__(self, code: str, what: str) -> None:
        self.code = code
        self.what = what


class Beginning:
    """Where a start is: ``step`` is None before it, and when it is over; ``why`` says what holds it up, once known."""

    def __init__(self, clock: Clock) -> None:
        self.step: Step | None = None
        self.why = ""
        self._clock = clock
        self._since = 0
        self._word: asyncio.TimerHandle | None = None

    @property
    def seconds(self) -> float:
        """How long this step takes already."""
        return (self._clock.monotonic_ns() - self._since) / 1e9

    def at(self, step: Step) -> None:
        """Go on to ``step``."""
        self.over()
        self.why = ""
        self.step, self._since = step, self._clock.monotonic_ns()
        self._word = asyncio.get_running_loop().call_later(TELL_EVERY_SECONDS, self._tell, step)

    async def patiently(self, work: Callable[[], Awaitable[T]], stopped: asyncio.Event) -> T:
        """Do ``work`` again and again until those it needs are there; StoppedError when nobody wants it any more."""
        while True:
            try:
                return await work()
            except UnavailableError as error:
                self.why = str(error)
                if stopped.is_set():
                    raise StoppedError("stopped_while_opening", self.why) from error
            await self._clock.sleep(AGAIN_SECONDS)

    def over(self) -> None:
        """Wait for nothing any more: it has begun, or was given up."""
        self.step = None
        if self._word is not None:
            self._word.cancel()

    def _tell(self, step: Step) -> None:
        log.warning("start_held_up", code=step.code, waits_for=step.what, seconds=round(self.seconds), why=self.why)
        self._word = asyncio.get_running_loop().call_later(TELL_EVERY_SECONDS, self._tell, step)
