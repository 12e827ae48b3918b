"""The least that Python spends on a message: the same libraries in one loop that holds, writes and acks, and no more.

    .venv/bin/python -m benchmarks.floor [--json]     # 30 s

Packets are read by the same codec, payloads by msgspec typed for them, expat's C tree or a look-up; a device is one
object with its last values; the line of a point is one format; a record of 1,000 is one INSERT with its fsync; acks
are joined. Beside it the hub's own steps for the same bytes. What the loop has not is what a hub is for: no age,
sequence or redelivery, no rule but two comparisons, no event, no twin, no checkpoint, no bad payload, no revision.
"""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from statistics import median
from typing import Annotated, Any
from xml.etree.ElementTree import fromstring
from zlib import crc32

import mqtt5
import msgspec
import typer
from orjson import dumps
from rich.console import Console
from rich.table import Table

from benchmarks import micro
from benchmarks.desk import Desk, Stopwatch, TrafficDesk
from benchmarks.figures import FULL
from benchmarks.mixed import MixedDesk
from benchmarks.traffic import HOT, RULES, STUFFY
from hub.bridge.frames import pubacks
from hub.engine.apply import Engine
from hub.ui.cli.run import spare_the_collector
from hub.ui.process.logs import LogLevel, configure_logging

EQUALS = bytes.maketrans(b":", b"=")
WARM_UP = 10
IDENTITIES = 64
ANPR = "{*}ANPR/{*}"
OF_A_CAR = (
    f"{ANPR}licensePlate", f"{ANPR}line", f"{ANPR}confidenceLevel", f"{ANPR}plateCharBelieve",
    f"{ANPR}vehicleInfo/{{*}}speed", f"{ANPR}EntranceInfo/{{*}}direction", "{*}dateTime", "{*}UUID",
)  # fmt: skip


class Sensed(msgspec.Struct, gc=False):
    """What a sensor measured."""

    temperature: float
    humidity: float
    co2: float


class Word(msgspec.Struct, gc=False):
    """What a sensor of our own says."""

    t: int
    seq: int
    values: Sensed


class Happened(msgspec.Struct, gc=False, rename="camel"):
    """What a door's controller says happened."""

    major_event_type: int
    sub_event_type: int
    door_no: int
    serial_no: int
    card_no: str = ""
    employee_no_string: str = ""


class Passage(msgspec.Struct, gc=False):
    """One message of a door's controller."""

    dateTime: str  # noqa: N815 -- the vendor's word
    AccessControllerEvent: Happened


class Device:
    """What the loop holds of a device."""

    __slots__ = ("at", "checksum", "identities", "prefix", "said", "seq")

    def __init__(self, topic: str) -> None:
        self.checksum, self.prefix = crc32(topic.encode()), b"kind,device=" + topic.encode()
        self.seq = self.at = 0
        self.said: object = None
        self.identities: dict[str, int] = {}


Take = Callable[[Device, bytes], bytes | None]
"""A payload of a device to the line of its point, if there is one."""
read_word, read_passage = msgspec.json.Decoder(Word).decode, msgspec.json.Decoder(Passage).decode
read_any = msgspec.json.Decoder(dict[str, Any]).decode


def take_word(device: Device, payload: bytes) -> bytes:
    """Take what a sensor of our own says."""
    said = read_word(payload)
    values = said.values
    device.seq, device.at, device.said = said.seq, said.t, values
    if values.temperature > HOT or values.co2 > STUFFY:
        device.at = -1
    time = said.t * 1_000_000 + crc32(payload, device.checksum) % 1_000_000
    fields = dumps(msgspec.structs.asdict(values)).translate(EQUALS, b'"{}')
    return b"%b %b %d" % (device.prefix, fields, time)


def take_passage(device: Device, payload: bytes) -> bytes:
    """Take what a door's controller says."""
    said = read_passage(payload)
    event, time = said.AccessControllerEvent, moment_of(said.dateTime)
    identity = f"{event.serial_no}/{said.dateTime}"
    if len(device.identities) >= IDENTITIES:
        del device.identities[next(iter(device.identities))]
    device.identities[identity] = device.at = time + crc32(identity.encode()) % 1_000_000
    device.said = event
    return b'%b door="%d" %d' % (device.prefix, event.sub_event_type, device.at)


def take_car(device: Device, payload: bytes) -> bytes:
    """Take what a camera read."""
    tree = fromstring(payload)  # noqa: S314 -- the packets of this benchmark
    device.said = said = [tree.findtext(path) for path in OF_A_CAR]
    device.at = moment_of(said[-2] or "")
    return b'%b plate="%b" %d' % (device.prefix, (said[0] or "").encode(), device.at)


def looks_up() -> Take:
    """Return what takes short payloads that come again and again: only what changed is a point."""
    known: dict[bytes, dict[str, Any]] = {}

    def take(device: Device, payload: bytes) -> bytes | None:
        values = known.get(payload)
        if values is None:
            values = known[payload] = {"payload": payload.hex()}
        before, device.said = device.said, values
        return None if before is values else b'%b state="%d" %d' % (device.prefix, len(payload), device.at)

    return take


@lru_cache(100)
def moment_of(text: str) -> int:
    """Return the nanoseconds UTC that a text says."""
    return int(datetime.fromisoformat(text).timestamp()) * 1_000_000_000


def takes(topic: str, short: Take) -> Take:
    """Return what takes the payloads of a topic."""
    match topic.split("/")[2][:3]:
        case "env" | "air":
            return take_word
        case "doo":
            return take_passage
        case "pla":
            return take_car
        case _:
            return short


def floor(desk: Desk, directory: Path) -> float:
    """Return the microseconds of a message in the loop, from the bytes of a socket to lines, journal and acks."""
    watch, count, short = Stopwatch(), 0, looks_up()
    devices: dict[str, tuple[Device, Take]] = {}
    read, journal = mqtt5.read, sqlite3.connect(directory / "floor.sqlite", isolation_level=None)
    journal.execute("PRAGMA journal_mode=WAL")
    journal.execute("PRAGMA synchronous=FULL")
    journal.execute("CREATE TABLE records (position INTEGER PRIMARY KEY, body BLOB)")
    for number, record in enumerate(desk.records(0)):
        for message in record.messages:
            if message.topic not in devices:
                devices[message.topic] = (Device(message.topic), takes(message.topic, short))
        raw = record.body.packets  # type: ignore[union-attr] # a desk's records are batches
        measured = watch if number >= WARM_UP else Stopwatch()
        with measured.step("loop"):
            view, at, lines, ids = memoryview(raw), 0, list[bytes](), list[int]()
            while at < len(raw):
                packet, size = read(view[at:])
                at += size
                device, take = devices[packet.topic]  # type: ignore[union-attr] # a PUBLISH
                line = take(device, packet.payload)  # type: ignore[union-attr] # as above
                if line is not None:
                    lines.append(line)
                ids.append(packet.packet_id)  # type: ignore[union-attr, arg-type] # as above
            journal.execute("INSERT INTO records VALUES (?, ?)", (number, raw))
            pubacks(ids)
            b"\n".join(lines)
        count += len(record.messages) * (number >= WARM_UP)
    journal.close()
    return watch.us("loop", count)


def hub(desk: Desk, engine: Engine, directory: Path) -> float:
    """Return the microseconds of the hub's own steps for the same: read, journal, apply, acks."""
    ways, watch, count = Stopwatch(), Stopwatch(), 0

    async def ways_in() -> None:
        await micro.hear(desk, ways)
        await micro.journal(desk, directory, ways)

    asyncio.run(ways_in())
    for number, record in enumerate(desk.records(engine.state.clock.position + 1)):
        measured = watch if number >= WARM_UP else Stopwatch()
        with measured.step("apply"):
            engine.apply(record)
        count += len(record.messages) * (number >= WARM_UP)
    return ways.us("hear", desk.count) + ways.us("journal", desk.count) + watch.us("apply", count)


def measure(runs: int, messages: int) -> Mapping[str, list[float]]:
    """Measure both, for the flood and for the mixture."""
    found: dict[str, list[float]] = {}
    for _ in range(runs):
        with tempfile.TemporaryDirectory(prefix="hub-bench-") as name:
            for what in ("flood", "mixture"):
                directory = Path(name) / what
                directory.mkdir()
                desk = TrafficDesk(FULL.devices, messages, directory) if what == "flood" else MixedDesk(messages, "")
                engine = desk.engine(RULES) if isinstance(desk, TrafficDesk) else desk.engine(is_bare=False)
                gc.collect()
                spare_the_collector()
                found.setdefault(f"{what}, the loop", []).append(floor(desk, directory))
                found.setdefault(f"{what}, the hub", []).append(hub(desk, engine, directory))
    return found


app = typer.Typer(add_completion=False)


@app.command()
def main(
    *, runs: Annotated[int, typer.Option(min=1)] = 3, messages: int = 60_000, json: bool = False
) -> None:  # fmt: skip
    """Say what a loop that does the least costs a message, and the hub's own steps beside it."""
    configure_logging(LogLevel.WARNING, sys.stderr)
    found = measure(runs, messages)
    if json:
        typer.echo(msgspec.json.encode(found))
        return
    table = Table("CPU us a message", "")
    for name, costs in found.items():
        table.add_row(name, f"{median(costs):.2f} ({min(costs):.2f} to {max(costs):.2f})")
    Console().print(table)


if __name__ == "__main__":
    app()
