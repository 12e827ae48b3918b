"""One step at a time, in this process and without servers: where the microseconds of a message go."""

from __future__ import annotations

import asyncio
import gc
import socket
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Thread

import mqtt5
import orjson
from typing_extensions import override

from benchmarks.figures import Piece, Plan
from benchmarks.traffic import BUILDING, EVENT_EVERY, KIND, RULES, SITE, Traffic
from hub import __version__
from hub.bridge import topics
from hub.bridge.connection import Connection
from hub.bridge.frames import decode_packets
from hub.bridge.line import Line, SessionConfig, SessionCounts
from hub.clock import SystemClock
from hub.config import packaged
from hub.engine.apply import Engine
from hub.errors import ConfigError
from hub.journal.journal import Journal
from hub.model import (
    Batch,
    Body,
    Delivery,
    Effects,
    Heard,
    Record,
    SessionCaughtUp,
    SessionConnected,
    Started,
)
from hub.parts import EngineTwins
from hub.revisions import read_yaml, revise
from hub.sinks.redis_link import pack
from hub.sinks.streams import pack_alarm_change, pack_event, source_of, twin_fields, twin_key
from hub.sinks.timeseries.influxdb import InfluxStore
from hub.sinks.timeseries.lines import encode, event_line
from hub.sinks.timeseries.local import LocalStore

JOURNAL = "00000000-0000-4000-8000-000000000001"
SESSION = "telemetry"
BATCH = 1_000
SMALL_RECORDS = 200
JOIN_SECONDS = 5
READ_BYTES = 64 * 1024
LINES_PER_WRITE = 5_000
START_NS = 1_772_352_000_000_000_000
NS_PER_MESSAGE = 20_000
PACKET_IDS = 60_000

Advance = Callable[[], None]


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


class Bench:
    """An engine with the benchmark's content, and messages as a broker sends them."""

    def __init__(self, plan: Plan, directory: Path) -> None:
        self._traffic = Traffic(plan.devices)
        self._count = plan.micro
        self._directory = directory
        self.raw = list(self._packets(range(plan.micro)))

    def _packets(self, numbers: range) -> Iterator[bytes]:
        topics_, qos = self._traffic.topics(), mqtt5.QoS.AT_LEAST_ONCE
        for number in numbers:
            payload = self._traffic.payload(number, (START_NS + number * NS_PER_MESSAGE) // 1_000_000)
            packet_id = number % PACKET_IDS + 1
            topic = topics_[number % len(topics_)]
            yield mqtt5.PublishPacket(topic, payload, qos=qos, packet_id=packet_id).write()

    def batches(self) -> list[tuple[bytes, list[Heard]]]:
        """Return the packets in batches, with their decoding."""
        raw = [b"".join(self.raw[start : start + BATCH]) for start in range(0, self._count, BATCH)]
        return [(packets, decode_packets(packets)) for packets in raw]

    def documents(self, *, with_rules: bool) -> dict[str, bytes]:
        """Return kinds, profiles, rules and devices as documents."""
        rules = self._directory / "rules"
        rules.mkdir(exist_ok=True)
        (rules / "bench.yaml").write_text(RULES if with_rules else "", encoding="utf-8")
        found = read_yaml([packaged("device_profiles")], [packaged("rules"), *([rules] if with_rules else [])])
        for name in self._traffic.names():
            row = {"site": SITE, "device": name, "kind": KIND, "building": BUILDING, "place": BUILDING}
            found[f"device/{SITE}/{name}"] = orjson.dumps(row)
        return found

    def engine(self, *, with_rules: bool) -> tuple[Engine, list[Record]]:
        """Return an engine that has caught up, and the records of the messages for it."""
        engine = Engine(JOURNAL, topics)
        note = revise({}, self.documents(with_rules=with_rules), __version__)
        if note is None:
            raise ConfigError("nothing_to_work_with")
        bodies: list[Body] = [
            Started(__version__, [SESSION]),
            note.revision,
            SessionConnected(SESSION, 1, session_present=True),
            SessionCaughtUp(SESSION, 1),
        ]
        for position, body in enumerate(bodies, start=1):
            engine.apply(Record(position, START_NS + position, START_NS + position, body, (), note.bodies))
        return engine, self.records(len(bodies) + 1)

    def small_records(self, first: int) -> list[Record]:
        """Return records of one message each."""
        times = range(START_NS, START_NS + SMALL_RECORDS)
        bodies = [Batch(SESSION, 1, session_present=True, settled=0, packets=self.raw[0])] * SMALL_RECORDS
        return [Record(first + n, at, at, body) for n, (at, body) in enumerate(zip(times, bodies, strict=True))]

    def records(self, first: int) -> list[Record]:
        """Return the messages as records from position ``first`` on."""
        found: list[Record] = []
        for index, (raw, messages) in enumerate(self.batches()):
            at = START_NS + 1_000_000 + index * BATCH * NS_PER_MESSAGE
            settled = max(0, (index - 8) * BATCH)
            body = Batch(SESSION, 1, session_present=True, settled=settled, packets=raw)
            found.append(Record(first + index, at, at, body, messages))
        return found


def cpu_us(work: Callable[[], object], count: int) -> float:
    """Return the CPU time of ``work``, all threads, in microseconds for each of ``count``."""
    began = time.process_time_ns()
    work()
    return (time.process_time_ns() - began) / 1e3 / count


async def cpu_us_async(work: Awaitable[object], count: int) -> float:
    """Do the same for what has to be awaited."""
    began = time.process_time_ns()
    await work
    return (time.process_time_ns() - began) / 1e3 / count


# ---------------------------------------------------------------------------------------------------------- pieces


async def hear(bench: Bench, count: int) -> float:
    """Bytes of the socket to messages, and their acks; the first batch of the connection is not measured."""
    heard: list[Delivery] = []
    config = SessionConfig(host="", port=0, client_id="b", name=SESSION, partition="main", filters=())
    connection = Connection(Line(config, heard.append, SessionCounts()), 1, paused=False)
    connection.connection_made(Deaf())
    connection.data_received(mqtt5.ConnAckPacket(session_present=True).write())
    heard.clear()
    stream = b"".join(bench.raw)
    chunks = [stream[start : start + READ_BYTES] for start in range(0, len(stream), READ_BYTES)]

    def work() -> None:
        for chunk in chunks:
            connection.data_received(chunk)
            for delivery in heard:
                connection.acknowledge(delivery)
            heard.clear()

    cost = cpu_us(work, count)
    connection.connection_lost(None)
    return cost


async def journal(records: Sequence[Record], directory: Path) -> float:
    """Append records to a journal, each with its fsync; a figure for each record."""
    async with Journal(directory / "journal.sqlite", "main", decode_packets) as opened:

        async def work() -> None:
            for record in records:
                await opened.append([record])

        return await cpu_us_async(work(), len(records))


def handle(bench: Bench, count: int) -> float:
    """Payloads to readings."""
    engine, records = bench.engine(with_rules=False)
    handler = next(engine.content.devices()).handler
    payloads = [message.payload for record in records for message in record.messages]

    def work() -> None:
        for payload in payloads:
            handler(payload)

    return cpu_us(work, count)


def apply(bench: Bench, count: int, *, with_rules: bool) -> tuple[float, Engine, list[Effects]]:
    """Turn records into effects."""
    engine, records = bench.engine(with_rules=with_rules)
    effects: list[Effects] = []

    def work() -> None:
        for record in records:
            effects.append(engine.apply(record))  # noqa: PERF401 -- what the pipeline does

    return cpu_us(work, count), engine, effects


def checkpoint(engine: Engine, count: int) -> float:
    """Encode what changed, as every 200,000 messages."""
    state = engine.state

    def work() -> None:
        state.begin_checkpoint()
        state.take_checkpoint()

    return cpu_us(work, count)


def write_lines(effects: Sequence[Effects], count: int) -> tuple[float, list[bytes]]:
    """Points and events to line protocol."""
    lines: list[bytes] = []

    def work() -> None:
        for each in effects:
            lines.extend(encode(each.points))
            lines.extend(event_line(event) for event in each.events)

    return cpu_us(work, count), lines


async def write_influxdb(lines: list[bytes]) -> float:
    """Lines to InfluxDB's write API, the answers given by a thread that is not measured."""
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


async def store(lines: list[bytes], directory: Path) -> float:
    """Lines to the local store."""
    async with LocalStore(directory / "timeseries.sqlite", SystemClock()) as opened:

        async def work() -> None:
            for start in range(0, len(lines), LINES_PER_WRITE):
                await opened.write(lines[start : start + LINES_PER_WRITE])

        return await cpu_us_async(work(), len(lines))


def pack_streams(effects: Sequence[Effects], count: int) -> float:
    """Events and alarms to Redis commands."""
    source = source_of("main")

    def work() -> None:
        for each in effects:
            for event in each.events:
                pack_event(event, source)
            for change in each.alarms:
                pack_alarm_change(change)

    return cpu_us(work, count)


def pack_twins(engine: Engine) -> float:
    """Twins to Redis commands; a figure for each row, which is written at most once a second."""
    twins = EngineTwins(engine)
    rows = 0

    def work() -> None:
        nonlocal rows
        changes = twins.take_changes()
        rows = len(changes.changed)
        pack("HSET", twin_key(SITE), *twin_fields(changes.changed))

    whole = cpu_us(work, 1)
    return whole / max(1, rows)


# ------------------------------------------------------------------------------------------------------------- table

ROWS = (
    ("read + ack", "socket bytes to messages, and their acks, 64 KiB a read", True),
    ("journal", f"append and fsync, {BATCH:,} messages a record", True),
    ("normalize", "payload to readings", True),
    ("twin, age, ledger", "the rest of apply without rules", True),
    ("rules", f"four rules, one message in {EVENT_EVERY} an event", True),
    ("lines", "points and events to line protocol", True),
    ("stream commands", "events and alarms to Redis commands", True),
    ("checkpoint", "state changed since the last one, encoded", True),
    ("influxdb client", f"{LINES_PER_WRITE:,} lines a write", True),
    ("local store", "instead: lines to SQLite, and fsync", False),
    ("a wake-up's journal", "one record of one message, appended and fsynced", False),
    ("a twin", "row to Redis command, at most once a second each", False),
)


async def measure(plan: Plan, advance: Advance) -> list[Piece]:
    """Measure every step several times."""
    costs: list[list[float]] = [[] for _ in ROWS]
    with tempfile.TemporaryDirectory(prefix="hub-bench-") as name:
        bench = Bench(plan, Path(name))
        gc.collect()
        gc.freeze()  # as `hub run` does
        for run in range(plan.micro_runs):
            directory = Path(name) / str(run)
            for cost, row in zip(await once(bench, directory, plan.micro), costs, strict=True):
                row.append(cost)
            advance()
    return [
        Piece(name=name, what=what, cpu_us=row, is_in_path=is_in_path)
        for (name, what, is_in_path), row in zip(ROWS, costs, strict=True)
    ]


async def once(bench: Bench, directory: Path, count: int) -> list[float]:
    """Measure every step once, in the order of ROWS."""
    heard = await hear(bench, count)
    for part in ("batches", "wake-ups"):
        (directory / part).mkdir(parents=True)
    records = bench.records(1)
    appended = await journal(records, directory / "batches") * len(records) / count
    woken = await journal(bench.small_records(1), directory / "wake-ups")
    handled = handle(bench, count)
    bare, _, _ = apply(bench, count, with_rules=False)
    judged, engine, effects = apply(bench, count, with_rules=True)
    encoded, lines = write_lines(effects, count)
    packed = pack_streams(effects, count)
    twin = pack_twins(engine)
    saved = checkpoint(engine, count)
    sent = await write_influxdb(lines)
    stored = await store(lines, directory)
    rest, rules = bare - handled, judged - bare
    return [heard, appended, handled, rest, rules, encoded, packed, saved, sent, stored, woken, twin]
