"""The same fault in the middle of a flood, whoever takes the messages; what the store has lost or doubled then."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from typing_extensions import override

from benchmarks import numbered
from benchmarks.stage import Stage, staged
from benchmarks.traffic import Traffic
from hub.clock import SystemClock
from simulators.load import Load, Pace, Target, logins_of
from tests.servers.proxy import Proxy
from tests.waiting import wait_until

CONNECTIONS = 4
HEARD_SECONDS = 30.0
POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """``rate`` messages a second for ``seconds``, the fault ``at`` so many.

    Who is killed stays away for ``killed``, InfluxDB for ``away``; the broker is ``deaf`` for so long. It is over
    ``calm`` after the last point when all is there, and otherwise after ``patience``: longer than any of them waits
    before it tries again.
    """

    rate: int = 2_000
    seconds: int = 20
    at: float = 8.0
    killed: float = 4.0
    away: float = 10.0
    deaf: float = 2.0
    calm: float = 3.0
    patience: float = 30.0
    devices: int = 1_000


class Counted(Traffic):
    """Sensors whose CO2 is the message's number; no device says the same millisecond twice."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._last = [0] * size

    @override
    def say(self, number: int, now_ns: int) -> tuple[int, str, bytes]:
        """Return who says ``number``, its topic and its payload."""
        word, device = divmod(number, self.size)
        self._last[device] = at = max(now_ns // 1_000_000, self._last[device] + 1)
        payload = b'{"t":%d,"seq":%d,"values":{"temperature":20.%d,"humidity":40,"co2":%d}}'
        return device, self.topics[device], payload % (at, 1_000 + word, number % 10, number)


class Contender(Protocol):
    """Somebody who takes messages, and finds at each start what it had."""

    async def start(self) -> None: ...
    async def kill(self) -> None: ...


Put = Callable[[Stage, Traffic], Awaitable[Contender]]
"""Put somebody on a stage, not started yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Servers, who takes the messages, and how long a fault is."""

    stage: Stage
    contender: Contender
    plan: Plan
    clock: SystemClock
    proxy: Proxy


async def _kill(scene: Scene) -> None:
    await scene.contender.kill()
    await scene.clock.sleep(scene.plan.killed)
    await scene.contender.start()


async def _influx_away(scene: Scene) -> None:
    await asyncio.to_thread(scene.stage.influx.stop)
    await scene.clock.sleep(scene.plan.away)
    await scene.stage.influx.start()


async def _kill_without_influx(scene: Scene) -> None:
    await asyncio.to_thread(scene.stage.influx.stop)
    await scene.clock.sleep(scene.plan.killed)
    await scene.contender.kill()
    await scene.stage.influx.start()
    await scene.contender.start()


async def _restart_broker(scene: Scene) -> None:
    await asyncio.to_thread(scene.stage.mosquitto.restart)


async def _lose_acks(scene: Scene) -> None:
    scene.proxy.blackhole(down=False)
    await scene.clock.sleep(scene.plan.deaf)
    scene.proxy.heal()
    scene.proxy.reset()


Fault = Callable[[Scene], Awaitable[None]]

FAULTS: Mapping[str, Fault] = {
    "killed": _kill,
    "InfluxDB away": _influx_away,
    "killed while InfluxDB is away": _kill_without_influx,
    "broker restarted": _restart_broker,
    "acks lost": _lose_acks,
}
"""Killed is kill -9, and started again; the broker gets SIGTERM, so that it saves all.

Acks are lost on their way to the broker, which says it all again when the connection has been cut.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of ``pubacked`` messages; those ``unanswered``, when the broker restarted, may be there or not.

    ``behind_seconds`` is from the last publish to the last point.
    """

    pubacked: int
    unanswered: int
    lost: int
    doubled: int
    behind_seconds: float


@dataclass(slots=True, kw_only=True)
class Books:
    """What the broker took of each number, and how often the store has it."""

    taken: bytearray
    stored: bytearray

    def lost(self) -> int:
        """How many were taken and are not there."""
        return sum(1 for taken, stored in zip(self.taken, self.stored, strict=True) if taken and not stored)

    def doubled(self) -> int:
        """How many are there more than once."""
        return sum(1 for stored in self.stored if stored > 1)


async def trial(put: Put, fault: Fault, plan: Plan, directory: Path) -> Outcome:
    """Let ``fault`` happen in the middle of a flood; count what is in the store when nothing more comes."""
    clock, speech = SystemClock(), Counted(plan.devices)
    async with staged(directory / "stage") as stage, Proxy(stage.mosquitto.port).serve() as proxy:
        contender = await put(replace(stage, way_in=proxy.port) if fault is _lose_acks else stage, speech)
        try:
            await contender.start()
            scene = Scene(stage=stage, contender=contender, plan=plan, clock=clock, proxy=proxy)
            return await _flooded(fault, scene, speech)
        finally:
            await contender.kill()


async def _flooded(fault: Fault, scene: Scene, speech: Counted) -> Outcome:
    plan, clock, began = scene.plan, scene.clock, scene.clock.wall_ns()
    count = plan.rate * plan.seconds
    books = Books(taken=bytearray(count + 1), stored=bytearray(count + 1))
    target = _target(scene.stage.mosquitto.port, clock)
    await until_heard(speech, scene.stage.mosquitto.port, clock)

    def took(numbers: list[int]) -> None:
        for number in numbers:
            books.taken[number] = 1

    load = Load(speech, Pace(rate=plan.rate, count=count, first=1), clock=clock, took=took)
    async with asyncio.TaskGroup() as group:
        group.create_task(_trouble(fault, scene), name="trial.fault")
        tally = await load.run(target)
    ended = clock.monotonic_ns()
    last = await _until_settled(books, scene, began)
    return Outcome(
        pubacked=tally.taken, unanswered=tally.unanswered, lost=books.lost(),
        doubled=books.doubled(), behind_seconds=max(0.0, (last - ended) / 1e9),
    )  # fmt: skip


def _target(port: int, clock: SystemClock) -> Target:
    return Target(host="127.0.0.1", port=port, logins=logins_of(f"load-{clock.wall_ns()}", CONNECTIONS))


async def until_heard(speech: Traffic, port: int, clock: SystemClock) -> None:
    """Say number 0, which nobody counts, until somebody has subscribed."""
    target = _target(port, clock)

    async def is_heard() -> bool:
        tally = await Load(speech, Pace(rate=0, count=1), clock=clock).run(target)
        return tally.taken > tally.unheard

    await wait_until(is_heard, seconds=HEARD_SECONDS)


async def _trouble(fault: Fault, scene: Scene) -> None:
    await scene.clock.sleep(scene.plan.at)
    await fault(scene)


async def _until_settled(books: Books, scene: Scene, began_ns: int) -> int:
    """Wait until nothing more comes; return when the last point was seen, in monotonic ns."""
    stage, clock = scene.stage, scene.clock
    points, last, patience = -1, clock.monotonic_ns(), scene.plan.patience
    while clock.monotonic_ns() - last < patience * 1e9:
        found = await stage.count_points()
        if found != points:
            points, last = found, clock.monotonic_ns()
            books.stored = await numbered.stored(stage, len(books.stored), began_ns, clock.wall_ns())
            patience = scene.plan.patience if books.lost() else scene.plan.calm
        await clock.sleep(POLL_SECONDS)
    return last
