"""The hub under load, on real servers: floods and steady rates, and everything counted again afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks import publisher, reflex
from benchmarks.figures import FLOOD, MIXTURE, Figure, Finding, Plan, Target, percentile, steadily
from benchmarks.hub_process import HubProcess, Setup, hub_on
from benchmarks.publisher import Published, publish
from benchmarks.stage import Stage, cpu_ns, staged
from benchmarks.timing import Trial, timed
from benchmarks.traffic import RULES, SITE, Traffic
from hub.config.settings import TimeseriesStore
from hub.errors import UnavailableError
from simulators.mixture import Mixture

MIXED = Setup(rules="")
"""Judged by the shipped rules alone."""
DELIVERY_SECONDS = 120.0
REFLEX_P99_MS = {5_000: 50.0}

Advance = Callable[[], None]
"""Called after each step, for a progress bar."""


class Load:
    """A hub on a stage, and the numbers that have been published to it."""

    def __init__(self, stage: Stage, hub: HubProcess, devices: int, *, mixed: bool = False) -> None:
        self.stage = stage
        self.hub = hub
        self._devices = devices
        self._mixed = mixed
        self._next = 0

    def events(self, count: int) -> int:
        """Return how many of the next ``count`` messages are events."""
        return Traffic(self._devices).count_events(range(self._next, self._next + count))

    async def publish(self, count: int, rate: float = 0, *, connections: int = 1) -> Published:
        """Publish the next ``count`` messages."""
        numbers = range(self._next, self._next + count)
        self._next += count
        self.hub.expect(numbers)
        order = publisher.Order(
            port=self.stage.mosquitto.port, devices=self._devices, first=numbers.start, count=count, rate=rate,
            connections=connections, mixed=self._mixed,
        )  # fmt: skip
        return await publish(order)

    async def send(self, count: int, rate: float = 0) -> Published:
        """Publish the next ``count`` messages, and wait until all of it is delivered."""
        published = await self.publish(count, rate)
        await self.hub.until_delivered(seconds=DELIVERY_SECONDS)
        return published

    async def flood(self, count: int) -> float:
        """Send as fast as the broker takes it; return the hub's CPU microseconds a message until all is stored."""
        cpu = cpu_ns(self.hub.pid)
        await self.send(count)
        return (cpu_ns(self.hub.pid) - cpu) / 1e3 / count


@asynccontextmanager
async def loaded(
    directory: Path, setup: Setup, devices: int, *, warm_up: int, speech: Traffic | Mixture | None = None
) -> AsyncIterator[Load]:
    """Open a stage with a hub that is warm; ``speech`` is more than traffic of ``devices``."""
    async with staged(directory) as stage, hub_on(stage, speech or Traffic(devices), setup) as hub:
        load = Load(stage, hub, devices, mixed=isinstance(speech, Mixture))
        await load.send(warm_up)
        yield load


async def flood(directory: Path, store: TimeseriesStore, plan: Plan, advance: Advance) -> Figure:
    """Publish as fast as the broker takes it; CPU from the first message until the last one is stored."""
    async with loaded(directory, Setup(store=store), plan.devices, warm_up=plan.warm_up) as load:
        costs: list[float] = []
        events = load.events(plan.flood * plan.flood_runs)
        for _ in range(plan.flood_runs):
            costs.append(await load.flood(plan.flood))
            advance()
        losses = await load.hub.stop()
    return Figure(
        subject=f"hub, {store.value}", load=FLOOD, cpu_us=costs, messages=plan.flood * plan.flood_runs, events=events,
        lost=losses.total,
    )  # fmt: skip


async def mixture(directory: Path, plan: Plan, advance: Advance) -> Figure:
    """Flood a hub with what a real community says, judged by the shipped rules.

    The same words come to the same events, but for a door that a flood leaves open because it ends within a passage:
    half a minute later that is an alarm, if the next flood has not begun by then (tests/replay/test_tempo.py).
    """
    devices = plan.mixture_devices
    speech, costs = Mixture(SITE, devices), list[float]()
    async with loaded(directory, MIXED, devices, warm_up=plan.warm_up, speech=speech) as load:
        hub = load.hub
        before = await hub.metrics()
        for _ in range(plan.flood_runs):
            costs.append(await load.flood(plan.mixture))
            advance()
        after = await hub.metrics()
        losses = await hub.stop()
    name = "hub_events_raised_total"
    return Figure(
        subject="hub, influxdb", load=MIXTURE, cpu_us=costs, messages=plan.mixture * plan.flood_runs,
        events=after[name] - before[name], lost=losses.total,
    )  # fmt: skip


async def steady(directory: Path, plan: Plan, advance: Advance) -> tuple[list[Figure], list[Finding]]:
    """Publish at each rate, whatever the hub does; CPU, and the time from due to seen in the stream, and reflexes."""
    figures: list[Figure] = []
    findings: list[Finding] = []
    setup, speech = Setup(rules=RULES + reflex.RULES), reflex.Watched(plan.devices)
    async with loaded(directory, setup, plan.devices, warm_up=plan.warm_up, speech=speech) as load:
        for rate in plan.rates:
            count = rate * plan.seconds
            events, url = load.events(count), load.stage.redis_url
            trial = Trial(pid=load.hub.pid, redis_url=url, rate=rate, seconds=plan.seconds, events=events)
            found = await timed(trial, load.send)
            row = Figure(
                subject="hub, influxdb", load=steadily(rate), cpu_us=found.cpu_us, messages=count, events=events,
                lost=events - len(found.latency_ms), rate=rate, latency_ms=found.latency_ms,
            )  # fmt: skip
            figures.append(row)
            advance()
        for rate in plan.reflex_rates:
            findings.append(await _reflexes(load, rate, plan.seconds))
            advance()
        losses = await load.hub.stop()
    if losses.total:
        raise UnavailableError("lost_at_a_steady_rate", str(losses))
    return figures, findings


async def _reflexes(load: Load, rate: int, seconds: int) -> Finding:
    """Let cameras see people while ``rate`` messages a second come in; each must be answered by a command."""
    order = reflex.Order(port=load.stage.mosquitto.port, seconds=seconds)
    load.hub.expect(range(0), beside=order.messages)
    async with reflex.probing(order) as probe:
        await load.send(rate * seconds, rate)
        took = await probe.latencies_ms()
    if not took:
        raise UnavailableError("no_command_came", f"of {order.causes}")
    bound = REFLEX_P99_MS.get(rate)
    return Finding(
        name=f"cause published to command on the wire, p99: {steadily(rate)}", found=percentile(took, 99), unit="ms",
        target=None if bound is None else Target(bound=bound), lost=order.causes - len(took),
        note=f"p50 {percentile(took, 50):.1f} ms, {len(took)} commands",
    )  # fmt: skip
