"""Devices and brokers say things twice, in disorder, or what nobody can understand."""

from __future__ import annotations

from tests.bridge.device import publish
from tests.chaos.faults.broker import BLIND
from tests.chaos.faults.fault import Fault
from tests.chaos.poisons import POISONS
from tests.chaos.storm import RATE, Storm
from tests.waiting import wait_until

POISON_TIMES = 5


async def repeat(storm: Storm) -> None:
    """Lose the acks of a second and then the connections: the broker sends all of it again, marked as sent before."""
    hub = storm.town.hub
    before = (await hub.metrics())["hub_messages_deduplicated_total"]
    storm.broker_link.blackhole(up=True, down=False)
    await storm.publisher.until_acked(RATE)
    storm.broker_link.heal()
    storm.broker_link.reset()

    async def is_repeated() -> bool:
        return (await hub.metrics())["hub_messages_deduplicated_total"] > before

    await wait_until(is_repeated)


async def disorder(storm: Storm) -> None:
    """Let devices tell times that go back and forth within 20 s."""
    storm.publisher.disorder = storm.random
    await storm.publisher.until_acked(2 * RATE)
    storm.publisher.disorder = None


async def poison(storm: Storm) -> None:
    """Publish what never will work, in between."""
    hub = storm.town.hub
    before = await _ended_badly(storm)
    for each in POISONS:
        await publish(storm.town.mosquitto.port, [each.payload] * POISON_TIMES, topic=each.topic)

    async def is_counted() -> bool:
        return await _ended_badly(storm) >= before + POISON_TIMES * len(POISONS)

    await wait_until(is_counted)
    if (ended := await _ended_badly(storm)) != before + POISON_TIMES * len(POISONS):
        message = f"{ended - before} dead letters and refusals\n{hub.log()[-1_000:]}"
        raise AssertionError(message)


async def _ended_badly(storm: Storm) -> float:
    metrics = await storm.town.hub.metrics()
    return sum(metrics.get(f"hub_messages_{term}_total", 0) for term in ("dead_lettered", "refused"))


ROWS = (
    Fault(
        name="duplicates",
        does="the acks of a second vanish, then the connections: the broker sends all of it again",
        strike=repeat,
        may_say=BLIND,
    ),
    Fault(name="reordering", does="devices tell times that go back and forth within 20 s", strike=disorder),
    Fault(
        name="poison",
        does=f"{len(POISONS)} sorts of what never will work, {POISON_TIMES} times each, between good messages",
        strike=poison,
    ),
)
