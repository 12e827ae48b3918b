"""The network between the hub and its servers resets, cuts, swallows and delays."""

from __future__ import annotations

from functools import partial

from hub.bridge.topics import SessionName
from tests.chaos.faults.broker import BLIND
from tests.chaos.faults.fault import Fault
from tests.chaos.faults.redis import GONE, SLOW
from tests.chaos.storm import RATE, Storm
from tests.waiting import wait_until

LATENCY_SECONDS = 0.3
TIMES = 3


async def reset(storm: Storm) -> None:
    """Reset every connection to the broker, three times."""
    for _ in range(TIMES):
        storm.broker_link.reset()
        await storm.publisher.until_acked(storm.random.randrange(RATE // 4, RATE))


async def reset_redis(storm: Storm) -> None:
    """Reset every connection to Redis, three times."""
    for _ in range(TIMES):
        storm.redis_link.reset()
        await storm.publisher.until_acked(storm.random.randrange(RATE // 4, RATE))


async def cut(storm: Storm) -> None:
    """End a connection after some bytes of a packet, three times."""
    for _ in range(TIMES):
        storm.broker_link.cut_down_after = storm.random.randrange(1, 500)
        await storm.publisher.until_acked(storm.random.randrange(RATE // 4, RATE))
    storm.broker_link.cut_down_after = None


async def cut_redis(storm: Storm) -> None:
    """End a connection to Redis after some bytes of an answer, three times: the cursor tells what had happened."""
    for _ in range(TIMES):
        storm.redis_link.cut_down_after = storm.random.randrange(1, 200)
        await storm.publisher.until_acked(RATE)
    storm.redis_link.cut_down_after = None


async def swallow(storm: Storm, *, up: bool, down: bool) -> None:
    """Swallow what is said until both sessions have noticed: their connections never come back to life.

    That takes two pings of 5 s when nothing comes; where only our acks vanish, the broker hangs up after 1.5 of its
    keepalives.
    """
    hub = storm.town.hub

    async def have_noticed() -> bool:
        metrics = await hub.metrics()
        return all(metrics[f'hub_sessions_blind{{session="{session}"}}'] for session in SessionName)

    storm.broker_link.blackhole(up=up, down=down)
    await wait_until(have_noticed)
    await storm.until_said(*BLIND)
    storm.broker_link.heal()


async def swallow_redis(storm: Storm) -> None:
    """Swallow what Redis and the hub say to each other until the hub says so."""
    storm.redis_link.blackhole()
    await storm.until_said(*GONE)
    await storm.publisher.until_acked(2 * RATE)
    storm.redis_link.heal()


async def delay(storm: Storm) -> None:
    """Let everything between hub and broker come late."""
    storm.broker_link.latency_seconds = LATENCY_SECONDS
    await storm.publisher.until_acked(3 * RATE)
    storm.broker_link.latency_seconds = 0


ROWS = (
    Fault(name="TCP reset to the broker", does="RST on every connection, three times", strike=reset, may_say=BLIND),
    Fault(
        name="TCP reset to Redis",
        does="RST on every connection, three times",
        strike=reset_redis,
        may_say=GONE | SLOW,
    ),
    Fault(name="TCP cut in mid-packet", does="RST after a random byte, three times", strike=cut, may_say=BLIND),
    *(
        Fault(
            name=f"TCP blackhole {name}",
            does=f"{what} vanishes, and no end is told",
            strike=partial(swallow, up=up, down=down),
            says=BLIND,
        )
        for name, what, up, down in (
            ("up", "what the hub says", True, False),
            ("down", "what the broker says", False, True),
            ("both ways", "everything", True, True),
        )
    ),
    Fault(
        name="TCP blackhole to Redis",
        does="everything vanishes, and no end is told",
        strike=swallow_redis,
        says=GONE,
        may_say=SLOW,
    ),
    Fault(
        name="TCP cut in the middle of Redis's answer",
        does="RST after a random byte, three times",
        strike=cut_redis,
        may_say=GONE | SLOW,
    ),
    Fault(name="TCP latency", does=f"{LATENCY_SECONDS} s each way", strike=delay),
)
