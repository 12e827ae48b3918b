"""Valkey goes away, hangs, or does what it was asked and never says so."""

from __future__ import annotations

from tests.chaos.faults.fault import Fault
from tests.chaos.storm import RATE, Storm
from tests.waiting import wait_until


async def kill(storm: Storm) -> None:
    """Kill it until the hub has noticed."""
    valkey = storm.town.valkey
    valkey.kill()
    await storm.until_said("redis_unreachable")
    await storm.publisher.until_acked(RATE)
    valkey.start()


async def hang(storm: Storm) -> None:
    """Let it hang until the hub has noticed."""
    valkey = storm.town.valkey
    valkey.pause()
    await storm.until_said("redis_unreachable", "ownership_unconfirmed")
    valkey.resume()


async def swallow_exec(storm: Storm) -> None:
    """Let a transaction happen and its answer vanish; over when the hub has given that connection up."""
    link, town = storm.redis_link, storm.town
    before = (await town.hub.metrics())['hub_flushes_failed_total{sink="streams"}']
    link.deafen_at = b"XADD"
    await wait_until(lambda: link.deafen_at is None)

    async def is_given_up() -> bool:
        return (await town.hub.metrics())['hub_flushes_failed_total{sink="streams"}'] > before

    await wait_until(is_given_up, seconds=20)


GONE = frozenset({"redis_unreachable"})
SLOW = frozenset({"streams_behind", "ownership_unconfirmed"})

ROWS = (
    Fault(name="Valkey killed", does="SIGKILL, started again", strike=kill, says=GONE, may_say=SLOW),
    Fault(
        name="Valkey hangs",
        does="SIGSTOP until the hub says so, SIGCONT",
        strike=hang,
        says=GONE | {"ownership_unconfirmed"},
        may_say=SLOW,
    ),
    Fault(
        name="EXEC without an answer",
        does="the transaction happens, its answer never comes: the connection times out",
        strike=swallow_exec,
        may_say=GONE | SLOW,
    ),
)
