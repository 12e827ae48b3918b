"""``hub demo``: a whole community on one machine for a minute, and the books that must add up afterwards."""

from __future__ import annotations

import asyncio
import select
import shutil
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from errno import EIO, EPIPE
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer
from rich.console import Console
from typing_extensions import override

from hub.app import Hub
from hub.clock import Clock, SystemClock
from hub.errors import UnavailableError
from hub.metrics import Metrics
from hub.parts import make_store
from hub.sinks.control import Request, send_control
from hub.sinks.redis_link import Link, RedisAddress
from hub.sinks.stream_readers import follow_events, read_alarms
from hub.sinks.streams import DOMAINS
from hub.ui.cli.alarms import worst_first
from hub.ui.demo.accounts import Check, Said, balance, delivered_by, read_back
from hub.ui.demo.live import View, frame_of, view_for
from hub.ui.demo.staging import BrokerChoice, Cast, Stage, empty_directory, staged
from hub.ui.desk.desk import EXIT_FAILED, AsJson, as_life
from hub.ui.pages.http import application, serve
from hub.ui.pages.observing import Watch, lag, observe
from hub.ui.process.logs import LogLevel, configure_logging
from hub.ui.process.signals import on_signals
from hub.ui.words import place, title
from simulators.community import Act, Community, Run, Size
from simulators.link import Broker
from simulators.link import Ledger as Spoken

READY_SECONDS, SETTLE_SECONDS = 15.0, 30.0
POLL_SECONDS, FRAME_SECONDS, HURRY_SECONDS = 0.05, 1.0, 0.05
COMMUNITY = Size(dwellings=120, gates=6)
UNLOCK_AT = 0.15
"""When the operator opens a gate, as a share of the run."""
ANSWER_WITHIN = timedelta(seconds=5)
SILENT_AFTER = timedelta(seconds=15)
MISSED_REPORTS = 3
MOST_RATE = 10_000
SENSOR_SHARE = 0.8
"""Of all acts, at least so many are reports of sensors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """What is played: for how long, how fast, by whom."""

    duration: timedelta
    rate: float
    seed: int
    broker: BrokerChoice

    @property
    def silent_after(self) -> timedelta:
        """How long a detector may be quiet: 15 s, or longer when the rate is so low that all of them are."""
        every = COMMUNITY.dwellings / (SENSOR_SHARE * self.rate)
        return max(SILENT_AFTER, timedelta(seconds=round(MISSED_REPORTS * every)))


def demo(
    *,
    duration: Annotated[str, typer.Option(help="Simulated life: seconds, or 90s, 5m …; at least 1 s.")] = "60",
    rate: Annotated[
        float, typer.Option(min=0.1, max=MOST_RATE, help="Acts a second; a passage is three messages.")
    ] = 50,
    seed: Annotated[int, typer.Option(help="The same seed is the same community.")] = 1,
    broker: Annotated[BrokerChoice, typer.Option(help="auto: mosquitto where it is installed.")] = BrokerChoice.AUTO,
    directory: Annotated[Path | None, typer.Option("--dir", help="Keep everything here; else it is removed.")] = None,
    as_json: AsJson = False,
) -> None:
    """Run a whole community on this machine: servers, hub, devices, an operator; then close the books.

    Ctrl-C ends it early with the same ledger. Exit code 1 when the ledger does not add up.
    """
    play = Play(duration=as_life(duration), rate=rate, seed=seed, broker=broker)
    view = view_for(Console(file=sys.stdout), as_json=as_json)
    stage = empty_directory(directory)
    with (stage / "hub.log").open("w", encoding="utf-8") as log:
        configure_logging(LogLevel.INFO, log)
        try:
            checks = asyncio.run(_demo(play, stage, view, SystemClock()))
            view.close_books(checks)
        except BaseException as error:
            if _is_unread(error):
                _put_away(stage, directory)
                raise BrokenPipeError(EPIPE, "nobody reads any more") from error
            view.note(f"everything is kept in {stage}, what went on in its hub.log")
            raise
    if not all(check.holds for check in checks):
        view.note(f"everything is kept in {stage}, what went on in its hub.log")
        raise typer.Exit(EXIT_FAILED)
    _put_away(stage, directory)


def _is_unread(error: BaseException) -> bool:
    """Whether it is nothing but that nobody reads any more what we say (`| head`, a terminal that was closed)."""
    rest = error.split(_is_unwritten)[1] if isinstance(error, BaseExceptionGroup) else error
    return rest is None or _is_unwritten(rest)


def _is_unwritten(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno == EIO:  # so says a terminal that is gone, and also a bad disk
        output = select.poll()
        output.register(sys.stdout, 0)
        return bool(output.poll(0))
    return isinstance(error, BrokenPipeError)


def _put_away(stage: Path, wanted: Path | None) -> None:
    if wanted is None:
        shutil.rmtree(stage)


async def _demo(play: Play, directory: Path, view: View, clock: Clock) -> list[Check]:
    stop = asyncio.Event()
    community = StoppableCommunity(seed=play.seed, stop=stop)
    cast = Cast(site=community.site, places=community.places(), devices=community.devices())
    with on_signals(stop.set):
        async with staged(directory, cast, play.broker, clock, silent_after=play.silent_after) as stage:
            if stage.notice:
                view.note(stage.notice)
            async with Hub(stage.settings, clock, asks_sys=not stage.notice) as hub:
                spoken = await _perform(play, community, stage, hub, view)
                said = Said(
                    messages=len(spoken.acknowledged) + spoken.commands,
                    again=spoken.repeated,
                    reports=Counter((report.topic, report.payload) for report in spoken.acknowledged),
                )
                async with make_store(stage.settings, clock) as store, _link(stage) as link:
                    found = await read_back(hub, store, link)
                return balance(said, hub.engine.state.ledger, delivered_by(hub), found)


async def _perform(play: Play, community: StoppableCommunity, stage: Stage, hub: Hub, view: View) -> Spoken:
    """Let the hub work and the community live; return what the broker took once all of it is delivered."""
    clock = hub.clock
    mqtt, http = stage.settings.mqtt, stage.settings.http
    broker = Broker(host=mqtt.host, port=mqtt.port)
    hurried = HurriedClock(clock, community.stop)
    run = Run(community, broker, clock=hurried, passwords=stage.passwords)
    metrics = Metrics()
    observe(hub, metrics)
    with view.open():
        async with serve(application(metrics, Watch(hub).vitals), http), asyncio.TaskGroup() as group:
            working = group.create_task(hub.run(), name="demo.hub")
            onlookers = [
                group.create_task(_watch(hub, view), name="demo.watch"),
                group.create_task(_follow(stage, view), name="demo.follow"),
            ]
            if not await _until(lambda: hub.is_running and not hub.engine.is_blind, READY_SECONDS, clock):
                raise UnavailableError("hub_not_ready", "the hub did not catch up with the broker", port=mqtt.port)
            view.note(f"metrics at http://{http.host}:{http.port}/metrics, health at /readyz")
            password = stage.settings.data_dir.parent / "valkey" / "password"
            port = urlsplit(stage.settings.redis.url.get_secret_value()).port
            view.note(f"events (hub/sinks/README.md): REDISCLI_AUTH=$(cat {password}) redis-cli -p {port}")
            onlookers.append(group.create_task(_operate(play, community, stage, view, hurried), name="demo.operator"))
            spoken = await run.run(rate=play.rate, duration=play.duration)
            if community.stop.is_set():
                view.note("stopped early")
            if not await _until(lambda: _is_settled(hub, spoken), SETTLE_SECONDS, clock):
                view.note(f"after {SETTLE_SECONDS:.0f} s not everything was heard and delivered: see the books")
            hub.stop()
            await working
            view.show(frame_of(hub))
            for onlooker in onlookers:
                onlooker.cancel()
    return spoken


def _is_settled(hub: Hub, spoken: Spoken) -> bool:
    """Whether everything the broker took has been heard and judged, and everything owed is delivered."""
    ledger = hub.engine.state.ledger
    is_heard = ledger.heard - ledger.duplicate >= len(spoken.acknowledged) + spoken.commands
    return is_heard and not lag(hub) and hub.streams_box.is_empty and hub.timeseries_box.is_empty


async def _until(check: Callable[[], bool], seconds: float, clock: Clock) -> bool:
    deadline = clock.monotonic_ns() + round(seconds * 1e9)
    while not check():
        if clock.monotonic_ns() > deadline:
            return False
        await clock.sleep(POLL_SECONDS)
    return True


async def _watch(hub: Hub, view: View) -> None:
    while True:
        view.show(frame_of(hub))
        await hub.clock.sleep(FRAME_SECONDS)


async def _follow(stage: Stage, view: View) -> None:
    async with _link(stage) as link:
        async for event in follow_events(link, DOMAINS):
            view.tell(event)


async def _operate(play: Play, community: Community, stage: Stage, view: View, clock: Clock) -> None:
    """Open a gate, then acknowledge the worst alarm as soon as there is one."""
    await clock.sleep(play.duration.total_seconds() * UNLOCK_AT)
    gate = community.gates[-1].device
    async with _link(stage) as link:
        args = {"site": community.site.id, "device": gate, "command": "unlock", "part": "door-1", "ttl": "5s"}
        unlock = Request(actor="demo", verb="command", args=args)
        reply = await send_control(link, clock, stage.settings.partition, unlock, wait=ANSWER_WITHIN)
        view.note(f"operator: unlock {gate}#door-1 -> {reply.code}")
        while not (alarms := worst_first(await read_alarms(link))):
            await clock.sleep(POLL_SECONDS)
        alarm = alarms[0]
        ack = Request(actor="demo", verb="ack", args={"rule": alarm.rule, "key": alarm.key})
        reply = await send_control(link, clock, stage.settings.partition, ack, wait=ANSWER_WITHIN)
        view.note(f"operator: acknowledge {title(alarm.name, alarm.label)} at {place(alarm)} -> {reply.code}")


@asynccontextmanager
async def _link(stage: Stage) -> AsyncIterator[Link]:
    async with Link(RedisAddress(url=stage.settings.redis.url.get_secret_value())) as link:
        yield link


class StoppableCommunity(Community):
    """A community that has nothing more to say once ``stop`` is set."""

    def __init__(self, *, seed: int, stop: asyncio.Event) -> None:
        super().__init__(seed=seed, size=COMMUNITY)
        self.stop = stop

    @override
    def traffic(self, *, rate: float, duration: timedelta) -> Iterator[tuple[float, Act]]:
        for scene in super().traffic(rate=rate, duration=duration):
            if self.stop.is_set():
                return
            yield scene


class HurriedClock:
    """A clock on which nobody waits long any more once ``stop`` is set."""

    def __init__(self, clock: Clock, stop: asyncio.Event) -> None:
        self._clock = clock
        self._stop = stop

    def wall_ns(self) -> int:
        return self._clock.wall_ns()

    def monotonic_ns(self) -> int:
        return self._clock.monotonic_ns()

    async def sleep(self, seconds: float) -> None:
        if self._stop.is_set():
            await self._clock.sleep(min(seconds, HURRY_SECONDS))
        elif seconds:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._stop.wait()
        else:
            await self._clock.sleep(0)
