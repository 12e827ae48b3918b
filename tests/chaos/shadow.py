"""The shadow: an engine of our own that applies the hub's journal without ever being killed, and what it comes to."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import orjson

from hub.engine.apply import Engine
from hub.journal.files import read_rows
from hub.journal.neighbours import journal_path, state_path
from hub.model.effects import Event
from hub.model.heard import Heard
from hub.model.records import Batch, Outcome, OutcomeKind, Record
from hub.replay.beginning import Beginning, Fidelity, engine_at, entries_of, saved
from hub.replay.tape import JournalTape
from tests.chaos.publisher import CARD, number_of, topic_of

SEEN = "access.card_seen"


class Shadow:
    """Follows the journal of a hub that runs, or does not; it only reads.

    ``heard_at``: number to the wall ns of the record that brought it first. ``judged``: number to how often it became
    a point or an event. ``inversions``: numbers that came first behind a later one of their device and session.
    ``events``: every event, in order. ``copies``: packets that the broker sent more than once. ``left_at``: command to
    the wall ns of the record that the broker had taken it.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.position = 0
        self.heard_at: dict[int, int] = {}
        self.judged: Counter[int] = Counter()
        self.inversions: list[int] = []
        self.events: list[Event] = []
        self.copies = 0
        self.left_at: dict[str, int] = {}
        self._latest: dict[tuple[str, str], int] = {}
        self._entries: dict[str, bytes] = {}
        self._engine: Engine | None = None

    def follow(self, until: int | None = None) -> None:
        """Apply what the journal holds, to its end or to record ``until``."""
        path = journal_path(self.directory)
        if not path.exists():
            return
        tape = JournalTape(path)
        if self._engine is None:
            self._engine = engine_at(tape, Beginning(position=0, entries={}, fidelity=Fidelity.EXACT))
        for record in tape.read(self.position):
            if until is not None and record.position > until:
                break
            self._apply(self._engine, record)

    async def keep_up(self) -> None:
        """:meth:`follow` in a thread: what passes through our proxies meanwhile does not wait for us."""
        await asyncio.to_thread(self.follow)

    def differing(self) -> tuple[int, list[str]]:
        """Return the record of the hub's checkpoint, and the entries in which it differs from the shadow's state."""
        path = state_path(self.directory)
        if self._engine is None or not path.exists() or _position(path) < self.position:
            return 0, []  # who waits for it asks again and again: all of it is read once
        checkpoint = saved(path)
        if checkpoint is None:
            return 0, []
        self.follow(checkpoint.position)
        self._entries = entries_of(self._engine, self._entries)
        names = sorted(checkpoint.entries.keys() | self._entries.keys())
        return checkpoint.position, [name for name in names if checkpoint.entries.get(name) != self._entries.get(name)]

    def _apply(self, engine: Engine, record: Record) -> None:
        if isinstance(record.body, Batch):
            for message in record.messages:
                self._hear(record.body.session, message, record.received_at)
        elif isinstance(record.body, Outcome) and record.body.kind is OutcomeKind.DELIVERED:
            self.left_at.setdefault(record.body.command, record.received_at)
        effects = engine.apply(record)
        self.position = record.position
        self.events += effects.events
        self.judged.update(number_of(float(values["co2"])) for _, _, values in effects.points if "co2" in values)
        self.judged.update(card_number(event) for event in effects.events if is_numbered(event))

    def _hear(self, session: str, message: Heard, at: int) -> None:
        number = number_in(message)
        if number is None:
            return
        if number in self.heard_at:
            self.copies += 1
            return
        self.heard_at[number] = at
        who = (session, message.topic)
        if number < self._latest.get(who, 0):
            self.inversions.append(number)
        self._latest[who] = max(number, self._latest.get(who, 0))


def _position(state: Path) -> int:
    """Return the record of the checkpoint that a state file holds."""
    return int(read_rows(state, "SELECT value FROM meta WHERE name = 'position'")[0][0])


def is_numbered(event: Event) -> bool:
    """Whether an event is a card of the storm's publisher."""
    return event.name == SEEN and str(event.data["card"]).startswith(CARD)


def card_number(event: Event) -> int:
    """Return the number of the card that an event saw."""
    return int(str(event.data["card"]).removeprefix(CARD))


def number_in(message: Heard) -> int | None:
    """Return the number that the storm's publisher put into a message; None for anything else."""
    try:
        said = orjson.loads(message.payload)
        if "signals" in said:
            number = int(said["signals"][0]["card"].removeprefix(CARD))
        else:
            number = number_of(said["values"]["co2"])
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
        return None
    return number if message.topic == topic_of(number) else None
