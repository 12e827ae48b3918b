"""Reflexes: a process of its own that publishes causes beside the load and notes when each command is on the wire.

``python -m benchmarks.reflex ORDER``; ORDER and the answer on standard output are JSON.
"""

from __future__ import annotations

import asyncio
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiomqtt
import msgspec
from typing_extensions import override

from benchmarks.traffic import BUILDING, SITE, Traffic
from hub.clock import SystemClock
from hub.errors import UnavailableError
from hub.registry.nouns import Device

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


class Watched(Traffic):
    """The sensors of any benchmark, and cameras whose reflexes are timed."""

    @override
    def devices(self) -> list[Device]:
        cameras = [Device(site=SITE, id=f"camera-{n}", kind="ai_camera", place=BUILDING) for n in range(CAMERAS)]
        return [*super().devices(), *cameras]


class Order(msgspec.Struct, frozen=True):
    """Let cameras see somebody for ``seconds``."""

    port: int
    seconds: int

    @property
    def causes(self) -> int:
        """How often a camera sees somebody; each time nobody is there again before the next."""
        return self.seconds * CAUSES_PER_SECOND

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


async def carry_out(order: Order) -> list[float]:
    """Publish causes evenly, open loop: each is due at its moment, whatever became of those before it."""
    due: dict[str, list[int]] = {f"camera-{n}": [] for n in range(CAMERAS)}
    found: list[float] = []

    async def listen(client: aiomqtt.Client) -> None:
        async for message in client.messages:
            now = time.monotonic_ns()
            found.append((now - due[message.topic.value.split("/")[2]].pop(0)) / 1e6)
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
    clock, names = SystemClock(), list(due)
    start = clock.monotonic_ns()
    for step in range(order.causes):
        at = start + step * 1_000_000_000 // CAUSES_PER_SECOND
        await clock.sleep(max(0, at - clock.monotonic_ns()) / 1e9)
        sees, forgets = names[step % CAMERAS], names[(step - CAMERAS // 2) % CAMERAS]
        due[sees].append(at)
        await _say(client, sees, _SEEN)
        if step >= CAMERAS // 2:
            await _say(client, forgets, _GONE)
    for step in range(order.causes - CAMERAS // 2, order.causes):
        await _say(client, names[step % CAMERAS], _GONE)


async def _say(client: aiomqtt.Client, camera: str, payload: bytes) -> None:
    await client.publish(f"hub/{SITE}/{camera}/telemetry", payload, qos=1)


if __name__ == "__main__":
    measured = asyncio.run(carry_out(msgspec.json.decode(sys.argv[1], type=Order)))
    sys.stdout.buffer.write(msgspec.json.encode(measured))
