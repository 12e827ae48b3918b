"""The hub and the tutorial way under load: floods, steady rates, and the time from publish to event."""

from __future__ import annotations

import asyncio
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from benchmarks import listener, publisher, tutorial
from benchmarks.figures import Figure, Plan
from benchmarks.listener import Seen, listening
from benchmarks.publisher import Published, publish
from benchmarks.stage import HubProcess, Stage, cpu_ns, hub_on, staged
from benchmarks.traffic import Traffic
from hub.clock import SystemClock
from hub.config import TimeseriesStore

DELIVERY_SECONDS = 120.0
WINDOWS = 3
"""A steady rate is measured in so many parts; the figure is their median."""

Advance = Callable[[], None]
"""Called after each step, for a progress bar."""


class Load:
    """A hub on a stage, and the numbers that have been published to it."""

    def __init__(self, stage: Stage, hub: HubProcess, plan: Plan) -> None:
        self._stage = stage
        self._hub = hub
        self._plan = plan
        self._next = 0
        self.events = 0

    async def send(self, count: int, rate: float = 0) -> Published:
        """Publish the next ``count`` messages, and wait until all of it is delivered."""
        numbers = range(self._next, self._next + count)
        self._next += count
        self.events += self._hub.expect(numbers)
        port, devices = self._stage.mosquitto.port, self._plan.devices
        order = publisher.Order(port=port, devices=devices, first=numbers.start, count=count, rate=rate)
        published = await publish(order)
        await self._hub.until_delivered(seconds=DELIVERY_SECONDS)
        return published

    async def heard_events(self, count: int, rate: float) -> tuple[Published, Seen]:
        """Publish the next ``count`` messages, and note when their events appear."""
        expected = sum(1 for _ in Traffic(self._plan.devices).events(range(self._next, self._next + count)))
        seconds = count / rate + DELIVERY_SECONDS
        async with listening(listener.Order(url=self._stage.redis_url, count=expected, seconds=seconds)) as listening_:
            published = await self.send(count, rate)
            return published, await listening_.seen()


@asynccontextmanager
async def loaded(directory: Path, store: TimeseriesStore, plan: Plan) -> AsyncIterator[tuple[Load, HubProcess]]:
    """Open a stage with a hub that is warm."""
    async with staged(directory) as stage, hub_on(stage, store, Traffic(plan.devices)) as hub:
        load = Load(stage, hub, plan)
        await load.send(plan.warm_up)
        yield load, hub


async def flood(directory: Path, store: TimeseriesStore, plan: Plan, advance: Advance) -> Figure:
    """Publish as fast as the broker takes it; CPU from the first message until the last one is stored."""
    async with loaded(directory, store, plan) as (load, hub):
        costs: list[float] = []
        before, began = load.events, time.perf_counter()
        for _ in range(plan.flood_runs):
            cpu = cpu_ns(hub.pid)
            await load.send(plan.flood)
            costs.append((cpu_ns(hub.pid) - cpu) / 1e3 / plan.flood)
            advance()
        messages = plan.flood * plan.flood_runs
        rate = messages / (time.perf_counter() - began)
        losses = await hub.stop()
        return Figure(
            name=f"hub, flooded, {store.value}", cpu_us=costs, messages=messages, events=load.events - before,
            lost=losses.total, wall_rate=rate,
        )  # fmt: skip


async def steady(directory: Path, plan: Plan, advance: Advance) -> list[Figure]:
    """Publish at each rate, whatever the hub does; CPU, and the time from due to seen in the stream."""
    figures: list[Figure] = []
    async with loaded(directory, TimeseriesStore.INFLUXDB, plan) as (load, hub):
        for rate in plan.rates:
            before = load.events
            costs: list[float] = []
            async with asyncio.TaskGroup() as group:
                sampling = group.create_task(_sample(hub, rate, plan.seconds, costs))
                published, seen = await load.heard_events(rate * plan.seconds, rate)
                await sampling
            latency = latencies(published, seen)
            events = load.events - before
            figures.append(
                Figure(
                    name=f"hub, {rate:,}/s, influxdb", cpu_us=costs, messages=rate * plan.seconds, events=events,
                    lost=events - len(latency), latency_ms=latency, wall_rate=published.count / published.seconds,
                )  # fmt: skip
            )
            advance()
        losses = await hub.stop()
    if losses.total:
        raise RuntimeError(f"lost at a steady rate: {losses}")
    return figures


async def _sample(hub: HubProcess, rate: int, seconds: int, costs: list[float]) -> None:
    """Put into ``costs`` the CPU a message of each part of the time, as if everything came as it was due."""
    clock = SystemClock()
    await clock.sleep(0.1 * seconds / WINDOWS)  # the publisher starts
    for _ in range(WINDOWS):
        cpu, wall = cpu_ns(hub.pid), time.perf_counter()
        await clock.sleep(0.9 * seconds / WINDOWS)
        costs.append((cpu_ns(hub.pid) - cpu) / 1e3 / (rate * (time.perf_counter() - wall)))


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


async def tutorial_way(directory: Path, plan: Plan, advance: Advance) -> Figure:
    """Flood the tutorial way on servers of the same kind."""
    costs: list[float] = []
    events = stored = 0
    began = time.perf_counter()
    for run in range(plan.tutorial_runs):
        async with staged(directory) as stage:
            taken = await _take(stage, plan, run * plan.tutorial)
            costs.append(taken.cpu_seconds * 1e6 / taken.count)
            events += taken.events
            stored += await stage.count_points()
        advance()
    messages = plan.tutorial * plan.tutorial_runs
    rate = messages / (time.perf_counter() - began)
    return Figure(
        name="tutorial way, flooded, influxdb", cpu_us=costs, messages=messages, events=events,
        lost=messages - stored, wall_rate=rate,
    )  # fmt: skip


async def _take(stage: Stage, plan: Plan, first: int) -> tutorial.Taken:
    order = tutorial.Order(
        mqtt_port=stage.mosquitto.port, influx_url=stage.influx.url, redis_url=stage.redis_url, count=plan.tutorial
    )
    command: Sequence[str | bytes] = (sys.executable, "-m", "benchmarks.tutorial", msgspec.json.encode(order))
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE)
    try:
        if process.stdout is None or await process.stdout.readline() != b"ready\n":
            raise RuntimeError("the tutorial did not begin")
        port, devices = stage.mosquitto.port, plan.devices
        await publish(publisher.Order(port=port, devices=devices, first=first, count=plan.tutorial))
        answer, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return msgspec.json.decode(answer, type=tutorial.Taken)
