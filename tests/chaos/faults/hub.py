"""The hub dies: at a random moment, and at every await of its pipeline."""

from __future__ import annotations

from functools import partial

from hub.failpoints import Place
from tests.chaos.faults.fault import DOWN, STARTING, Fault
from tests.chaos.storm import RATE, Storm
from tests.waiting import wait_until


async def kill(storm: Storm) -> None:
    """Kill it at a random moment; let the broker queue for a while; start it again."""
    hub = storm.town.hub
    await storm.publisher.until_acked(storm.random.randrange(1, RATE))
    hub.kill()
    await storm.publisher.until_acked(storm.random.randrange(RATE // 4, RATE))
    hub.start()


async def die_at(place: Place, storm: Storm) -> None:
    """Start it so that it kills itself at ``place``; when it has, start it again."""
    hub = storm.town.hub
    hub.kill()
    # A sink may take everything at once; elsewhere the first time is the start itself.
    times = 1 if place.startswith(("streams", "timeseries")) else storm.random.randrange(2, 6)
    hub.start(f"{place}:{times}")
    await wait_until(hub.has_died, seconds=30)
    hub.start()


_DEAD = frozenset({DOWN})

ROWS = (
    Fault(
        name="hub killed",
        does="SIGKILL at a random moment, in the middle of traffic",
        strike=kill,
        says=_DEAD,
        may_say=STARTING,
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
