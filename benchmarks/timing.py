"""A steady rate, timed: the CPU of a process meanwhile, and when each event was seen after it was due."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from benchmarks import listener
from benchmarks.listener import Seen, listening
from benchmarks.publisher import Published
from benchmarks.stage import cpu_ns
from hub.clock import SystemClock

WINDOWS = 3
"""A steady rate is measured in so many parts; the figure is their median."""
STARTING_SHARE = 0.1
"""Of each part, while the publisher starts."""
PATIENCE_SECONDS = 10.0
"""How long after the last publish an event may come."""

Send = Callable[[int, float], Awaitable[Published]]
"""Publish so many messages at such a rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """CPU microseconds a message of each window, and the latency of each event that was seen."""

    cpu_us: Sequence[float]
    latency_ms: Sequence[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What is tried on process ``pid``: ``rate`` messages a second for ``seconds``, of which ``events`` are events."""

    pid: int
    redis_url: str
    rate: int
    seconds: int
    events: int


async def timed(trial: Trial, send: Send) -> Timed:
    """Send, with an eye on the process and on the streams."""
    seconds = trial.seconds + PATIENCE_SECONDS
    order = listener.Order(url=trial.redis_url, count=trial.events, seconds=seconds)
    async with listening(order) as ear, asyncio.TaskGroup() as group:
        sampling = group.create_task(_sample(trial))
        published = await send(trial.rate * trial.seconds, trial.rate)
        return Timed(cpu_us=await sampling, latency_ms=latencies(published, await ear.seen()))


async def _sample(trial: Trial) -> list[float]:
    """Return the CPU a message of each window, taking every message for sent when it was due."""
    clock, costs = SystemClock(), []
    span = trial.seconds / WINDOWS
    await clock.sleep(STARTING_SHARE * span)
    for _ in range(WINDOWS):
        cpu, wall = cpu_ns(trial.pid), time.perf_counter()
        await clock.sleep((1 - STARTING_SHARE) * span)
        costs.append((cpu_ns(trial.pid) - cpu) / 1e3 / (trial.rate * (time.perf_counter() - wall)))
    return costs


def latencies(published: Published, seen: Seen) -> list[float]:
    """Return in ms how long after it was due each event was seen: the nth of a device is the nth seen of it."""
    due: dict[str, list[int]] = {}
    for device, at in published.due:
        due.setdefault(device, []).append(at)
    found: list[float] = []
    for key, at in seen:
        waiting = due.get(key.rpartition("/")[2])
        if waiting:
            found.append((at - waiting.pop(0)) / 1e6)
    return found
