"""What tests of the journal write: records of every kind, packets of messages, files as a crash leaves them."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

import mqtt5

from hub.bridge.frames import decode_packets
from hub.journal.journal import Journal
from hub.journal.room import free_bytes
from hub.journal.state_file import StateFile
from hub.model.effects import DeadLetter, LineWork
from hub.model.records import (
    Batch,
    Body,
    Control,
    Outcome,
    OutcomeKind,
    Record,
    Revision,
    SessionCaughtUp,
    SessionConnected,
    SessionLost,
    Started,
    Tick,
)

MIB = 2**20
SECOND = 1_000_000_000
START = 1_772_352_000 * SECOND
PARTITION = "main"
DOCUMENT = b'{"kind":"smoke_sensor"}'
DIGEST = hashlib.blake2b(DOCUMENT, digest_size=16).hexdigest()


def packets(*payloads: bytes, topic: str = "hub/s1/d1/telemetry") -> bytes:
    """Return PUBLISH packets as a session hears them."""
    return b"".join(
        mqtt5.PublishPacket(topic, payload, qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=number).write()
        for number, payload in enumerate(payloads, start=1)
    )


def batch(*payloads: bytes) -> Batch:
    """Return a batch of messages."""
    return Batch("telemetry", 3, True, 40, packets(*payloads))  # noqa: FBT003 -- as in the journal


EVERY_KIND: tuple[Body, ...] = (
    Started("0.1.0", ["events", "telemetry"]),
    Revision("0.1.0", {"kind/smoke_sensor": DIGEST}, ["kind/old"]),
    SessionConnected("telemetry", 3, session_present=False),
    SessionCaughtUp("telemetry", 3),
    batch(b"one", bytes(range(256)), b""),
    Tick(),
    Control("1-1", "c0ffee", "li", "acknowledge", START, {"rule": "smoke", "n": 1, "x": 0.5, "yes": True}),
    Outcome("cmd-1", OutcomeKind.FAILED, "queue full"),
    SessionLost("telemetry", 3, "断线"),
)


def record(position: int, body: Body, *, at: int | None = None) -> Record:
    """Return the record at ``position``, one second behind the one before it, decoded as it will be read back."""
    moment = START + position * SECOND if at is None else at
    messages = decode_packets(body.packets) if isinstance(body, Batch) else ()
    bodies = {DIGEST: DOCUMENT} if isinstance(body, Revision) else {}
    return Record(position, START + position * SECOND, moment, body, messages, bodies)


def records(first: int, bodies: Sequence[Body]) -> list[Record]:
    """Return records of ``bodies`` from position ``first`` on."""
    return [record(position, body) for position, body in enumerate(bodies, start=first)]


def noise(first: int, count: int) -> list[Record]:
    """Return batches of a few messages, each different."""
    numbers = range(first, first + count)
    return records(first, [batch(*(b"%d/%d" % (n, i) * 40 for i in range(n % 7 + 1))) for n in numbers])


def heavy(position: int, size: int = MIB) -> Record:
    """Return a batch of ``size`` bytes."""
    return record(position, batch(b"%d" % position * (size // len(str(position)))))


def journal(directory: Path, *, free: Callable[[Path], int] = free_bytes) -> Journal:
    """Return the journal of ``directory``, to be opened; ``free`` is what its disk has left."""
    return Journal(directory / "journal.sqlite", PARTITION, decode_packets, free=free)


def set_read_only(file: Journal | StateFile, *, is_on: bool) -> None:
    """Let the file take no write (SQLITE_READONLY, as a disk that the kernel has given up), or take them again."""
    connection = file._file._connection  # noqa: SLF001 -- the pragma belongs to the connection
    assert isinstance(connection, sqlite3.Connection)
    connection.execute(f"PRAGMA query_only = {int(is_on)}")


async def everything(opened: Journal) -> list[Record]:
    """Read all of a journal."""
    return [each async for each in opened.read(opened.first - 1)]


def crash(directory: Path, to: Path) -> Path:
    """Copy the files as they lie on the disk while the hub still has them open: what SIGKILL leaves."""
    shutil.copytree(directory, to, ignore=shutil.ignore_patterns("*-shm", "lock"))
    return to


def letter(number: int, payload: bytes = b"?") -> DeadLetter:
    """Return a dead letter."""
    return DeadLetter(
        number=number,
        position=number,
        index=0,
        received_at=START,
        topic="hub/s1/d1/telemetry",
        payload=payload,
        payload_bytes=len(payload),
        site="s1",
        device="d1",
        code="bad_json",
        detail="no",
    )


def lines(*texts: bytes) -> LineWork:
    """Return lines for the time series store."""
    return LineWork(list(texts), len(texts), 0)
