"""``python -m benchmarks.revisions``: how long a revision holds the loop of a hub, and a message beside it.

A registry, a journal, an engine and its checkpoints in this process, without servers: devices of the mixture at so many
sites, each of which has spoken. Beside each change of the registry or a file a device says something every 20 ms.
"""

from __future__ import annotations

import asyncio
import gc
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Annotated

import mqtt5
import orjson
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.desk import SESSION, Desk
from hub import parts
from hub.bridge.frames import decode_packets
from hub.bridge.uplink import Inbox
from hub.clock import SystemClock
from hub.config.settings import Settings
from hub.failpoints import NEVER
from hub.journal.neighbours import opened
from hub.journal.outbox import STREAMS, TIMESERIES, Outbox
from hub.model.effects import Effects, LineWork, StreamWork
from hub.model.heard import CaughtUp, Connected, Delivery, Packets
from hub.model.records import Record, Started
from hub.model.values import Scalar
from hub.pipeline import Applying, Hearing, Limits
from hub.registry import many, rows, schema
from hub.registry.circumstances import put_entries, set_params
from hub.registry.nouns import Device, Entry, Params, Place, Site
from hub.registry.registry import Registry
from hub.revisions.comparing import Comparing, Files
from hub.revisions.files import read_content
from simulators.mixture import Mixture

EVERY_SECONDS, LOOK_SECONDS = 0.02, 0.001
ROWS_AT_ONCE = 5_000
SETTLE_SECONDS = 0.5

Changing = Callable[[], Awaitable[object]]


@dataclass(slots=True, kw_only=True)
class Cost:
    """What one change cost: ms of CPU, until the engine had it, and the longest that the loop or a message waited."""

    what: str
    cpu_ms: float
    taken_ms: float
    stall_ms: float
    message_ms: float
    records: int


class Voice:
    """A session that says one thing now and then, and notes how long it takes to be judged."""

    name = SESSION

    def __init__(self, inbox: Inbox, topic: str, payload: bytes) -> None:
        self._inbox = inbox
        raw = mqtt5.PublishPacket(topic, payload, qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=1).write()
        self._packets = Packets(raw, list(decode_packets(raw)), 0, session_present=True)
        self._waiting: list[float] = []
        self.longest = 0.0

    async def run(self) -> None:
        """Say it, until cancelled."""
        while True:
            self._waiting.append(time.perf_counter())
            self._inbox.put(Delivery(SESSION, 1, self._packets))
            await SystemClock().sleep(EVERY_SECONDS)

    def judged(self, messages: int) -> None:
        """Note that so many were judged."""
        for _ in range(min(messages, len(self._waiting))):
            self.longest = max(self.longest, time.perf_counter() - self._waiting.pop(0))

    def acknowledge(self, _delivery: Delivery) -> bool:
        """Nobody waits for it."""
        return True

    def pause_reading(self) -> None:
        """Nothing is read."""

    def resume_reading(self) -> None:
        """Nothing is read."""


class Watch:
    """Looks at the loop every millisecond, and notes for how long it did not turn."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def run(self) -> None:
        """Look, until cancelled."""
        while True:
            before = time.perf_counter()
            await SystemClock().sleep(LOOK_SECONDS)
            self.longest = max(self.longest, time.perf_counter() - before - LOOK_SECONDS)


class Core:
    """A hub without its rims, at work."""

    def __init__(self, registry: Registry, comparing: Comparing, inbox: Inbox, applying: Applying) -> None:
        self.registry = registry
        self._comparing = comparing
        self.inbox = inbox
        self.applying = applying
        self.watch = Watch()
        self.voice: Voice
        self.records = 0

    def applied(self, messages: int) -> None:
        """Note that a record was applied."""
        self.records += 1
        if messages:
            self.voice.judged(messages)

    async def revise(self, files: Mapping[str, bytes] | None = None) -> None:
        """Take what has changed, as :class:`hub.app.Hub` does."""
        while files is not None or await self.registry.revision() != self._comparing.revision:
            compared = await self._comparing.compare(files, {})
            files = None
            if compared.note is not None:
                await self.lay_down(compared.note.bodies)
                self.applying.is_revised.clear()
                self.inbox.put_note(compared.note)
            self._comparing.settle(compared)
            await self.applying.is_revised.wait()

    lay_down: Callable[[Mapping[str, bytes]], Awaitable[None]]

    async def cost(self, what: str, change: Changing, files: Mapping[str, bytes] | None = None) -> Cost:
        """Return what it costs to take a change; not what it costs whoever makes it."""
        await change()
        await SystemClock().sleep(SETTLE_SECONDS)
        self.watch.longest = self.voice.longest = 0.0
        records, cpu, began = self.records, time.process_time(), time.perf_counter()
        await self.revise(files)
        taken = time.perf_counter() - began
        spent, journaled = time.process_time() - cpu, self.records - records
        await SystemClock().sleep(EVERY_SECONDS)
        return Cost(
            what=what, cpu_ms=spent * 1e3, taken_ms=taken * 1e3, stall_ms=self.watch.longest * 1e3,
            message_ms=self.voice.longest * 1e3, records=journaled,
        )  # fmt: skip


async def _fill(registry: Registry, mixtures: Sequence[Mixture]) -> None:
    """Register everything at once; who imports a file checks it first, and that is not measured here."""
    for mixture in mixtures:
        await registry.add_site(Site(id=mixture.site, zone="Asia/Shanghai"))
    async with registry.change() as change:
        for mixture in mixtures:
            for table, found in (
                (schema.places, [rows.place_values(place) for place in mixture.places()]),
                (schema.devices, [rows.device_values(device) for device in mixture.devices()]),
            ):
                for start in range(0, len(found), ROWS_AT_ONCE):
                    await change.connection.execute(table.insert(), found[start : start + ROWS_AT_ONCE])
        change.note("site.filled", "site/*")


@asynccontextmanager
async def _core(
    directory: Path, registry: Registry, topic: str, payload: bytes
) -> AsyncIterator[tuple[Core, dict[str, bytes]]]:
    settings, clock, inbox = Settings(data_dir=directory), SystemClock(), Inbox()
    files = read_content(settings)
    async with opened(directory, settings.partition, decode_packets) as (journal, state_file, _):
        engine = parts.make_engine(journal.id)
        comparing = Comparing(settings, clock, registry, engine.content, Files(files, {}))
        limits = Limits(
            checkpoint_messages=200_000, checkpoint_every=timedelta(seconds=30), retention=timedelta(days=1),
            retention_bytes=2**40, failpoints=NEVER,
        )  # fmt: skip
        streams = Outbox(STREAMS, state_file, StreamWork, cursor=0)
        series = Outbox(TIMESERIES, state_file, LineWork, cursor=0)
        applying = Applying(engine, state_file, streams, series, lambda _: True, clock, limits)
        core = Core(registry, comparing, inbox, applying)
        core.lay_down = journal.lay_down
        core.voice = voice = Voice(inbox, topic, payload)
        inbox.attach(voice)
        hearing = Hearing(inbox, journal, state_file, [voice], clock, limits)
        async with asyncio.TaskGroup() as group:
            engine.portions = partial(telling, engine.portions, core.applied)  # type: ignore[method-assign] # to watch it
            works = {"hear": hearing.run(), "apply": applying.run(hearing), "watch": core.watch.run()}
            tasks = [group.create_task(work, name=f"benchmarks.{name}") for name, work in works.items()]
            inbox.put_note(Started("bench", [SESSION]))
            inbox.put(Delivery(SESSION, 1, Connected(session_present=True)))
            inbox.put(Delivery(SESSION, 1, CaughtUp()))
            yield core, files
            for task in tasks:
                task.cancel()


def telling(
    portions: Callable[[Record], Generator[None, None, Effects]], applied: Callable[[int], None], record: Record
) -> Generator[None, None, Effects]:
    """Judge ``record``, and tell of how many messages it was."""
    effects = yield from portions(record)
    applied(len(record.messages))
    return effects


async def _measure(directory: Path, devices: int, sites: int) -> list[Cost]:
    mixtures = [Mixture(f"s{number:02}", devices // sites) for number in range(sites)]
    first = mixtures[0]
    async with Registry(f"sqlite+aiosqlite:///{directory / 'registry.sqlite'}") as registry:
        _, topic, payload = first.say(0, time.time_ns())
        async with _core(directory, registry, topic, payload) as (core, files):
            await core.revise(files)
            costs = [await core.cost(f"all {devices:,} new", partial(_fill, registry, mixtures))]
            await _let_speak(core, mixtures, devices)
            gc.collect()
            gc.freeze()
            gc.set_threshold(50_000, 20, 100)
            speaking = asyncio.get_running_loop().create_task(core.voice.run())
            for what, change, other in _changes(registry, first, files):
                costs.append(await core.cost(what, change, other))
            speaking.cancel()
    return costs


async def _let_speak(core: Core, mixtures: Sequence[Mixture], devices: int) -> None:
    """Let every device speak once, before the voice does."""
    now = time.time_ns()
    said = [mixture.say(number, now)[1:] for mixture in mixtures for number in range(devices // len(mixtures))]
    for start in range(0, len(said), ROWS_AT_ONCE):
        stream = Desk(said[start : start + ROWS_AT_ONCE]).stream()
        core.inbox.put(Delivery(SESSION, 1, Packets(stream, list(decode_packets(stream)), 0, session_present=True)))
        await SystemClock().sleep(SETTLE_SECONDS)
    await core.applying.checkpoints.make()


def _changes(
    registry: Registry, mixture: Mixture, files: dict[str, bytes]
) -> list[tuple[str, Changing, dict[str, bytes] | None]]:
    site, known = mixture.site, mixture.devices()
    one = Device(site=site, id="new", kind="smoke_sensor", profile="milesight/gs524n", place=known[0].place)
    thousand = [replace(one, id=f"new-{number}") for number in range(1_000)]
    lift = next(place for place in mixture.places() if place.type == "elevator")
    dwelling = mixture.places()[0]
    home = Place(site=site, id="new", type=dwelling.type)
    door = next(device.id for device in known if device.kind == "access_controller")
    barred = Entry(site=site, list="block", value="鲁B12345")

    async def nothing() -> None:
        pass

    def other(key: str) -> dict[str, bytes]:
        """Return the files with one that says something else."""
        words = orjson.loads(files[key])
        return {**files, key: orjson.dumps({**words, "label": {"en": "another", "zh": "另一个"}})}

    def patience(device: str = "") -> Changing:
        values: dict[str, Scalar] = {"patience": "40s"}
        return partial(set_params, registry, Params(rule="door-held-open", site=site, device=device, values=values))

    return [
        ("one device more", partial(registry.add_devices, [one]), None),
        ("one device changed", partial(many.put_devices, registry, [replace(one, place=known[1].place)]), None),
        ("one device gone", partial(registry.remove_device, site, "new"), None),
        ("one place more", partial(registry.add_places, [home]), None),
        ("one place changed", partial(many.put_places, registry, [replace(lift, parent=home.id)]), None),
        ("one rule file changed", nothing, other("rule/door-held-open")),
        ("one profile changed", nothing, other("profile/milesight/gs524n")),
        ("one kind changed", nothing, other("kind/smoke_sensor")),
        ("files as before", nothing, files),
        ("a parameter of a device", patience(device=door), None),
        ("a parameter of a site", patience(), None),
        ("an entry of a list", partial(put_entries, registry, [barred]), None),
        ("a fact of a home", partial(many.put_places, registry, [replace(dwelling, facts={"away": True})]), None),
        ("1,000 devices more", partial(many.put_devices, registry, thousand), None),
    ]


def main(
    devices: Annotated[int, typer.Option(help="How many, in all.")] = 100_000,
    sites: Annotated[int, typer.Option(help="At how many sites they are.")] = 24,
    *,
    json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Measure what each kind of revision costs; nothing here is a target of `make bench`."""
    with tempfile.TemporaryDirectory() as directory:
        costs = asyncio.run(_measure(Path(directory), devices, sites))
    if json:
        typer.echo(orjson.dumps([asdict(cost) for cost in costs]))
        return
    table = Table("", "ms of CPU", "ms until it is so", "loop held, ms", "a message waited, ms", "records")
    for cost in costs:
        figures = (cost.cpu_ms, cost.taken_ms, cost.stall_ms, cost.message_ms)
        table.add_row(cost.what, *(f"{figure:,.1f}" for figure in figures), str(cost.records))
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
