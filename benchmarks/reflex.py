"""Reflexes: a process of its own that publishes causes beside the load and notes when each command is on the wire.

``python -m benchmarks.reflex ORDER``; ORDER and the answer on standard output are JSON.
"""

from __future__ import annotations

import asyncio
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import aiomqtt
import msgspec
from typing_extensions import override

from benchmarks.traffic import BUILDING, SITE, Traffic
from hub.clock import SystemClock
from hub.errors import UnavailableError
from hub.model.values import PlaceType
from hub.registry.nouns import Device, Place

CAMERAS = 10
CAUSES_PER_SECOND = 50
PATIENCE_SECONDS = 10.0
RULES = """\
---
rule: bench-reflex
label: {en: Somebody is there, zh: 有人}
for_each: ai_camera
when: people > 0
raise: {event: security.bench_seen, severity: low}
do: [{command: play_voice, args: {prompt: go}, reflex: true}]
"""
_SEEN, _GONE = b'{"values":{"people":1}}', b'{"values":{"people":0}}'
CARS = 300
CARS_PER_SECOND = 20
SURE = 0.85
"""From here on the shipped rule takes what a camera in a car sees for an e-bike."""


class Watched(Traffic):
    """The sensors of any benchmark, and cameras whose reflexes are timed."""

    @override
    def devices(self) -> list[Device]:
        cameras = [Device(site=SITE, id=f"camera-{n}", kind="ai_camera", place=BUILDING) for n in range(CAMERAS)]
        return [*super().devices(), *cameras]


class Carried(Traffic):
    """The sensors of any benchmark, and cars with an elevator and a camera each."""

    @override
    def places(self) -> list[Place]:
        cars = [Place(site=SITE, id=f"car-{n}", type=PlaceType.ELEVATOR, parent=BUILDING) for n in range(CARS)]
        return [*super().places(), *cars]

    @override
    def devices(self) -> list[Device]:
        kinds = (("camera", "ai_camera"), ("lift", "elevator"))
        return super().devices() + [
            Device(site=SITE, id=f"{name}-{n}", kind=kind, place=f"car-{n}")
            for n in range(CARS)
            for name, kind in kinds
        ]


def ebike(confidence: float, at_ns: int) -> bytes:
    """Return what a camera in a car says at ``at_ns`` UTC."""
    return b'{"t":%d,"values":{"ebike_confidence":%.2f}}' % (at_ns // 1_000_000, confidence)


class Order(msgspec.Struct, frozen=True):
    """Let cameras see somebody for ``seconds``, or with ``cars`` an e-bike, each camera one."""

    port: int
    seconds: int
    cars: bool = False

    @property
    def rate(self) -> int:
        """How often a second something is seen."""
        return CARS_PER_SECOND if self.cars else CAUSES_PER_SECOND

    @property
    def command(self) -> bytes:
        """What is waited for; a hold that ends has a command too."""
        return b"hold_door" if self.cars else b"play_voice"

    @property
    def causes(self) -> int:
        """How often something is seen; each time somebody is gone again before the next, but an e-bike stays."""
        return self.seconds * self.rate

    @property
    def messages(self) -> int:
        """How many messages that makes."""
        return 2 * self.causes


class Probe:
    """A probe at work."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def latencies_ms(self) -> list[float]:
        """Wait for its end; return how long each command took that came, from when its cause was due."""
        answer, _ = await self._process.communicate()
        if self._process.returncode:
            raise UnavailableError("probe_failed", returncode=self._process.returncode)
        return msgspec.json.decode(answer, type=list[float])


@asynccontextmanager
async def probing(order: Order) -> AsyncIterator[Probe]:
    """Let a process carry out ``order``."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.reflex", msgspec.json.encode(order), stdout=PIPE
    )
    try:
        yield Probe(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


class Line(NamedTuple):
    """Camera ``speaker`` says ``payload`` in this step; ``answerer`` gets a command for it."""

    step: int
    speaker: str
    payload: bytes
    answerer: str = ""


def _people(order: Order) -> Iterator[Line]:
    """Yield what the ten cameras say; each forgets half a round after it saw."""
    half = CAMERAS // 2
    for step in range(order.causes + half):
        if step < order.causes:
            yield Line(step, f"camera-{step % CAMERAS}", _SEEN, f"camera-{step % CAMERAS}")
        if step >= half:
            yield Line(min(step, order.causes - 1), f"camera-{(step - half) % CAMERAS}", _GONE)


def _ebikes(order: Order) -> Iterator[Line]:
    """Yield an e-bike for one car after the other."""
    now = SystemClock().wall_ns()
    for step in range(order.causes):
        at = now + step * 1_000_000_000 // order.rate
        yield Line(step, f"camera-{step}", ebike(0.9, at), f"lift-{step}")


async def carry_out(order: Order) -> list[float]:
    """Publish causes evenly, open loop: each is due at its moment, whatever became of those before it."""
    due: dict[str, list[int]] = {}
    found: list[float] = []

    async def listen(client: aiomqtt.Client) -> None:
        async for message in client.messages:
            now, waiting = time.monotonic_ns(), due.get(message.topic.value.split("/")[2])
            if waiting and order.command in message.payload:
                found.append((now - waiting.pop(0)) / 1e6)
            if len(found) == order.causes:
                return

    # Two connections, or mosquitto would keep a command back until we have acked its PUBACKs: Nagle, 40 ms.
    async with _client(order) as ear, _client(order) as mouth, asyncio.TaskGroup() as group:
        await ear.subscribe(f"hub/{SITE}/+/command", qos=1)
        listening = group.create_task(listen(ear), name="reflex.listen")
        await _speak(mouth, order, due)
        await asyncio.wait([listening], timeout=PATIENCE_SECONDS)
        listening.cancel()
    return found


def _client(order: Order) -> aiomqtt.Client:
    return aiomqtt.Client("127.0.0.1", order.port, protocol=aiomqtt.ProtocolVersion.V5)


async def _speak(client: aiomqtt.Client, order: Order, due: dict[str, list[int]]) -> None:
    clock = SystemClock()
    start = clock.monotonic_ns()
    for line in _ebikes(order) if order.cars else _people(order):
        at = start + line.step * 1_000_000_000 // order.rate
        await clock.sleep(max(0, at - clock.monotonic_ns()) / 1e9)
        if line.answerer:
            due.setdefault(line.answerer, []).append(at)
        await client.publish(f"hub/{SITE}/{line.speaker}/telemetry", line.payload, qos=1)


if __name__ == "__main__":
    measured = asyncio.run(carry_out(msgspec.json.decode(sys.argv[1], type=Order)))
    sys.stdout.buffer.write(msgspec.json.encode(measured))
