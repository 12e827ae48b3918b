"""What all connections of one session have in common: where it connects, as whom, and what it counts."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple

from hub.bridge.reconnect import Guard
from hub.bridge.topics import SYS_DROPPED, marker_topic
from hub.model.heard import Delivery

NEVER_EXPIRES = 0xFFFF_FFFF
"""Session expiry: with 600 s a clock jump of a day made mosquitto delete the session and its queue (measured)."""
RECEIVE_MAXIMUM = 16_384
MARKER_EVERY_SECONDS = 2.0
SHORT_REST = timedelta(milliseconds=5)

OVERSLEPT = "overslept"
"""Why we end a connection: another process may own the partition, so what we read is not ours to acknowledge."""

Deliver = Callable[[Delivery], None]


class Rests(NamedTuple):
    """How long reading pauses after a read that brought much, so that the next one brings more.

    Longer after ``little``, and after what only a flood brings; but whoever attends never rests longer. Where hardly
    anything comes a rest brings nothing more: it is the shorter the less came ``lately``.
    """

    much: timedelta
    little: timedelta

    def after(self, size: int, lately: float, *, attends: bool) -> timedelta:
        """Return how long to rest after a read of ``size`` bytes, which makes ``lately`` of them (see Pace)."""
        rest = self.much if attends or LITTLE_BYTES <= size < FLOOD_BYTES else self.little
        return min(rest, max(SHORT_REST, self.little * (lately / LITTLE_BYTES)))


class Pace:
    """About how many bytes came in the last half second: what came before fades with time."""

    def __init__(self) -> None:
        self._bytes = self._at = 0.0

    def add(self, size: int, now: float) -> float:
        """Return what it is with ``size`` more bytes at ``now`` (s)."""
        self._bytes = self._bytes * max(0.0, 1 - (now - self._at) / PACE_SECONDS) + size
        self._at = now
        return self._bytes


PROMPT = Rests(SHORT_REST, SHORT_REST)
PATIENT = Rests(timedelta(milliseconds=20), timedelta(milliseconds=50))
"""A read costs 1 ms of CPU whatever it brings, so 1,000 messages a second cost 230 us each with 5 ms, 100 with 20;
8,000 a second 40 and 26. An event of a message that rests is seen 10 ms later, 25 where little comes or a flood. Half
of the 100 ms in which a rule is to hold a door: the rest is for broker, disk and a loop that is busy."""
LITTLE_BYTES = 8 * 1024
"""What a read brings of telemetry at about 1,400 messages a second, and half a second at 140. Of less than those a rest
is as much shorter: where 30 come, of 8,000 households, the word of a camera in a car waits for 2 ms, not for 21 (p99 12
instead of 49), and 28 reads a second instead of 17 are what that costs; never more than 38 instead of 20."""
PACE_SECONDS = 0.5
FLOOD_BYTES = 64 * 1024
"""What a read brings at 28,000 a second, and at 14,000 once it is a flood: 10,000 a second never are one for long. Half
of the wake-ups, appends and transactions: 6.9 against 8.2 us a message (medians of five in turns, beside others)."""


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionConfig:
    """Where a session connects, as whom, and what it subscribes to (its marker it adds itself).

    ``name`` is what Deliveries and records call it; ``first_connection`` is the number of its first TCP connection.
    ``rests`` are between two reads; never longer than a short one while the broker may be waiting for our acks.
    ``attends`` says whether something is under way, so that the next message may be what it waits for.
    ``guard`` knows whether we may connect again, and whether we slept so long that nothing may be acked.
    """

    host: str
    port: int
    client_id: str
    name: str
    partition: str
    filters: tuple[str, ...]
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = None
    first_connection: int = 1
    keepalive_seconds: int = 10
    rests: Rests = PROMPT
    attends: Callable[[], bool] = _never
    guard: Guard | None = None


@dataclass(slots=True)
class SessionCounts:
    """What a session counts, over all its connections, and how it stands while it has not caught up.

    ``sys_dropped`` is the broker's own last word, None before; ``unheard`` are the filters that it refuses now.
    """

    connects: int = 0
    received_messages: int = 0
    stale_acks: int = 0
    malformed_packets: int = 0
    refused_subscriptions: int = 0
    unanswered_subscriptions: int = 0
    sys_dropped: int | None = None
    standing: str = "not connected yet"
    unheard: set[str] = field(default_factory=set)

    def answered(self, asked: Iterable[str], refused: Collection[str]) -> None:
        """Note which of the filters that were asked for, or are not wanted any more, the broker refuses.

        Its own count is no loss: some brokers show it to nobody.
        """
        self.refused_subscriptions += len(refused)
        self.unheard.difference_update(asked)
        self.unheard.update(each for each in refused if each != SYS_DROPPED)


@dataclass(slots=True)
class Line:
    """One session as its connections see it.

    ``filters`` is what it listens to by now, ``unwanted`` what it no longer does: the broker may remember. Of those in
    ``anew`` it wants what is retained on every connection, not only with a new subscription.
    """

    config: SessionConfig
    deliver: Deliver
    counts: SessionCounts
    filters: tuple[str, ...] = ()
    unwanted: tuple[str, ...] = ()
    anew: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self.filters = self.config.filters

    def listen(self, filters: tuple[str, ...], anew: frozenset[str]) -> tuple[list[str], list[str]]:
        """Listen to ``filters`` from now on; return what of them is new, and what is gone."""
        wanted, known = set(filters), set(self.filters)
        new = [each for each in filters if each not in known]
        gone = [each for each in self.filters if each not in wanted]
        self.unwanted = tuple(each for each in (*self.unwanted, *gone) if each not in wanted)
        self.filters, self.anew = filters, anew
        return new, gone

    @property
    def may_acknowledge(self) -> bool:
        """False when we slept so long that another process may own the partition."""
        guard = self.config.guard
        return guard is None or guard.is_awake

    @property
    def marker(self) -> str:
        """The topic of this session's markers."""
        return marker_topic(self.config.partition, self.config.name)
