"""What is heard: messages, what they mean, and how a session hands them on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from hub.model.values import Scalar, TopicClass, Values


class Heard(Protocol):
    """One PUBLISH as its codec decoded it; the codec's own object, so that no second one is made per message."""

    @property
    def topic(self) -> str: ...
    @property
    def payload(self) -> bytes: ...
    @property
    def packet_id(self) -> int | None: ...
    @property
    def duplicate(self) -> bool: ...
    @property
    def retain(self) -> bool: ...


class Publish(msgspec.Struct, frozen=True):
    """A :class:`Heard` of our own, for packets that did not come through the codec and for tests."""

    topic: str
    payload: bytes
    packet_id: int | None = None
    duplicate: bool = False
    retain: bool = False


class Address(msgspec.Struct, frozen=True):
    """What a topic says: which device of which site, and what it carries."""

    site: str
    device: str
    topic_class: TopicClass


class Signal(msgspec.Struct, frozen=True):
    """A momentary fact a device reports, such as ``access.denied``."""

    name: str
    data: dict[str, Scalar] = {}


class Reading(msgspec.Struct, frozen=True, gc=False):
    """What one element of a payload means: canonical values and signals of one part at one moment.

    ``values`` are typed as the kind says (a float property is a float). ``measured_at`` is None without a device
    clock. ``seq``/``boot`` are the native counters. A heartbeat is a reading with neither values nor signals.
    ``bad`` names the properties outside their range: stored, but of quality bad.
    """

    values: Values
    signals: Sequence[Signal] = ()
    part: str | None = None
    measured_at: int | None = None
    identity: str | None = None
    backfill: bool = False
    critical: bool = False
    seq: int | None = None
    boot: str | None = None
    bad: Sequence[str] = ()


class Handler(Protocol):
    """A compiled device profile: one payload to its readings; raises PoisonError with a stable code."""

    def __call__(self, payload: bytes, /) -> Sequence[Reading]: ...


class Packets(msgspec.Struct):
    """PUBLISH packets in receive order: ``raw`` is the concatenation of their bytes, ``messages`` their decoding.

    ``settled`` counts the messages of this connection whose ack the broker surely took.
    """

    raw: bytes
    messages: list[Heard]
    settled: int
    session_present: bool


class Connected(msgspec.Struct, frozen=True, tag="connected"):
    """A CONNACK with success."""

    session_present: bool


class Lost(msgspec.Struct, frozen=True, tag="lost"):
    """The connection ended; ``reason`` for people."""

    reason: str


class CaughtUp(msgspec.Struct, frozen=True, tag="caught_up"):
    """The marker of this connection came back: everything queued before it has been read."""

    packet_id: int | None = None


class Delivery(msgspec.Struct):
    """One thing a session says, in receive order; ``connection`` fences its acks."""

    session: str
    connection: int
    body: Packets | Connected | Lost | CaughtUp


class UplinkSession(Protocol):
    """One MQTT session: reads, and acknowledges only when told, only on the connection the message came on."""

    @property
    def name(self) -> str: ...

    async def run(self) -> None:
        """Connect, subscribe, read into the inbox, reconnect; until cancelled."""
        ...

    def acknowledge(self, delivery: Delivery) -> bool:
        """Ack what ``delivery`` carries, in order. False (and counted) when its connection is gone."""
        ...

    def pause_reading(self) -> None:
        """Stop reading the socket; pings go on."""
        ...

    def resume_reading(self) -> None:
        """Read again."""
        ...
