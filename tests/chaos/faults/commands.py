"""What goes wrong around a command: its answer, its device, and the hub between a hold and its release."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from tests.chaos.doors import CALM, EXIT, LOBBY, SMOKE, STRANGER, TTL, Doors, Told, ask_to_unlock, doors_of, ends, smell
from tests.chaos.faults.fault import DOWN, STARTING, Fault
from tests.chaos.faults.redis import GONE, SLOW
from tests.chaos.invariants import RELEASE_SECONDS
from tests.chaos.storm import RATE, Storm
from tests.waiting import wait_until

WORTH = timedelta(seconds=3)
"""How long a person's command is worth anything; then it has ended, whatever its device does."""

ROUNDS = 3


async def spoil_responses(storm: Storm) -> None:
    """Let one door never answer, another when its command has ended, and a stranger for the third."""
    before = await _dead_letters(storm)
    async with doors_of(storm.town) as doors:
        doors.silent_on = "unlock"
        _, late, forged = [await _asked(storm, part, "timeout") for part in ("door-1", "door-2", "door-3")]
        await doors.answer(await doors.until_told(forged), by=STRANGER)
        for identity in storm.acting.wanted:
            await _until_ended(storm, identity)
        await doors.answer(await doors.until_told(late))  # is heard, and changes nothing
    await storm.publisher.until_acked(RATE // 4)
    await storm.watch.until_applied()
    if (found := await _dead_letters(storm) - before) != 1:
        message = f"{found:.0f} dead letters instead of the stranger's answer alone"
        raise AssertionError(message)


async def lose_device(storm: Storm) -> None:
    """Ask a door that is not there: that fails at once, and its release goes out when it is back."""
    identity = await _asked(storm, "door-1", "failed")
    await _until_ended(storm, identity)
    await storm.publisher.until_acked(2 * RATE)  # the release fails too, and is tried again
    async with doors_of(storm.town) as doors:
        await doors.until_first(EXIT, "lock")


async def kill_between(storm: Storm, *, is_redis_down: bool) -> None:
    """Kill the hub while a fire holds two doors; start it when both holds are over, and then the fire is.

    A machine that is busy may make a start slow that is not: one that seems slow has another chance.
    """
    town = storm.town
    async with doors_of(town) as doors:
        await smell(town, SMOKE)
        for door in (EXIT, LOBBY):
            await doors.until_first(door, "hold_door")
        for _ in range(ROUNDS):
            town.hub.kill()
            if is_redis_down:
                town.valkey.kill()
            await _start_again(storm, doors)
            if storm.acting.release_seconds <= RELEASE_SECONDS:
                break
        storm.acting.let_go += [EXIT] if doors.first(EXIT, "release_door") else []
        burned = len(doors.told)
        await smell(town, CALM)
        await doors.until_first(EXIT, "release_door", after=burned)
        await doors.until_last(LOBBY, "release_door")  # by then it may have lapsed once more, on a busy machine
    if is_redis_down:
        town.valkey.start()


async def _start_again(storm: Storm, doors: Doors) -> None:
    """Start the hub when its holds are over; return when it has heard everything, and burns still."""
    town, acting = storm.town, storm.acting
    await storm.publisher.until_acked(round(RATE * 2 * TTL.total_seconds()))
    known, began, waited = len(doors.told), storm.clock.wall_ns(), storm.watch.waits()
    town.hub.start()
    released = await doors.until_first(LOBBY, "release_door", after=known)
    left_at = await _left_at(storm, released)
    acting.release_seconds = (left_at - began - storm.watch.starved_since(waited)) / 1e9
    storm.measured = f"released {acting.release_seconds:.1f} s after the start"
    await doors.until_first(LOBBY, "hold_door", after=known)
    acting.forgotten += [] if doors.first(EXIT, "hold_door", after=known) else [EXIT]


async def _asked(storm: Storm, part: str, end: str) -> str:
    """Ask for a part of the exit to be unlocked; return the id of the command, which must come to ``end``."""
    identity = await ask_to_unlock(storm.town, part, WORTH)
    storm.acting.wanted[identity] = end
    return identity


async def _until_ended(storm: Storm, identity: str) -> None:
    await wait_until(lambda: ends(storm.town, identity))


async def _left_at(storm: Storm, told: Told) -> int:
    """Return when the hub wrote that the broker has the command, in wall ns: we ourselves may look later."""

    async def is_written() -> bool:
        await storm.shadow.keep_up()
        return told.id in storm.shadow.left_at

    await wait_until(is_written)
    return storm.shadow.left_at[told.id]


async def _dead_letters(storm: Storm) -> float:
    return (await storm.town.hub.metrics()).get("hub_messages_dead_lettered_total", 0)


ROWS = (
    Fault(
        name="responses lost, late, forged",
        does="one door never answers, one when its command has ended, and another device for the third",
        strike=spoil_responses,
    ),
    Fault(name="device offline", does="a door is told something while it is not there", strike=lose_device),
    Fault(
        name="hub killed between hold and release",
        does="SIGKILL while a fire holds two doors, longer than they are held for",
        strike=partial(kill_between, is_redis_down=False),
        says=frozenset({DOWN}),
        may_say=STARTING,
    ),
    Fault(
        name="hub killed between hold and release, Valkey gone",
        does="the same, and Valkey is killed with it until all is over",
        strike=partial(kill_between, is_redis_down=True),
        says=GONE | {DOWN},
        may_say=STARTING | SLOW,
    ),
)
