"""Other ways under the same loads, on servers of the same kind: the tutorial's, and a careful one without a hub."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from benchmarks import figures, publisher, tutorial
from benchmarks.figures import FLOOD, Figure, Plan, steadily
from benchmarks.load import Advance
from benchmarks.publisher import Published, publish
from benchmarks.stage import Stage, staged
from benchmarks.timing import Trial, timed
from benchmarks.traffic import Traffic
from hub.errors import UnavailableError


@dataclass(frozen=True, slots=True)
class Way:
    """A module that takes messages as a process of its own, by the same orders."""

    subject: str
    module: str

    @property
    def directory(self) -> str:
        """Where its servers keep their files."""
        return self.module.rpartition(".")[2]


TUTORIAL = Way(figures.TUTORIAL, "benchmarks.tutorial")
RAW = Way("gmqtt + raw lines, influxdb", "benchmarks.raw")
APART = Path(sys.prefix) / "baselines"
"""What only baselines need: gmqtt's wheel brings a package ``tests`` that would hide ours."""
ABSENT = f"{RAW.subject}: gmqtt not found; `make bench` installs it apart"


def has_raw() -> bool:
    """Whether the raw way can be gone here."""
    return (APART / "gmqtt").is_dir()


class Pupil:
    """A process that goes a way until it has taken ``count`` messages."""

    def __init__(self, stage: Stage, process: Process, devices: int) -> None:
        self.stage = stage
        self.pid = process.pid
        self._process = process
        self._devices = devices

    async def send(self, count: int, rate: float = 0) -> Published:
        """Publish ``count`` messages."""
        order = publisher.Order(port=self.stage.mosquitto.port, devices=self._devices, first=0, count=count, rate=rate)
        return await publish(order)

    async def taken(self) -> tutorial.Taken:
        """Wait until everything is taken and written."""
        answer, _ = await self._process.communicate()
        return msgspec.json.decode(answer, type=tutorial.Taken)


@asynccontextmanager
async def taking(way: Way, directory: Path, count: int, devices: int) -> AsyncIterator[Pupil]:
    """Open a stage with a process that takes ``count`` messages."""
    async with staged(directory / way.directory) as stage:
        order = tutorial.Order(
            mqtt_port=stage.mosquitto.port, influx_url=stage.influx.url, redis_url=stage.redis_url, count=count
        )
        command = (sys.executable, "-m", way.module, msgspec.json.encode(order))
        process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, env={"PYTHONPATH": str(APART)})
        try:
            if process.stdout is None or await process.stdout.readline() != b"ready\n":
                raise UnavailableError("baseline_did_not_begin", way.subject)
            yield Pupil(stage, process, devices)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


async def flood(way: Way, directory: Path, plan: Plan, advance: Advance) -> Figure:
    """Publish as fast as the broker takes it; CPU from subscribed until the last point is written."""
    costs: list[float] = []
    events = stored = 0
    for _ in range(plan.tutorial_runs):
        async with taking(way, directory, plan.tutorial, plan.devices) as pupil:
            await pupil.send(plan.tutorial)
            taken = await pupil.taken()
            costs.append(taken.cpu_seconds * 1e6 / plan.tutorial)
            events += taken.events
            stored += await pupil.stage.count_points()
        advance()
    messages = plan.tutorial * plan.tutorial_runs
    return Figure(
        subject=way.subject, load=FLOOD, cpu_us=costs, messages=messages, events=events, lost=messages - stored
    )


async def steady(way: Way, directory: Path, plan: Plan, rates: tuple[int, ...], advance: Advance) -> list[Figure]:
    """Publish at each rate; CPU, and the time from due to seen in the stream."""
    figures: list[Figure] = []
    for rate in rates:
        count = rate * plan.seconds
        events = Traffic(plan.devices).count_events(range(count))
        async with taking(way, directory, count, plan.devices) as pupil:
            url = pupil.stage.redis_url
            trial = Trial(pid=pupil.pid, redis_url=url, rate=rate, seconds=plan.seconds, events=events)
            found = await timed(trial, pupil.send)
            await pupil.taken()
            lost = count - await pupil.stage.count_points()
        row = Figure(
            subject=way.subject, load=steadily(rate), cpu_us=found.cpu_us, messages=count, events=events, lost=lost,
            rate=rate, latency_ms=found.latency_ms,
        )  # fmt: skip
        figures.append(row)
        advance()
    return figures
