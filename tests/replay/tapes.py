"""Journals for tests of doing it again: a small community that says what it is told to, moment by moment."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import mqtt5

from hub.bridge.frames import decode_packets
from hub.journal.journal import Journal
from hub.model.effects import Event
from hub.model.records import Batch, Body, Record, Revision, SessionCaughtUp, SessionConnected, Started, Tick
from hub.replay.beginning import Beginning, Fidelity, engine_at, entries_of
from hub.replay.evidence import Evidence, gather
from hub.replay.tape import JournalTape
from hub.revisions.revision import revise
from tests.engine.desk import ALARM, NORMAL, SECOND, START, device, documents

PARTITION = "main"
SMOKE, LOUD = bytes.fromhex(ALARM), "hub/s1/smoke-1/telemetry"
CALM = bytes.fromhex(NORMAL)
DEVICES = device("smoke-1", "smoke_sensor", "milesight/gs524n") | device("smoke-2", "smoke_sensor", "milesight/gs524n")


class Script:
    """Records in the order in which they are said; ``second`` is the moment since the start."""

    def __init__(self, wanted: Mapping[str, bytes] | None = None) -> None:
        self.records: list[Record] = []
        self._last = 0
        note = revise({}, documents(DEVICES) if wanted is None else wanted, "test")
        assert note is not None
        self._say(0, Started("test", ["telemetry"]))
        self._say(0, note.revision, bodies=note.bodies)
        self._say(0, SessionConnected("telemetry", 1, session_present=False))
        self._say(0, SessionCaughtUp("telemetry", 1))

    def hear(self, second: float, *messages: tuple[str, bytes]) -> Script:
        """Hear (topic, payload) pairs in one batch."""
        raw = b"".join(
            mqtt5.PublishPacket(topic, payload, qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=number).write()
            for number, (topic, payload) in enumerate(messages, start=1)
        )
        return self._say(second, Batch("telemetry", 1, session_present=False, settled=0, packets=raw))

    def tick(self, second: float) -> Script:
        """Let time pass."""
        return self._say(second, Tick())

    def revise(self, second: float, before: Mapping[str, bytes], wanted: Mapping[str, bytes]) -> Script:
        """Change the documents."""
        note = revise(before, wanted, "test")
        assert note is not None
        return self._say(second, note.revision, bodies=note.bodies)

    def say(self, second: float, body: Body) -> Script:
        """Say anything else."""
        return self._say(second, body)

    def _say(self, second: float, body: Body, bodies: Mapping[str, bytes] | None = None) -> Script:
        assert isinstance(body, Revision) or not bodies
        messages = decode_packets(body.packets) if isinstance(body, Batch) else ()
        t = max(self._last + 1, START + round(second * SECOND))
        self._last = t + len(messages)
        self.records.append(Record(len(self.records) + 1, t, t, body, messages, bodies or {}))
        return self


async def written(directory: Path, records: Sequence[Record]) -> Path:
    """Write ``records`` into the journal of ``directory``; return where it is."""
    path = directory / "journal.sqlite"
    async with Journal(path, PARTITION, decode_packets) as journal:
        await journal.append(records)
    return path


def trim(directory: Path, up_to: int) -> None:
    """Take the front off a journal, as retention does."""
    with closing(sqlite3.connect(directory / "journal.sqlite")) as connection, connection:
        connection.execute("DELETE FROM records WHERE position <= ?", (up_to,))


def checkpoint_at(tape: JournalTape, position: int) -> Beginning:
    """Return the checkpoint that a hub would have written behind ``position``."""
    nothing = Beginning(position=0, entries={}, fidelity=Fidelity.EXACT)
    engine = engine_at(tape, nothing)
    for record in tape.read(0):
        if record.position <= position:
            engine.apply(record)
    return Beginning(position=position, entries=entries_of(engine, {}), fidelity=Fidelity.EXACT)


def burning() -> Script:
    """Return a script: calm, smoke for 4 s, calm, smoke for 20 s."""
    script = Script().hear(1, (LOUD, CALM)).hear(10, (LOUD, SMOKE)).hear(14, (LOUD, CALM)).tick(25)
    return script.hear(30, (LOUD, CALM), (LOUD, SMOKE)).tick(36).hear(50, (LOUD, CALM)).tick(61)


def overlay(directory: Path, text: str) -> dict[str, bytes]:
    """Return the shipped documents with rules of one's own over them."""
    directory.mkdir()
    (directory / "mine.yaml").write_text(text, encoding="utf-8")
    return documents(rules=[directory])


def events(tape: JournalTape) -> list[Event]:
    """Return what the hub told."""
    engine = engine_at(tape, Beginning(position=0, entries={}, fidelity=Fidelity.EXACT))
    return [event for record in tape.read(0) for event in engine.apply(record).events]


def prove(tape: JournalTape, event: Event, checkpoint: Beginning | None = None) -> Evidence:
    """Return what proves an event, done again from ``checkpoint``, else from the beginning."""
    return gather(tape, lambda _at: checkpoint, event, lambda _record: None)
