"""Staying connected: serve one connection after the other, and wait with jitter between them."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Never

import msgspec
import structlog

from hub.clock import Clock

MAX_BACKOFF_SECONDS = 2.0
TAKEN_OVER = "session_taken_over"
"""How the reason of a Lost begins when another process connected with our client id."""

FLAPS, FLAP_NS = 2, 5_000_000_000
"""So many accepted connections in a row, each shorter than this: somebody else connects with our client id."""
MayReturn = Callable[[], Awaitable[None]]
"""Returns when we may connect again; raises when we never may."""

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


async def stay_connected(
    name: str, serve: Callable[[], Awaitable[End]], clock: Clock, may_return: MayReturn | None = None
) -> Never:
    """Serve until cancelled; a change of fortune is logged once, not with every attempt.

    ``may_return`` is awaited before the next connection when another process seems to have our client id: the broker
    said so, or (mosquitto 2.0.11 says nothing) accepted connections end again and again within seconds.
    """
    failures, last, flaps = 0, "", 0
    while True:
        began = clock.monotonic_ns()
        end = await serve()
        failures = 0 if end.was_good else failures + 1
        if end.was_good or end.reason != last:
            _log.warning("connection_lost", connection=name, reason=end.reason)
        last = end.reason
        is_flap = end.was_accepted and clock.monotonic_ns() - began < FLAP_NS
        flaps = flaps + 1 if is_flap else 0
        if may_return is not None and (flaps >= FLAPS or end.reason.startswith(TAKEN_OVER)):
            await may_return()
        await clock.sleep(backoff_seconds(failures, end.reason))


def backoff_seconds(failures: int, reason: str) -> float:
    """Return how long to wait after so many bad connections in a row: at most 2 s, with jitter.

    Another owner of our client id gets the longest wait at once: reconnecting would throw it out again.
    """
    doublings = _DOUBLINGS if reason.startswith(TAKEN_OVER) else min(failures, _DOUBLINGS)
    longest: float = min(MAX_BACKOFF_SECONDS, _FIRST_BACKOFF_SECONDS * 2.0**doublings)
    return longest * _jitter.uniform(0.5, 1.0)
