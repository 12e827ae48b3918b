"""How long until a door is held: an e-bike comes into one car after another beside a steady load, whoever acts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks import publisher, reflex
from benchmarks.figures import percentile
from benchmarks.publisher import publish
from benchmarks.stage import staged
from benchmarks.trial import Put, until_heard
from hub.clock import SystemClock

PROMISED_MS = 100.0
"""So soon a door is to be held."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """``rate`` messages a second for ``seconds``, and e-bikes meanwhile."""

    rate: int = 1_000
    seconds: int = reflex.CARS // reflex.CARS_PER_SECOND
    devices: int = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaction:
    """Of ``causes``, how many doors were held, and how many of them within 100 ms; times are from due to on the wire.

    Two programs share two cores with the servers: what p99 says is the machine's too.
    """

    causes: int
    held: int
    in_time: int
    p50_ms: float
    p99_ms: float


async def react(put: Put, plan: Plan, directory: Path) -> Reaction:
    """Let e-bikes come while ``plan.rate`` messages a second do."""
    speech = reflex.Carried(plan.devices)
    async with staged(directory / "stage") as stage:
        port = stage.mosquitto.port
        order = reflex.Order(port=port, seconds=plan.seconds, cars=True)
        contender = await put(stage, speech)
        try:
            await contender.start()
            await until_heard(speech, port, SystemClock())
            load = publisher.Order(
                port=port, devices=plan.devices, first=plan.devices, count=plan.rate * plan.seconds, rate=plan.rate
            )
            async with reflex.probing(order) as probe:
                await publish(load)
                took = await probe.latencies_ms()
        finally:
            await contender.kill()
    return Reaction(
        causes=order.causes, held=len(took), in_time=sum(1 for each in took if each <= PROMISED_MS),
        p50_ms=percentile(took, 50) if took else 0.0, p99_ms=percentile(took, 99) if took else 0.0,
    )  # fmt: skip
