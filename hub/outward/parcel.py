"""A parcel: one thing that leaves the house on one channel, what the other side said to it, and its states."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple

from hub.model.effects import Entry, Event, Transition
from hub.model.values import Severity

UNMASKED = ", unmasked"
"""Ends the channel of what is packed as it is: only a process that may show it sends it, for others it waits."""

URGENT = " critical"
"""In a kind: it is about lives. Only messages to people say in their kind how bad it is."""


class State(StrEnum):
    """What became of a parcel: the first waits, the others are ends."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    DEAD = "dead"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """What goes to ``channel``: ``body`` stays the same however often it is sent. ``entry`` names where it came from.

    ``kind`` is what happened (``raised``), of the event ``name``.
    Those of one ``lane`` (what the event is about) leave one after the other. ``due`` is wall ns; ``answer`` says why
    it is dropped where that is already known; what waits in the lane ``replaces`` and is not due gives way to it.
    """

    channel: str
    lane: str
    entry: str
    event: str
    name: str
    kind: str
    body: bytes
    due: int
    state: State = State.WAITING
    answer: str = ""
    replaces: str = ""

    @property
    def is_urgent(self) -> bool:
        """True for what is about lives."""
        return URGENT in self.kind


def gravest(event: Event) -> Severity:
    """Return how bad an event is, or its alarm was until it: who was told of that is told that it is less, too."""
    was = event.data.get("before") if event.transition is Transition.SEVERITY_CHANGED else None
    return next(each for each in Severity if each in {event.severity, was})  # the worst is the first


def place_of(entry: Entry) -> str:
    """Return how a ledger names an entry: from there on it can be sent again."""
    return f"{entry.stream} {entry.written_at}-{entry.number}"


class Slip(NamedTuple):
    """What is remembered of a parcel that waits: its number in the ledger, when it may leave (ns), if it hurries."""

    number: int
    channel: str
    lane: str
    due: int
    attempts: int
    is_urgent: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one attempt: the parcel's ``state`` and ``answer``; with ``due`` when it is tried again."""

    number: int
    state: State
    answer: str
    attempts: int
    due: int


class Verdict(StrEnum):
    """What an answer means: taken, never to be taken, not now, nobody's turn now, or no more of anything."""

    TAKEN = "taken"
    REFUSED = "refused"
    LATER = "later"
    BUSY = "busy"
    GONE = "gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the other side said; ``after`` is its own wish."""

    verdict: Verdict
    text: str
    after: timedelta = timedelta()


Send = Callable[[Parcel], Awaitable[Answer]]
"""Sends one parcel once; it never raises for what the other side does."""
