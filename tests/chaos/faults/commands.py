"""What goes wrong around a command: its answer, its device, and the hub between a hold and its release."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from tests.chaos.doors import CALM, EXIT, LOBBY, SMOKE, STRANGER, TTL, Doors, ask_to_unlock, doors_of, ends, smell
from tests.chaos.faults.fault import DOWN, STARTING, Fault
from tests.chaos.faults.redis import GONE, SLOW
from tests.chaos.storm import RATE, Storm
from tests.chaos.watch import starved_ns
from tests.waiting import wait_until

WORTH = timedelta(seconds=2)
"""How long a person's command is worth anything; then it has ended, whatever its device does."""


async def lose_response(storm: Storm) -> None:
    """Let the door do it and say nothing."""
    async with doors_of(storm.town) as doors:
        await _unanswered(storm, doors)


async def delay_response(storm: Storm) -> None:
    """Let the door answer when the command has ended: that is heard, and changes nothing."""
    async with doors_of(storm.town) as doors:
        identity = await _unanswered(storm, doors)
        (late,) = [each for each in doors.told if each.id == identity]
        before = await _dead_letters(storm)
        await doors.answer(late)
        await storm.publisher.until_acked(RATE // 4)
        await storm.watch.until_quiet()
        if await _dead_letters(storm) != before:
            message = "an answer that came late was not understood"
            raise AssertionError(message)


async def forge_response(storm: Storm) -> None:
    """Let another device answer: that is a dead letter, and the command has no answer."""
    before = await _dead_letters(storm)
    async with doors_of(storm.town) as doors:
        doors.silent_on = "unlock"
        identity = await _asked(storm, "timeout")
        told = await wait_until(lambda: doors.first(EXIT, "unlock"))
        await doors.answer(told, by=STRANGER)  # type: ignore[arg-type] # waited for
        await _until_ended(storm, identity)

    async def is_refused() -> bool:
        return await _dead_letters(storm) == before + 1

    await wait_until(is_refused)


async def lose_device(storm: Storm) -> None:
    """Ask a door that is not there: that fails at once, and its release goes out when it is back."""
    identity = await _asked(storm, "failed")
    await _until_ended(storm, identity)
    await storm.publisher.until_acked(2 * RATE)  # the release fails too, and is tried again
    async with doors_of(storm.town) as doors:
        await wait_until(lambda: doors.first(EXIT, "lock"))


async def kill_between(storm: Storm, *, is_redis_down: bool) -> None:
    """Kill the hub while a fire holds two doors; start it when both holds are over, and then the fire is."""
    town = storm.town
    async with doors_of(town) as doors:
        await smell(town, SMOKE)
        await wait_until(lambda: doors.first(EXIT, "hold_door") and doors.first(LOBBY, "hold_door"))
        town.hub.kill()
        if is_redis_down:
            town.valkey.kill()
        await storm.publisher.until_acked(round(RATE * 2 * TTL.total_seconds()))
        known, began = len(doors.told), storm.clock.monotonic_ns()
        town.hub.start()
        released = await wait_until(lambda: doors.first(LOBBY, "release_door", after=known), seconds=30)
        waited = released.at - began - starved_ns(town.hub.pid)  # type: ignore[attr-defined] # waited for
        storm.acting.release_seconds = waited / 1e9
        storm.measured = f"released {storm.acting.release_seconds:.1f} s after the start"
        # When the lobby is held again all is heard: it burns still.
        await wait_until(lambda: doors.first(LOBBY, "hold_door", after=known), seconds=30)
        storm.acting.let_go += [EXIT] if doors.first(EXIT, "release_door") else []
        storm.acting.forgotten += [] if doors.first(EXIT, "hold_door", after=known) else [EXIT]
        await smell(town, CALM)
        await wait_until(lambda: doors.first(EXIT, "release_door", after=known))
    if is_redis_down:
        town.valkey.start()


async def _asked(storm: Storm, end: str) -> str:
    """Ask for the exit to be unlocked; return the id of the command, which must come to ``end``."""
    identity = await ask_to_unlock(storm.town, WORTH)
    storm.acting.wanted[identity] = end
    return identity


async def _unanswered(storm: Storm, doors: Doors) -> str:
    doors.silent_on = "unlock"
    identity = await _asked(storm, "timeout")
    await _until_ended(storm, identity)
    return identity


async def _until_ended(storm: Storm, identity: str) -> None:
    await wait_until(lambda: ends(storm.town, identity))


async def _dead_letters(storm: Storm) -> float:
    return (await storm.town.hub.metrics()).get("hub_messages_dead_lettered_total", 0)


ROWS = (
    Fault(name="response lost", does="a door does what it is told and never says so", strike=lose_response),
    Fault(name="response late", does="a door answers when its command has ended", strike=delay_response),
    Fault(name="response of another device", does="another device answers for a door", strike=forge_response),
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
