"""How long a message waits beside a checkpoint of so many changed devices, until it is judged and its commands leave.

    .venv/bin/python -m benchmarks.checkpoints                            # of 1,000, 20,000 and 60,000
    .venv/bin/python -m benchmarks.checkpoints --against before=../before # another checkout, in turns

Journal, engine, outboxes and state file of a hub in this process, without servers. Every device says something, the
checkpoint is due, and one of them speaks every 5 ms: what was said before a transaction had ended and judged after it
had begun is counted, from when it was due to be said.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import mqtt5
import msgspec
import typer
from rich.console import Console
from rich.table import Table
from typing_extensions import override

from benchmarks.desk import SESSION
from benchmarks.figures import percentile
from benchmarks.mixed import checkouts, said_elsewhere
from benchmarks.revisions import telling
from benchmarks.traffic import BUILDING, KIND, SITE, Traffic
from hub import __version__, parts
from hub.bridge.frames import decode_packets
from hub.bridge.uplink import Inbox
from hub.clock import SystemClock
from hub.config.settings import packaged
from hub.engine.rows import DeviceRow
from hub.failpoints import NEVER
from hub.journal.neighbours import opened
from hub.journal.outbox import STREAMS, TIMESERIES, Outbox
from hub.journal.state_file import StateFile
from hub.model.effects import LineWork, StreamWork
from hub.model.heard import CaughtUp, Connected, Delivery, Packets
from hub.model.records import Started
from hub.pipeline import Applying, Hearing, Limits
from hub.revisions.files import read_yaml
from hub.revisions.revision import revise
from hub.ui.cli.run import spare_the_collector
from hub.ui.process.logs import LogLevel, configure_logging

SIZES = (1_000, 20_000, 60_000)
EVERY_NS = 5_000_000
BATCH = 2_000
REST_SECONDS = 0.3
CHECKPOINT_EVERY = timedelta(hours=1)
PROMISED_MS = 100.0

Span = tuple[float, float]


class Waits(msgspec.Struct):
    """ms: of each message beside a transaction, of all others, and of each transaction."""

    beside: list[float] = []
    apart: list[float] = []
    written: list[float] = []

    def add(self, other: Waits) -> None:
        """Take those of another run along."""
        self.beside += other.beside
        self.apart += other.apart
        self.written += other.written


class Hurried(SystemClock):
    """A clock by which the next checkpoint is due when somebody wishes it."""

    def __init__(self) -> None:
        self.ahead = 0

    @override
    def monotonic_ns(self) -> int:
        return super().monotonic_ns() + self.ahead


@dataclass(slots=True)
class Voice:
    """The one session: what all devices say, and one of them every 5 ms; ``spans`` are from due to judged."""

    inbox: Inbox
    traffic: Traffic
    said: int = 0
    settled: int = 0
    spans: list[Span] = field(default_factory=list)
    judged_to: int = 0
    name: str = SESSION
    _waiting: list[tuple[int, float]] = field(default_factory=list)

    def say(self, count: int) -> None:
        """Say the next ``count`` messages, as one batch; the broker has taken the acks of all before."""
        raw = bytearray()
        for number in range(self.said, self.said + count):
            _, topic, payload = self.traffic.say(number, time.time_ns())
            packet = mqtt5.PublishPacket(topic, payload, qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=number % 60_000 + 1)
            raw += packet.write()
        packets = Packets(bytes(raw), list(decode_packets(bytes(raw))), self.said, session_present=True)
        self.said += count
        self.inbox.put(Delivery(SESSION, 1, packets))

    async def run(self) -> None:
        """Say one message every 5 ms, until cancelled."""
        clock, due = SystemClock(), time.perf_counter_ns()
        while True:
            due += EVERY_NS
            await clock.sleep(max(0, due - time.perf_counter_ns()) / 1e9)
            self._waiting.append((self.said + 1, due / 1e9))
            self.say(1)

    def judged(self, messages: int) -> None:
        """Note that so many more were judged."""
        self.judged_to += messages
        now = time.perf_counter()
        while self._waiting and self._waiting[0][0] <= self.judged_to:
            self.spans.append((self._waiting.pop(0)[1], now))

    def acknowledge(self, _delivery: Delivery) -> bool:
        """Nobody waits for it."""
        return True

    def pause_reading(self) -> None:
        """Nothing is read."""

    def resume_reading(self) -> None:
        """Nothing is read."""


def _timed(file: StateFile, spans: list[Span]) -> None:
    """Note from when to when each checkpoint is written."""
    write = file.checkpoint

    async def noted(*taken: Any) -> None:  # noqa: ANN401 -- as the file takes them
        began = time.perf_counter()
        await write(*taken)
        spans.append((began, time.perf_counter()))

    file.checkpoint = noted  # type: ignore[method-assign, assignment]


def _content(devices: Traffic) -> dict[str, bytes]:
    found = read_yaml([packaged("device_profiles")], [packaged("rules")])
    for name in devices.names():
        found[f"device/{SITE}/{name}"] = DeviceRow(SITE, name, KIND, building=BUILDING, place=BUILDING).body
    return found


async def measure(directory: Path, devices: int, rounds: int) -> Waits:
    """Return what messages wait beside checkpoints of ``devices`` changed ones, ``rounds`` of them."""
    async with opened(directory, "main", decode_packets) as (journal, state_file, _):
        engine, clock, inbox, written = parts.make_engine(journal.id), Hurried(), Inbox(), list[Span]()
        _timed(state_file, written)
        limits = Limits(
            checkpoint_messages=10**9, checkpoint_every=CHECKPOINT_EVERY, retention=timedelta(days=1),
            retention_bytes=2**40, failpoints=NEVER,
        )  # fmt: skip
        streams = Outbox(STREAMS, state_file, StreamWork, cursor=0)
        series = Outbox(TIMESERIES, state_file, LineWork, cursor=0)
        applying = Applying(engine, state_file, streams, series, lambda _: True, clock, limits)
        voice = Voice(inbox, Traffic(devices))
        inbox.attach(voice)
        hearing = Hearing(inbox, journal, state_file, [voice], SystemClock(), limits)
        engine.portions = partial(telling, engine.portions, voice.judged)  # type: ignore[method-assign] # to watch it
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(hearing.run(), name="benchmarks.hear"),
                group.create_task(applying.run(hearing), name="benchmarks.apply"),
                group.create_task(_deliver(streams, series), name="benchmarks.deliver"),
            ]
            inbox.put_note(Started("bench", [SESSION]))
            inbox.put_note(revise({}, _content(voice.traffic), __version__))
            inbox.put(Delivery(SESSION, 1, Connected(session_present=True)))
            inbox.put(Delivery(SESSION, 1, CaughtUp()))
            await _all_speak(voice, devices)
            spare_the_collector()
            tasks.append(group.create_task(voice.run(), name="benchmarks.voice"))
            for number in range(rounds + 1):  # the first one is of everything there is
                await _all_speak(voice, devices)
                await clock.sleep(REST_SECONDS)
                clock.ahead += round(CHECKPOINT_EVERY.total_seconds() * 1e9)
                while len(written) <= number:
                    await clock.sleep(0.02)
                await clock.sleep(REST_SECONDS)
                if not number:
                    voice.spans.clear()
            for task in tasks:
                task.cancel()
        return _waits(voice.spans, written[1:])


async def _all_speak(voice: Voice, devices: int) -> None:
    """Let every device speak, and be judged."""
    clock = SystemClock()
    for _ in range(0, devices, BATCH):
        voice.say(min(BATCH, devices))
        while voice.judged_to < voice.said - BATCH:
            await clock.sleep(0.005)
    while voice.judged_to < voice.said - 1:
        await clock.sleep(0.005)


async def _deliver(streams: Outbox[StreamWork], series: Outbox[LineWork]) -> None:
    """Take what is owed, as sinks do that have no end to wait for."""

    async def each(box: Outbox[Any]) -> None:
        while True:
            taken = await box.take(items=5_000, linger=timedelta(milliseconds=250))
            await box.confirm(taken[-1][0], {})

    async with asyncio.TaskGroup() as group:
        group.create_task(each(streams), name="benchmarks.streams")
        group.create_task(each(series), name="benchmarks.series")


def _waits(spans: Sequence[Span], written: Sequence[Span]) -> Waits:
    found = Waits(written=[(end - begin) * 1e3 for begin, end in written])
    for said, judged in spans:
        is_beside = any(said < end and judged > begin for begin, end in written)
        (found.beside if is_beside else found.apart).append((judged - said) * 1e3)
    return found


def _shown(found: Mapping[str, Mapping[int, Waits]]) -> Table:
    table = Table(
        "ms", "changed devices", "a transaction", "messages beside", "p50", "p99", "longest", "later than 100 ms",
        "p50, p99 of others",
    )  # fmt: skip
    for devices in next(iter(found.values())):
        for name, waits in found.items():
            if each := waits[devices]:
                late = sum(wait > PROMISED_MS for wait in each.beside)
                p50, p99 = (f"{percentile(each.beside, percent):.1f}" for percent in (50, 99))
                others = f"{percentile(each.apart, 50):.1f}, {percentile(each.apart, 99):.1f}"
                table.add_row(
                    name, f"{devices:,}", f"{percentile(each.written, 50):.0f}", f"{len(each.beside):,}", p50, p99,
                    f"{max(each.beside):.1f}", f"{late:,}", others,
                )  # fmt: skip
    return table


app = typer.Typer(add_completion=False)


@app.command()
def main(
    *,
    devices: Annotated[list[int] | None, typer.Option(help="How many change; several times for several.")] = None,
    rounds: int = 5,
    turns: Annotated[int, typer.Option(help="How often each checkout has its turn.")] = 2,
    against: Annotated[list[str] | None, typer.Option(help="name=path of another checkout.")] = None,
    json: bool = False,
) -> None:
    """Measure it; nothing here is a target of `make bench`."""
    configure_logging(LogLevel.ERROR, sys.stderr)
    sizes, found = devices or SIZES, dict[str, dict[int, Waits]]()
    if against:
        paths = {**checkouts(against), "now": Path(__file__).parent.parent}
        for number in range(turns):
            for name in list(paths)[:: -1 if number % 2 else 1]:
                for size in sizes:
                    words = ["--devices", str(size), "--rounds", str(rounds)]
                    said = said_elsewhere("benchmarks.checkpoints", paths[name], words)
                    each = msgspec.json.decode(said, type=dict[str, dict[int, Waits]])["now"][size]
                    found.setdefault(name, {}).setdefault(size, Waits()).add(each)
    else:
        for size in sizes:
            with tempfile.TemporaryDirectory() as directory:
                waits = asyncio.run(measure(Path(directory), size, rounds))
            found.setdefault("now", {})[size] = waits
    if json:
        typer.echo(msgspec.json.encode(found))
    else:
        Console(width=None if sys.stdout.isatty() else 160).print(_shown(found))


if __name__ == "__main__":
    app()
