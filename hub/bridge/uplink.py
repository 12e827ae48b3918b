"""The Inbox: everything between the sessions and the hearing loop, bounded, in order, in batches worth an fsync."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from hub.bridge.hearing import MAX_BYTES, MAX_MESSAGES
from hub.model.heard import Delivery, Heard, Packets, UplinkSession
from hub.model.records import Tick

TAKE_MESSAGES = 8_000
TAKE_BYTES = 16 * 1024 * 1024
"""What the first session may fill of one take; each further session always gets one Delivery in."""
MAX_NOTES = 100_000
NOTE_WAITS_SECONDS = 0.05
"""For messages whose record it can share an fsync with, where it may; a note alone costs 1 ms of CPU, and a cause that
comes behind it waits for its fsync."""


class Taken(msgspec.Struct):
    """Everything that waited: notes first, then Deliveries, the first attached session first."""

    notes: list[object]
    deliveries: list[Delivery]


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """How much of one session may wait before its reading pauses; it resumes at half of that."""

    messages: int = 32_768
    payload_bytes: int = 32 * 1024 * 1024


@dataclass(slots=True)
class _Lane:
    session: UplinkSession
    waiting: deque[Delivery] = field(default_factory=deque)
    messages: int = 0
    packet_bytes: int = 0
    is_paused: bool = False


class Inbox:
    """Sessions put, one hearing loop takes. Full means: that session stops reading and the broker queues.

    Nothing is dropped and each session's order is kept. Counts: ``pauses`` of sessions, ``refused_notes``.
    """

    def __init__(self, marks: Marks | None = None) -> None:
        self.pauses = 0
        self.refused_notes = 0
        self._marks = marks or Marks()
        self._lanes: dict[str, _Lane] = {}
        self._notes: list[object] = []
        self._arrived = asyncio.Event()
        self._note_waits: asyncio.TimerHandle | None = None

    @property
    def waiting_messages(self) -> int:
        """How many messages wait to be taken."""
        return sum(lane.messages for lane in self._lanes.values())

    @property
    def is_waiting(self) -> bool:
        """True while anything waits to be taken."""
        return bool(self._notes) or any(lane.waiting for lane in self._lanes.values())

    def attach(self, session: UplinkSession) -> None:
        """Make room for a session; those attached first are taken first."""
        self._lanes[session.name] = _Lane(session)

    def put(self, delivery: Delivery) -> None:
        """Accept what a session says; pause the session above its mark."""
        lane = self._lanes[delivery.session]
        messages, size = _weight(delivery)
        lane.waiting.append(delivery)
        lane.messages += messages
        lane.packet_bytes += size
        self._arrived.set()
        if not lane.is_paused and self._is_above(lane, 1):
            lane.is_paused = True
            self.pauses += 1
            lane.session.pause_reading()

    def put_note(self, item: object, *, soon: bool = True) -> bool:
        """Accept anything else that belongs into the journal; False (and counted) when 100,000 already wait.

        Unless it must come ``soon`` it waits a moment for messages. What comes behind it never comes before it.
        """
        if len(self._notes) >= MAX_NOTES:
            self.refused_notes += 1
            return False
        self._notes.append(item)
        if soon:
            self._arrived.set()
        elif self._note_waits is None:
            self._note_waits = asyncio.get_running_loop().call_later(NOTE_WAITS_SECONDS, self._arrived.set)
        return True

    def take_notes(self) -> list[object]:
        """Return the notes that wait, without waiting; for when nothing else can be taken."""
        if self._note_waits is not None:
            self._note_waits.cancel()
            self._note_waits = None
        notes, self._notes = self._notes, []
        self._look()
        return notes

    def take_notes_behind(self, notes: list[object]) -> list[object]:
        """Return ``notes``, which the journal has not taken, and those that wait behind them; of ticks the last.

        A disk may be full for days, and at each try all of them are made records.
        """
        later = self.take_notes()
        if any(isinstance(note, Tick) for note in later):
            notes = [note for note in notes if not isinstance(note, Tick)]
        return [*notes, *later]

    async def take(self) -> Taken:
        """Return what arrived since the last take, at once if anything did; consecutive packets are joined."""
        await self._arrived.wait()
        notes = self.take_notes()
        deliveries: list[Delivery] = []
        messages, size = TAKE_MESSAGES, TAKE_BYTES
        for lane in self._lanes.values():
            if lane.waiting:
                taken, messages, size = _pull(lane, messages, size)
                deliveries += joined(taken)
                self._relieve(lane)
        self._look()
        return Taken(notes, deliveries)

    def _look(self) -> None:
        """Note, when all notes have been taken, whether anything else waits: nobody is ever given nothing."""
        if not any(lane.waiting for lane in self._lanes.values()):
            self._arrived.clear()

    def _relieve(self, lane: _Lane) -> None:
        if lane.is_paused and not self._is_above(lane, 2):
            lane.is_paused = False
            lane.session.resume_reading()

    def _is_above(self, lane: _Lane, part: int) -> bool:
        return lane.messages > self._marks.messages // part or lane.packet_bytes > self._marks.payload_bytes // part


def joined(deliveries: Iterable[Delivery]) -> list[Delivery]:
    """Join consecutive Packets of one connection up to 2,000 messages and 4 MiB; everything else stays as it is."""
    groups: list[list[Delivery]] = []
    total_messages = total_bytes = 0
    for delivery in deliveries:
        messages, size = _weight(delivery)
        total_messages += messages
        total_bytes += size
        if groups and total_messages <= MAX_MESSAGES and total_bytes <= MAX_BYTES and _follows(groups[-1][0], delivery):
            groups[-1].append(delivery)
        else:
            groups.append([delivery])
            total_messages, total_bytes = messages, size
    return [_join(group) for group in groups]


def _pull(lane: _Lane, messages: int, size: int) -> tuple[list[Delivery], int, int]:
    """Take whole Deliveries off a lane while they fit, at least one; return also what room is left."""
    taken: list[Delivery] = []
    while lane.waiting:
        more_messages, more_bytes = _weight(lane.waiting[0])
        if taken and (more_messages > messages or more_bytes > size):
            break
        taken.append(lane.waiting.popleft())
        messages, size = messages - more_messages, size - more_bytes
        lane.messages -= more_messages
        lane.packet_bytes -= more_bytes
    return taken, messages, size


def _weight(delivery: Delivery) -> tuple[int, int]:
    body = delivery.body
    return (len(body.messages), len(body.raw)) if isinstance(body, Packets) else (0, 0)


def _follows(first: Delivery, second: Delivery) -> bool:
    return (
        isinstance(first.body, Packets)
        and isinstance(second.body, Packets)
        and (first.session, first.connection) == (second.session, second.connection)
    )


def _join(group: list[Delivery]) -> Delivery:
    """Make one Delivery of several; what is settled is settled, so the last word on it counts."""
    first = group[0]
    if len(group) == 1:
        return first
    bodies = [delivery.body for delivery in group if isinstance(delivery.body, Packets)]
    messages: list[Heard] = []
    for body in bodies:
        messages += body.messages
    raw = b"".join([body.raw for body in bodies])
    last = bodies[-1]
    return Delivery(first.session, first.connection, Packets(raw, messages, last.settled, last.session_present))
