"""Staying connected: serve one connection after the other, and wait with jitter between them."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Never, Protocol

import msgspec
import structlog

from hub.cancellation import heed_cancellation
from hub.clock import Clock

MAX_BACKOFF_SECONDS = 2.0
TAKEN_OVER = "session_taken_over"
"""How the reason of a Lost begins when another process connected with our client id."""

FLAPS, FLAP_NS = 2, 5_000_000_000
"""So many accepted connections in a row, each shorter than this: somebody else connects with our client id."""
_FIRST_BACKOFF_SECONDS = 0.1
_DOUBLINGS = 5
_jitter = random.SystemRandom()
_log = structlog.get_logger()


class End(msgspec.Struct, frozen=True):
    """How a connection ended, or why it never came.

    ``was_good``: it did its work, so the next may follow soon. ``was_accepted``: the broker took it at first.
    """

    reason: str
    was_good: bool
    was_accepted: bool = False


class Guard(Protocol):
    """Who knows whether this process still owns its partition; OwnershipLostError ends whoever asks and does not."""

    @property
    def is_awake(self) -> bool:
        """False after a sleep (SIGSTOP, a frozen machine) in which another process may have taken over."""
        ...

    async def wake(self) -> None:
        """Return at once when awake, else ask."""
        ...

    async def ask(self) -> None:
        """Ask now, for a second at most: no answer stops nothing."""
        ...

    async def prove(self) -> None:
        """Wait for an answer, however long it takes."""
        ...


async def stay_connected(
    name: str, serve: Callable[[], Awaitable[End]], clock: Clock, guard: Guard | None = None
) -> Never:
    """Serve until cancelled; a change of fortune is logged once, not with every attempt.

    ``guard`` is asked before every return: what we heard after a takeover would never be delivered. It must prove
    that we are the owner when another process seems to have our client id: the broker said so, or (mosquitto 2.0.11
    says nothing) accepted connections end again and again within seconds.
    """
    failures, last, flaps = 0, "", 0
    while True:
        began = clock.monotonic_ns()
        end = await serve()
        heed_cancellation()
        failures = 0 if end.was_good else failures + 1
        if end.was_good or end.reason != last:
            _log.warning("connection_lost", connection=name, reason=end.reason)
        last = end.reason
        is_flap = end.was_accepted and clock.monotonic_ns() - began < FLAP_NS
        flaps = flaps + 1 if is_flap else 0
        await clock.sleep(backoff_seconds(failures, end.reason))
        if guard is not None:
            is_another = flaps >= FLAPS or end.reason.startswith(TAKEN_OVER)
            await (guard.prove() if is_another else guard.ask())


def backoff_seconds(failures: int, reason: str) -> float:
    """Return how long to wait after so many bad connections in a row: at most 2 s, with jitter.

    Another owner of our client id gets the longest wait at once: reconnecting would throw it out again.
    """
    doublings = _DOUBLINGS if reason.startswith(TAKEN_OVER) else min(failures, _DOUBLINGS)
    longest: float = min(MAX_BACKOFF_SECONDS, _FIRST_BACKOFF_SECONDS * 2.0**doublings)
    return longest * _jitter.uniform(0.5, 1.0)
