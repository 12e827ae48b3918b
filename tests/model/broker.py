"""The broker of the model: queues, packet ids, the unacked, what it saved last; and the hub's sessions on its wires."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import mqtt5

from hub.bridge.frames import decode_packets
from hub.bridge.hearing import PROBE, Hearing
from hub.bridge.line import Deliver, Line, SessionConfig, SessionCounts
from hub.bridge.topics import marker_topic
from hub.model.heard import Delivery, Packets
from tests.engine.desk import SESSIONS
from tests.model.disk import PARTITION
from tests.model.still import SECOND, StillClock

PACKET_IDS = 65_535


class Post(NamedTuple):
    """A message that a device published: a number of our own tells it from every other."""

    number: int
    topic: str
    payload: bytes


class Ack(NamedTuple):
    """A PUBACK on its way to the broker."""

    packet_id: int


class Ping(NamedTuple):
    """A PINGREQ on its way to the broker."""


class Pong(NamedTuple):
    """A PINGRESP on its way to the hub."""


class Nobody(NamedTuple):
    """A PUBACK that says that nobody is subscribed, on its way to the hub."""


class Subscribe(NamedTuple):
    """A SUBSCRIBE on its way to the broker."""


class Granted(NamedTuple):
    """A SUBACK on its way to the hub."""


class Marker(NamedTuple):
    """The session's own marker, or its probe, on its way to the broker."""

    payload: bytes


class Sent(NamedTuple):
    """A PUBLISH on its way to the hub."""

    post: Post
    packet_id: int
    duplicate: bool


@dataclass(slots=True)
class Wire:
    """One TCP connection: what is under way in both directions is lost with it."""

    to_hub: deque[Sent | Pong | Nobody | Granted] = field(default_factory=deque)
    to_broker: deque[Ack | Ping | Marker | Subscribe] = field(default_factory=deque)


@dataclass(slots=True)
class Queue:
    """The session of one client: what waits, what was sent and not acked, the last packet id; empty at first, and deaf.

    Packet ids begin anew with a session, and after ``packet_ids``, whatever is not acked yet.
    """

    waiting: deque[Post] = field(default_factory=deque)
    inflight: list[tuple[int, Post]] = field(default_factory=list)
    last_id: int = 0
    packet_ids: int = PACKET_IDS
    is_subscribed: bool = False

    @property
    def posts(self) -> list[Post]:
        """Return everything that is not acked."""
        return [*(post for _, post in self.inflight), *self.waiting]

    def next_id(self) -> int:
        """Return the next packet id, free or not (tests/bridge/test_backlog.py)."""
        self.last_id = self.last_id % self.packet_ids + 1
        return self.last_id

    def acked(self, packet_id: int) -> Post | None:
        """Take an ack for the oldest message of that packet id; None when it has forgotten that."""
        for index, (each, post) in enumerate(self.inflight):
            if each == packet_id:
                del self.inflight[index]
                return post
        return None


class Broker:
    """A mosquitto as it behaves: saved every two seconds, killed it comes back with what it saved.

    ``revived`` are the posts that it had not sent when it saved: killed, it sends them again, and does not say so.
    ``on_acked`` hears of every post that it takes for heard.
    """

    def __init__(self, clock: StillClock) -> None:
        self._clock = clock
        self.queues: dict[str, Queue] = {}
        self.wires: dict[str, Wire] = {}
        self._saved: tuple[int, dict[str, Queue]] = (clock.monotonic, {})
        self._numbers = 0
        self._sent: set[int] = set()
        self.revived: set[int] = set()
        self.on_acked: Callable[[Post], None] = lambda _post: None

    def publish(self, topic: str, payload: bytes) -> tuple[int, bool]:
        """Take a message for whoever listens to its topic; return its number, and whether there is anybody."""
        self._numbers += 1
        post = Post(self._numbers, topic, payload)
        name = SESSIONS[1] if topic.endswith("/telemetry") or topic.count("/") != 3 else SESSIONS[0]
        queue = self.queues.get(name)
        if queue is None or not queue.is_subscribed:
            return post.number, False
        queue.waiting.append(post)
        return post.number, True

    def connect(self, name: str, wire: Wire) -> bool:
        """Accept a connection; what was not acked comes again first. Return whether there was a session."""
        is_present = name in self.queues
        queue = self.queues.setdefault(name, Queue())
        self.wires[name] = wire
        wire.to_hub.extend(Sent(post, packet_id, duplicate=True) for packet_id, post in queue.inflight)
        return is_present

    def send(self, name: str, most: int) -> int:
        """Put up to ``most`` messages on the wire; return how many."""
        queue, wire = self.queues[name], self.wires[name]
        for count in range(most):
            if not queue.waiting:
                return count
            post, packet_id = queue.waiting.popleft(), queue.next_id()
            queue.inflight.append((packet_id, post))
            wire.to_hub.append(Sent(post, packet_id, duplicate=False))
            self._sent.add(post.number)
        return most

    def take(self, name: str, most: int) -> None:
        """Take up to ``most`` packets that the hub wrote."""
        queue, wire = self.queues[name], self.wires[name]
        for _ in range(min(most, len(wire.to_broker))):
            match wire.to_broker.popleft():
                case Ack(packet_id):
                    if (post := queue.acked(packet_id)) is not None:
                        self.on_acked(post)
                case Ping():
                    wire.to_hub.append(Pong())
                case Subscribe():
                    queue.is_subscribed = True
                    wire.to_hub.append(Granted())
                case Marker() if not queue.is_subscribed:
                    wire.to_hub.append(Nobody())
                case Marker(payload):
                    self._numbers += 1
                    queue.waiting.append(Post(-self._numbers, marker_topic(PARTITION, name), payload))

    def hang_up(self, name: str) -> None:
        """Lose a wire with all that is on it."""
        self.wires.pop(name, None)

    def save_if_due(self) -> None:
        """Save as ``autosave_interval 1`` does: every two seconds (tests/bridge/test_saves.py)."""
        if self._clock.monotonic - self._saved[0] >= 2 * SECOND:
            self.save()

    def save(self) -> None:
        """Write everything down."""
        self._saved = self._clock.monotonic, copy.deepcopy(self.queues)

    def die(self) -> None:
        """Be killed, and come back with what was saved."""
        self.wires.clear()
        self.queues = copy.deepcopy(self._saved[1])
        self.revived |= {post.number for queue in self.queues.values() for post in queue.waiting} & self._sent

    def forget(self, name: str) -> None:
        """Lose a session."""
        self.wires.pop(name, None)
        self.queues.pop(name, None)
        self.save()


class ModelSession:
    """The hub's session: its order of acks and its fence are the hub's own, only the socket is the model's.

    ``heard`` are the posts of each connection as they were sent, in the order in which they were delivered to the hub.
    """

    def __init__(self, name: str, deliver: Deliver, broker: Broker, clock: StillClock, first_connection: int) -> None:
        config = SessionConfig(
            host="", port=0, client_id=name, name=name, partition=PARTITION, filters=(),
            first_connection=first_connection,
        )  # fmt: skip
        self.counts = SessionCounts()
        self.heard: dict[int, list[Sent]] = {}
        self.acked: list[tuple[int, int]] = []
        self._line = Line(config, deliver, self.counts)
        self._broker = broker
        self._clock = clock
        self._next = first_connection
        self._hearing: Hearing | None = None
        self._wire = Wire()
        self._is_paused = False
        self._acked_to: dict[int, int] = {}

    @property
    def name(self) -> str:
        return self._line.config.name

    @property
    def is_connected(self) -> bool:
        """Whether there is a wire."""
        return self._hearing is not None

    @property
    def is_caught_up(self) -> bool:
        """Whether the marker of this connection has come back."""
        return self._hearing is not None and self._hearing.is_caught_up

    async def run(self) -> None:
        raise NotImplementedError  # the machine connects and reads

    def connect(self) -> None:
        """Connect; that the broker has a session must be proved."""
        wire = self._wire = Wire()
        hearing = self._hearing = Hearing(self._line, self._next, lambda: wire.to_broker.append(Subscribe()))
        self.heard[self._next] = []
        self._acked_to[self._next] = 0
        self._next += 1
        wire.to_broker.append(Marker(PROBE))
        hearing.connected(session_present=self._broker.connect(self.name, wire))

    def hear(self, most: int) -> int:
        """Read up to ``most`` packets off the wire; return how many."""
        hearing = self._hearing
        if hearing is None or self._is_paused:
            return 0
        count = 0
        while count < most and self._wire.to_hub:
            count += 1
            match self._wire.to_hub.popleft():
                case Pong():
                    hearing.acks.answered(self._clock.monotonic / SECOND)
                case Nobody():
                    hearing.tell(session_present=False)
                case Granted():
                    self._wire.to_broker.append(Marker(hearing.nonce))
                case Sent() as sent:
                    self._read(hearing, sent)
        hearing.flush()
        return count

    def _read(self, hearing: Hearing, sent: Sent) -> None:
        raw = mqtt5.PublishPacket(
            sent.post.topic, sent.post.payload, qos=mqtt5.QoS.AT_LEAST_ONCE,
            packet_id=sent.packet_id, duplicate=sent.duplicate,
        ).write()  # fmt: skip
        message = decode_packets(raw)[0]
        if message.topic in hearing.reserved:
            self._write(hearing.hear_reserved(message))
        else:
            hearing.messages.append(message)
            hearing.add_raw(raw)
            self.heard[hearing.connection].append(sent)

    def acknowledge(self, delivery: Delivery) -> bool:
        """Ack, on the connection it came on; as :class:`hub.bridge.session.MqttSession` does."""
        hearing = self._hearing
        if hearing is None or hearing.connection != delivery.connection:
            self.counts.stale_acks += 1
            return False
        self._write(hearing.acknowledge(delivery))
        if isinstance(delivery.body, Packets):
            start = self._acked_to[hearing.connection]
            self._acked_to[hearing.connection] += len(delivery.body.messages)
            acked = self.heard[hearing.connection][start : self._acked_to[hearing.connection]]
            self.acked += [(hearing.connection, sent.post.number) for sent in acked]
        return True

    def _write(self, packet_ids: list[int]) -> None:
        self._wire.to_broker.extend(Ack(packet_id) for packet_id in packet_ids)

    def ping(self) -> None:
        """Ask whether the broker is there."""
        if self._hearing is not None:
            self._wire.to_broker.append(Ping())
            self._hearing.acks.pinged()

    def lose(self) -> None:
        """Notice that the wire is gone."""
        hearing, self._hearing = self._hearing, None
        if hearing is not None:
            self._broker.hang_up(self.name)
            hearing.lost("model")

    def pause_reading(self) -> None:
        self._is_paused = True

    def resume_reading(self) -> None:
        self._is_paused = False
