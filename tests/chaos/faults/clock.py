"""The wall clock of the hub's machine is set while it works; its monotonic clock, as always, is not."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from tests.chaos.faults.fault import DOWN, STARTING, Fault
from tests.chaos.storm import RATE, Storm

DAY_SECONDS = 86_400
SETTABLE = (
    "import pathlib, time, hub.clock; step = pathlib.Path({file!r}); "
    "hub.clock.SystemClock.wall_ns = lambda self: time.time_ns() + int(step.read_text()) * 10**9; "
)
"""What the hub runs first: the one room that asks the system for the time reads beside it by how much it is off."""


def off_by(file: Path, seconds: int) -> None:
    """Set the clock, between two looks at it."""
    written = file.with_suffix(".new")
    written.write_text(str(seconds), encoding="ascii")
    written.replace(file)


async def set_clock(seconds: int, storm: Storm) -> None:
    """Start the hub with a clock that can be set, set it in running traffic, and set it right again."""
    hub = storm.town.hub
    file = hub.directory / "step"
    off_by(file, 0)
    hub.kill()
    hub.prelude = SETTABLE.format(file=str(file))
    hub.start()
    hub.prelude = ""
    await hub.until_ready()
    await storm.publisher.until_acked(RATE)
    off_by(file, seconds)
    await storm.publisher.until_acked(3 * RATE)
    off_by(file, 0)
    await storm.publisher.until_acked(RATE)


ROWS = tuple(
    Fault(
        name=f"wall clock a day {where}",
        does="set in running traffic, and set right again three seconds later",
        strike=partial(set_clock, seconds),
        says=frozenset({DOWN}),
        may_say=STARTING,
    )
    for where, seconds in (("ahead", DAY_SECONDS), ("back", -DAY_SECONDS))
)
