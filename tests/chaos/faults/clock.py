"""The wall clock of the hub's machine is set while it works; its monotonic clock, as always, is not."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path

from hub.sinks.stream_readers import read_events
from tests.chaos.faults.fault import DOWN, STARTING, Fault
from tests.chaos.storm import RATE, Storm
from tests.waiting import wait_until

DAY_SECONDS = 86_400
EPOCH = DAY_SECONDS
"""Where the clock of a machine without a battery begins: the second day of 1970."""
STEPPED, ALARM, OFFLINE = "device.clock_stepped", "utility.warm", "device.offline"
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
    """Start the hub with a clock that can be set, set it in running traffic, and set it right again.

    Each step is told once. Timers do not move: none of a day is due when the clock goes ahead, and those of half a
    second still come when it goes back.
    """
    hub = storm.town.hub
    file = hub.directory / "step"
    off_by(file, 0)
    hub.kill()
    hub.prelude = SETTABLE.format(file=str(file))
    hub.start()
    hub.prelude = ""
    await hub.until_ready()
    before = await _told(storm)
    for now, wanted in ((seconds, seconds), (0, -seconds)):
        off_by(file, now)
        at = await _until_told(storm, f"{STEPPED} {wanted}", before)
        await _until_told(storm, ALARM, at)
    after = await _told(storm) - before
    steps = {what: times for what, times in after.items() if what.startswith(STEPPED)}
    if steps != {f"{STEPPED} {seconds}": 1, f"{STEPPED} {-seconds}": 1} or after[OFFLINE]:
        message = f"steps were told as {steps}, {after[OFFLINE]} devices as offline"
        raise AssertionError(message)


async def start_in_the_past(storm: Storm) -> None:
    """Start the hub on a machine that has forgotten the time, and set the clock when it has worked for a while."""
    hub = storm.town.hub
    file = hub.directory / "step"
    off_by(file, EPOCH - storm.clock.wall_ns() // 10**9)
    hub.kill()
    hub.prelude = SETTABLE.format(file=str(file))
    hub.start()
    hub.prelude = ""
    await hub.until_ready()
    await storm.publisher.until_acked(2 * RATE)
    off_by(file, 0)
    await storm.publisher.until_acked(RATE)


async def _until_told(storm: Storm, what: str, before: Counter[str]) -> Counter[str]:
    """Wait until the streams have one more of ``what`` than ``before``; return what they have then."""
    found: list[Counter[str]] = []

    async def is_told() -> bool:
        found.append(await _told(storm))
        return found[-1][what] > before[what]

    await wait_until(is_told)
    return found[-1]


async def _told(storm: Storm) -> Counter[str]:
    """Return how often each name is in the streams, a step with its whole seconds."""
    async with storm.town.valkey.link() as link:
        events = await read_events(link, ("device", "utility"), count=100_000)
    return Counter(
        f"{STEPPED} {round(float(str(event.data['step_ms'])) / 1_000)}" if event.name == STEPPED else event.name
        for event in events
    )


ROWS = (
    Fault(
        name="hub starts in 1970",
        does="its machine has forgotten the time; the clock is set when it has worked for a while",
        strike=start_in_the_past,
        says=frozenset({DOWN}),
        may_say=STARTING,
        is_long=True,
    ),
    *(
        Fault(
            name=f"wall clock a day {where}",
            does="set in running traffic, and set right again when an alarm was raised meanwhile",
            strike=partial(set_clock, seconds),
            says=frozenset({DOWN}),
            may_say=STARTING,
        )
        for where, seconds in (("ahead", DAY_SECONDS), ("back", -DAY_SECONDS))
    ),
)
