"""One step at a time, in this process and without servers: where the microseconds of a message go."""

from __future__ import annotations

import asyncio
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import islice
from pathlib import Path
from threading import Thread

import mqtt5
from typing_extensions import override

from benchmarks.desk import BATCH, SESSION, Desk, Stopwatch, TrafficDesk
from benchmarks.figures import Piece, Plan
from benchmarks.traffic import EVENT_EVERY, RULES, SITE, other_rules
from hub.bridge.connection import Connection
from hub.bridge.frames import decode_packets
from hub.bridge.line import Line, SessionConfig, SessionCounts
from hub.clock import SystemClock
from hub.engine.apply import Engine
from hub.journal.journal import Journal
from hub.model.effects import Effects
from hub.model.heard import Delivery
from hub.model.records import Record
from hub.parts import EngineTwins
from hub.sinks.redis_link import pack
from hub.sinks.streams import pack_alarm_change, pack_event, source_of, twin_fields, twin_key
from hub.sinks.timeseries.influxdb import InfluxStore
from hub.sinks.timeseries.lines import event_line
from hub.sinks.timeseries.local import LocalStore
from hub.ui.cli.run import spare_the_collector

SOURCE = source_of("main")
READ_BYTES = 64 * 1024
LINES_PER_WRITE = 5_000
WAKE_UPS = 200
JOIN_SECONDS = 5

ROWS = (
    ("read + ack", "socket to messages, and their acks", True),
    ("journal", f"append, fsync, {BATCH:,} a record", True),
    ("normalize", "payload to what is settled of it", True),
    ("twin, age, ledger, line", "the rest of apply without rules", True),
    ("rules", f"four; one message in {EVENT_EVERY} an event", True),
    ("400 rules", "instead: four that read the message, 396 that do not", False),
    ("lines of events", "to line protocol; a point's is made in apply", True),
    ("stream commands", "events and alarms", True),
    ("checkpoint", "what changed, encoded", True),
    ("influxdb client", f"{LINES_PER_WRITE:,} lines a write", True),
    ("local store", "instead: SQLite and fsync", False),
    ("a wake-up's journal", "one record of one message", False),
    ("a twin", "to Redis, at most once a second each", False),
)

Advance = Callable[[], None]


async def measure(plan: Plan, advance: Advance) -> list[Piece]:
    """Measure every step several times."""
    costs: list[list[float]] = [[] for _ in ROWS]
    with tempfile.TemporaryDirectory(prefix="hub-bench-") as name:
        desk = TrafficDesk(plan.devices, plan.micro, Path(name))
        lines = [line for effects in _effects(desk) for line in _lines(effects)]
        spare_the_collector()  # as `hub run` does
        for run in range(plan.micro_runs):
            directory = Path(name) / str(run)
            for cost, row in zip(await once(desk, lines, directory), costs, strict=True):
                row.append(cost)
            advance()
    return [
        Piece(name=name, what=what, cpu_us=row, is_in_path=is_in_path)
        for (name, what, is_in_path), row in zip(ROWS, costs, strict=True)
    ]


async def once(desk: TrafficDesk, lines: list[bytes], directory: Path) -> list[float]:
    """Measure every step once, in the order of ROWS."""
    count, watch, bare, many = desk.count, Stopwatch(), Stopwatch(), Stopwatch()
    await hear(desk, watch)
    await journal(desk, directory, watch)
    walk(desk, bare, "")
    engine = walk(desk, watch, RULES)
    walk(desk, many, f"{RULES}---\n{other_rules()}")
    twins = pack_twins(engine, watch)
    checkpoint(engine, watch)
    await store(lines, directory, watch)
    usual = count - desk.lessons
    handled, applied = bare.us("normalize", usual), bare.us("apply", usual)
    return [
        watch.us("hear", count),
        watch.us("journal", count),
        handled,
        applied - handled,
        watch.us("apply", usual) - applied,
        many.us("apply", usual) - applied,
        watch.us("lines", usual),
        watch.us("streams", usual),
        watch.us("checkpoint", count),
        await write_influxdb(lines),
        watch.us("store", len(lines)),
        watch.us("wake-ups", min(WAKE_UPS, count)),
        watch.us("twins", twins),
    ]


# ----------------------------------------------------------------------------------------------------------- steps


class Deaf(asyncio.Transport):
    """A transport that swallows what is written."""

    @override
    def write(self, data: object) -> None:
        pass

    @override
    def is_closing(self) -> bool:
        return False

    @override
    def pause_reading(self) -> None:
        pass

    @override
    def resume_reading(self) -> None:
        pass


async def hear(desk: Desk, watch: Stopwatch) -> None:
    """Bytes of a socket to messages, 64 KiB a read, and their acks."""
    heard: list[Delivery] = []
    config = SessionConfig(host="", port=0, client_id="b", name=SESSION, partition="main", filters=())
    connection = Connection(Line(config, heard.append, SessionCounts()), 1, paused=False)
    connection.connection_made(Deaf())
    connection.data_received(mqtt5.ConnAckPacket(session_present=True).write())
    heard.clear()
    stream = desk.stream()
    for start in range(0, len(stream), READ_BYTES):
        with watch.step("hear"):
            connection.data_received(stream[start : start + READ_BYTES])
            for delivery in heard:
                connection.acknowledge(delivery)
        heard.clear()
    connection.connection_lost(None)


async def journal(desk: Desk, directory: Path, watch: Stopwatch) -> None:
    """Append records to a journal, each with its fsync: batches, and then those of a quiet time."""
    for name, size, most in (("journal", BATCH, desk.count), ("wake-ups", 1, WAKE_UPS)):
        (directory / name).mkdir(parents=True)
        async with Journal(directory / name / "journal.sqlite", "main", decode_packets) as opened:
            for record in islice(desk.records(1, size), most):
                with watch.step(name):
                    await opened.append([record])


def walk(desk: TrafficDesk, watch: Stopwatch, rules: str) -> Engine:
    """Take batch after batch from readings to commands, as the pipeline does: nothing of it is kept.

    What comes behind the lessons is measured.
    """
    engine = desk.engine(rules)
    device, measured, heard = next(engine.content.devices()), watch, 0
    for record in desk.records(engine.state.clock.position + 1):
        read = device.shape or device.outfit.handle
        watch, heard = measured if heard >= desk.lessons else Stopwatch(), heard + len(record.messages)
        with watch.step("normalize"):
            for message in record.messages:
                read(message.payload)
        take(engine, record, watch)
    return engine


def take(engine: Engine, record: Record, watch: Stopwatch) -> Effects:
    """Apply ``record``, and make lines and commands of what comes of it."""
    with watch.step("apply"):
        effects = engine.apply(record)
    with watch.step("lines"):
        _lines(effects)
    with watch.step("streams"):
        _commands(effects)
    return effects


def _effects(desk: TrafficDesk) -> Iterator[Effects]:
    engine = desk.engine(RULES)
    return map(engine.apply, desk.records(engine.state.clock.position + 1))


def _lines(effects: Effects) -> list[bytes]:
    return effects.lines + [event_line(event) for event in effects.events]


def _commands(effects: Effects) -> list[bytes]:
    return [pack_event(event, SOURCE) for event in effects.events] + [pack_alarm_change(it) for it in effects.alarms]


def pack_twins(engine: Engine, watch: Stopwatch) -> int:
    """Twins to one Redis command; return how many there were."""
    twins = EngineTwins(engine)
    with watch.step("twins"):
        changed = [*twins.take_changes().changed]
        pack("HSET", twin_key(SITE), *twin_fields(changed))
    return len(changed)


def checkpoint(engine: Engine, watch: Stopwatch) -> None:
    """Encode what changed."""
    with watch.step("checkpoint"):
        engine.state.begin_checkpoint()
        engine.state.take_checkpoint()


async def store(lines: list[bytes], directory: Path, watch: Stopwatch) -> None:
    """Lines to the local store."""
    async with LocalStore(directory / "timeseries.sqlite", SystemClock()) as opened:
        for start in range(0, len(lines), LINES_PER_WRITE):
            with watch.step("store"):
                await opened.write(lines[start : start + LINES_PER_WRITE])


async def write_influxdb(lines: list[bytes]) -> float:
    """Lines to InfluxDB's write API, the answers given by a thread that is not measured; microseconds a line."""
    deadline = timedelta(seconds=10)
    with answering() as port:
        url = f"http://127.0.0.1:{port}"
        async with InfluxStore(url=url, token="", org="", bucket="hub", deadline=deadline) as opened:
            began = time.thread_time_ns()
            for start in range(0, len(lines), LINES_PER_WRITE):
                await opened.write(lines[start : start + LINES_PER_WRITE])
            return (time.thread_time_ns() - began) / 1e3 / len(lines)


@contextmanager
def answering() -> Iterator[int]:
    """Answer every write with success, on one connection; yields the port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = Thread(target=_answer, args=(server,), daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(JOIN_SECONDS)


def _answer(server: socket.socket) -> None:
    client, _ = server.accept()
    with client, client.makefile("rwb") as stream:
        size = 0
        while line := stream.readline():
            if line.lower().startswith(b"content-length:"):
                size = int(line.partition(b":")[2])
            elif line == b"\r\n":
                stream.read(size)
                stream.write(b"HTTP/1.1 204 No Content\r\n\r\n")
                stream.flush()
