"""Questions to whoever takes messages: said twice, said late, a clock that is lost, nonsense, an e-bike, a proof."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import aiomqtt

from benchmarks import reflex
from benchmarks.stage import Stage, staged
from benchmarks.traffic import KIND, SITE
from benchmarks.trial import Contender, Put, until_heard
from hub.clock import SystemClock
from tests.waiting import wait_until

DEVICES = 20
TWICE, LOST, AHEAD, LATE, BURNING, HALF, NEXT = range(9_001, 9_008)
"""The CO2 by which each message is found again; the device is the number less 9,000."""
MINUTE_NS = 60_000_000_000
AHEAD_MS = 4_070_908_800_000
FRAME_SECONDS = 0.2
FOUND_SECONDS = 12.0
"""How long is waited for what may never come."""
CALM_SECONDS = 2.0
"""And for what must not come, when all else is there."""

WHY, NONSENSE = "why was the door held?", "850 °C in a room"
Tell = Callable[[Contender, Stage], Awaitable[frozenset[str]]]
"""Which of the two somebody can tell afterwards: why the first door was held, and that the heat cannot be true."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was found to a question, in words, and whether it is what a community needs."""

    question: str
    found: str
    is_right: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The times of points in ns by their CO2, and how many ms after its cause was said each command for a lift came."""

    now_ns: int
    points: Mapping[int, Sequence[int]]
    held_ms: Mapping[str, Sequence[float]]
    told: frozenset[str] = frozenset()


async def ask(put: Put, directory: Path, *, acts: bool, tell: Tell | None = None) -> list[Answer]:
    """Say it all to somebody, and look what became of it; who ``acts`` is asked for doors too."""
    speech, clock = reflex.Carried(DEVICES), SystemClock()
    async with staged(directory / "stage") as stage:
        contender = await put(stage, speech)
        try:
            await contender.start()
            await until_heard(speech, stage.mosquitto.port, clock)
            async with asyncio.TaskGroup() as group:
                held, said = dict[str, list[float]](), dict[str, int]()
                async with aiomqtt.Client("127.0.0.1", stage.mosquitto.port) as ear:
                    await ear.subscribe(f"hub/{SITE}/+/command", qos=1)
                    listening = group.create_task(_listen(ear, said, held), name="quiz.listen")
                    now = clock.wall_ns()
                    await _say(stage, now, said)
                    points = await _points(stage)
                    listening.cancel()
            told = await tell(contender, stage) if tell is not None else frozenset[str]()
        finally:
            await contender.kill()
    answers = answers_to(Found(now_ns=now, points=points, held_ms=held, told=told))
    return answers if acts else [each for each in answers if each.question not in ACTED]


async def _listen(client: aiomqtt.Client, said: Mapping[str, int], held: dict[str, list[float]]) -> None:
    async for message in client.messages:
        lift = message.topic.value.split("/")[2]
        if b"hold_door" in message.payload:
            held.setdefault(lift, []).append((time.monotonic_ns() - said.get(lift, 0)) / 1e6)


async def _say(stage: Stage, now: int, said: dict[str, int]) -> None:
    """Say everything in one session, as a gateway would; the half message and the one after it last."""
    at = now // 1_000_000
    async with aiomqtt.Client("127.0.0.1", stage.mosquitto.port) as mouth:

        async def sense(number: int, milliseconds: int, *, co2: int = 0, celsius: int = 20) -> None:
            payload = b'{"t":%d,"values":{"temperature":%d.5,"humidity":40,"co2":%d}}'
            await mouth.publish(_topic(number), payload % (milliseconds, celsius, co2 or number), qos=1)

        async def see(car: int, confidence: float, at_ns: int) -> None:
            said.setdefault(f"lift-{car}", time.monotonic_ns())
            await mouth.publish(f"hub/{SITE}/camera-{car}/telemetry", reflex.ebike(confidence, at_ns), qos=1)

        for _ in range(2):
            await sense(TWICE, at)
        await sense(LOST, 0)
        await sense(AHEAD, AHEAD_MS)
        await sense(LATE, at, co2=400)
        await sense(LATE, at - MINUTE_NS // 1_000_000)
        await sense(BURNING, at, celsius=850)
        await see(1, 0.1, now)
        await see(1, 0.9, now - MINUTE_NS)
        await see(0, 0.9, now)
        await SystemClock().sleep(FRAME_SECONDS)
        await see(0, 0.95, now + round(FRAME_SECONDS * 1e9))
        await mouth.publish(_topic(HALF), b'{"t":%d,"values":{"co2"' % at, qos=1)
        await sense(NEXT, at)


def _topic(number: int) -> str:
    return f"hub/{SITE}/env-{number - 9_000:04}/telemetry"


async def _points(stage: Stage) -> Mapping[int, list[int]]:
    """Wait for the last message, or for as long as it may take; return what is stored."""

    async def is_there() -> bool:
        return bool(await stage.influx.ask(f"SELECT co2 FROM {KIND} WHERE co2 = {NEXT}"))  # noqa: S608 -- our own names

    with suppress(AssertionError):  # it never came: that is an answer
        await wait_until(is_there, seconds=FOUND_SECONDS)
    await SystemClock().sleep(CALM_SECONDS)
    found: dict[int, list[int]] = {}
    for at, co2 in await stage.influx.ask(f"SELECT co2 FROM {KIND} WHERE co2 > 9000"):  # noqa: S608 -- our own names
        found.setdefault(int(float(str(co2))), []).append(int(str(at)))
    return found


ACTED = ("a camera sees an e-bike", "a camera saw one a minute ago", WHY)
"""What nobody is asked who gives no commands."""


def answers_to(found: Found) -> list[Answer]:
    """Judge."""
    now, twice = found.now_ns, len(found.points.get(TWICE, ()))
    seen, late = (found.held_ms.get(f"lift-{car}", ()) for car in range(2))
    return [
        _answer("said twice", f"{twice} points" if twice != 1 else "one point", is_right=twice == 1),
        _timed("its clock says 1970", found, LOST, now),
        _timed("its clock says 2099", found, AHEAD, now),
        _timed("said a minute late", found, LATE, now - MINUTE_NS),
        _told(NONSENSE, found, "stored, its twin says bad", "stored as true"),
        _answer("half a message", *(("the next is stored", True) if NEXT in found.points else ("it ends", False))),
        _answer(ACTED[0], f"held after {seen[0]:.0f} ms" if seen else "nothing", is_right=bool(seen)),
        _answer(ACTED[1], "a door is held" if late else "nothing", is_right=not late),
        _told(WHY, found, "proved", "nothing tells"),
    ]


def _answer(question: str, found: str, is_right: bool) -> Answer:  # noqa: FBT001 -- a judge's word
    return Answer(question=question, found=found, is_right=is_right)


def _told(question: str, found: Found, told: str, untold: str) -> Answer:
    is_told = question in found.told
    return _answer(question, told if is_told else untold, is_right=is_told)


def _timed(question: str, found: Found, co2: int, right_ns: int) -> Answer:
    """Say when it is stored; right is one point, at ``right_ns`` or within half a minute of it."""
    times = found.points.get(co2, ())
    if not times:
        return _answer(question, "dropped", is_right=False)
    is_near, came = (abs(times[0] - each) < MINUTE_NS / 2 for each in (right_ns, found.now_ns))
    words = (
        "when it came"
        if came
        else "at its time"
        if is_near
        else f"in {datetime.fromtimestamp(times[0] / 1e9, UTC).year}"
    )
    return _answer(question, f"stored {words}", is_right=is_near and len(times) == 1)
