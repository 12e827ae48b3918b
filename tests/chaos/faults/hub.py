"""The hub dies: at a random moment, and at every await of its pipeline."""

from __future__ import annotations

from functools import partial

from hub.failpoints import Place
from tests.chaos.faults.fault import DOWN, STARTING, Fault
from tests.chaos.faults.redis import SLOW
from tests.chaos.faults.store import BEHIND
from tests.chaos.storm import RATE, Storm
from tests.waiting import wait_until


async def kill(storm: Storm) -> None:
    """Kill it at a random moment; let the broker queue for a while; start it again."""
    hub = storm.town.hub
    await storm.publisher.until_acked(storm.random.randrange(1, RATE))
    hub.kill()
    await storm.publisher.until_acked(storm.random.randrange(RATE // 4, RATE))
    hub.start()


async def kill_starting(storm: Storm) -> None:
    """Kill it again and again while it starts, at moments from its first import to its first acks."""
    hub = storm.town.hub
    hub.kill()
    await storm.publisher.until_acked(RATE)
    for _ in range(STARTS):
        hub.start()
        await storm.clock.sleep(storm.random.uniform(*START_SECONDS))
        hub.kill()
    hub.start()


async def sleep(storm: Storm) -> None:
    """Let it sleep for longer than its heartbeat lives, as a machine that is suspended; nobody took its place."""
    hub = storm.town.hub
    hub.pause()
    await storm.publisher.until_acked(round(SLEEP_SECONDS * RATE))
    hub.resume()


async def die_at(place: Place, storm: Storm) -> None:
    """Start it so that it kills itself at ``place``; when it has, start it again."""
    hub = storm.town.hub
    hub.kill()
    times = storm.random.randrange(*_TIMES[place.partition("_")[0]])
    hub.start(f"{place}:{times}")
    await wait_until(hub.has_died, seconds=30)
    hub.start()


STARTS, START_SECONDS = 4, (0.6, 2.0)
SLEEP_SECONDS = 7
_OFTEN, _ONCE = (2, 6), (1, 2)
_TIMES = {
    **dict.fromkeys(("taken", "journaled", "acknowledged", "applied"), _OFTEN),  # the first time is the start itself
    **dict.fromkeys(("streams", "timeseries"), _ONCE),  # a sink may take everything at once
    "command": _OFTEN,  # that it leaves and that the broker has it, or that nobody is there, of each that a rule sends
    "checkpoint": (1, 3),  # each waits 3 s for what may settle: five of them are half a minute on a busy machine
}
_DEAD = frozenset({DOWN})

ROWS = (
    Fault(
        name="hub killed",
        does="SIGKILL at a random moment, in the middle of traffic",
        strike=kill,
        says=_DEAD,
        may_say=STARTING,
    ),
    Fault(
        name="hub killed while it starts",
        does=f"SIGKILL {STARTS} times, from its first import to its first acks, with a backlog",
        strike=kill_starting,
        says=_DEAD,
        may_say=STARTING,
        is_long=True,
    ),
    Fault(
        name="the hub sleeps",
        does=f"SIGSTOP for {SLEEP_SECONDS} s, longer than its heartbeat lives, SIGCONT",
        strike=sleep,
        says=_DEAD,
        may_say=STARTING | SLOW | BEHIND,
        is_long=True,
    ),
    *(
        Fault(
            name=f"hub killed at {place}",
            does=f"it kills itself at the failpoint `{place}`, after a start with a backlog",
            strike=partial(die_at, place),
            says=_DEAD,
            may_say=STARTING,
        )
        for place in Place
    ),
)
