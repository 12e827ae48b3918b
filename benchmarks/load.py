"""The hub under load, on real servers: floods and steady rates, and everything counted again afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks import publisher
from benchmarks.figures import FLOOD, Figure, Plan, steadily
from benchmarks.publisher import Published, publish
from benchmarks.stage import HubProcess, Stage, cpu_ns, hub_on, staged
from benchmarks.timing import Trial, timed
from benchmarks.traffic import Traffic
from hub.config import TimeseriesStore
from hub.errors import UnavailableError

DELIVERY_SECONDS = 120.0

Advance = Callable[[], None]
"""Called after each step, for a progress bar."""


class Load:
    """A hub on a stage, and the numbers that have been published to it."""

    def __init__(self, stage: Stage, hub: HubProcess, plan: Plan) -> None:
        self.stage = stage
        self.hub = hub
        self._devices = plan.devices
        self._next = 0

    def events(self, count: int) -> int:
        """Return how many of the next ``count`` messages are events."""
        return Traffic(self._devices).count_events(range(self._next, self._next + count))

    async def send(self, count: int, rate: float = 0) -> Published:
        """Publish the next ``count`` messages, and wait until all of it is delivered."""
        numbers = range(self._next, self._next + count)
        self._next += count
        self.hub.expect(numbers)
        port = self.stage.mosquitto.port
        order = publisher.Order(port=port, devices=self._devices, first=numbers.start, count=count, rate=rate)
        published = await publish(order)
        await self.hub.until_delivered(seconds=DELIVERY_SECONDS)
        return published


@asynccontextmanager
async def loaded(directory: Path, store: TimeseriesStore, plan: Plan) -> AsyncIterator[Load]:
    """Open a stage with a hub that is warm."""
    async with staged(directory) as stage, hub_on(stage, store, Traffic(plan.devices)) as hub:
        load = Load(stage, hub, plan)
        await load.send(plan.warm_up)
        yield load


async def flood(directory: Path, store: TimeseriesStore, plan: Plan, advance: Advance) -> Figure:
    """Publish as fast as the broker takes it; CPU from the first message until the last one is stored."""
    async with loaded(directory, store, plan) as load:
        costs: list[float] = []
        events = load.events(plan.flood * plan.flood_runs)
        for _ in range(plan.flood_runs):
            cpu = cpu_ns(load.hub.pid)
            await load.send(plan.flood)
            costs.append((cpu_ns(load.hub.pid) - cpu) / 1e3 / plan.flood)
            advance()
        losses = await load.hub.stop()
    return Figure(
        subject=f"hub, {store.value}", load=FLOOD, cpu_us=costs, messages=plan.flood * plan.flood_runs, events=events,
        lost=losses.total,
    )  # fmt: skip


async def steady(directory: Path, plan: Plan, advance: Advance) -> list[Figure]:
    """Publish at each rate, whatever the hub does; CPU, and the time from due to seen in the stream."""
    figures: list[Figure] = []
    async with loaded(directory, TimeseriesStore.INFLUXDB, plan) as load:
        for rate in plan.rates:
            count = rate * plan.seconds
            events, url = load.events(count), load.stage.redis_url
            trial = Trial(pid=load.hub.pid, redis_url=url, rate=rate, seconds=plan.seconds, events=events)
            found = await timed(trial, load.send)
            row = Figure(
                subject="hub, influxdb", load=steadily(rate), cpu_us=found.cpu_us, messages=count, events=events,
                lost=events - len(found.latency_ms), latency_ms=found.latency_ms,
            )  # fmt: skip
            figures.append(row)
            advance()
        losses = await load.hub.stop()
    if losses.total:
        raise UnavailableError("lost_at_a_steady_rate", str(losses))
    return figures
