"""What one connection hears, in order: messages in batches, the marker that ends blind time, the broker's news."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable

import mqtt5

from hub.bridge.acks import AckOrder
from hub.bridge.frames import pubcomp
from hub.bridge.line import Line
from hub.bridge.topics import SYS_DROPPED
from hub.model.heard import CaughtUp, Connected, Delivery, Heard, Lost, Packets

MAX_MESSAGES = 2_000
MAX_BYTES = 4 * 1024 * 1024
"""No Delivery carries more, unless one message alone is larger (design.md section 3)."""
PROBE = b"?"
"""A marker that is published before SUBSCRIBE. It comes back if this session ever was subscribed; else mosquitto
answers that nobody is. Another broker may answer nothing of the sort (MQTT 5, 3.4.2.1)."""
PATIENCE_SECONDS = 5.0
"""So long SUBSCRIBE waits. A disk that stays full, or a broker that does not answer the probe, must not make us deaf:
that loses everything, and what waiting prevents needs a hub killed in this moment and an equal message besides."""


class Hearing:
    """Turns what one connection reads into Deliveries; keeps the order of its acks.

    Packets are complete once :meth:`flush` is called; marker and lost flush by themselves.

    ``subscribe`` is called when Connected is acknowledged, and that is in the journal. Without a subscription nothing
    comes, so no message bears a packet id that an older one had before the journal says that the broker lost its
    session: else the newer could be taken for the older, sent again. For the same reason a session that the broker has
    is only believed in once it brought anything: an empty one was made by a connection whose hub died too soon.
    """

    def __init__(self, line: Line, connection: int, subscribe: Callable[[], None]) -> None:
        self.connection = connection
        self.nonce = secrets.token_bytes(16)
        self.is_connected = False
        self.is_caught_up = False
        self.acks = AckOrder()
        self.messages: list[Heard] = []
        self.exactly_once: set[int] = set()
        self.reserved = frozenset({line.marker, SYS_DROPPED})
        self._line = line
        self._subscribe = subscribe
        self._raw: list[bytes] = []
        self._is_told = False
        self._session_present = False

    def connected(self, *, session_present: bool) -> None:
        """Note that the broker accepted the connection; without a session it has nothing to bring."""
        self.is_connected = True
        self._line.counts.connects += 1
        self._line.counts.standing = "let in, and not in the journal yet"
        if not session_present:
            self.tell(session_present=False)

    def tell(self, *, session_present: bool) -> None:
        """Say Connected, once."""
        if not self._is_told:
            self._is_told, self._session_present = True, session_present
            self._say(Connected(session_present))

    def add_raw(self, raw: bytes) -> None:
        """Note the bytes of what was appended to ``messages``."""
        self._raw.append(raw)

    def flush(self) -> None:
        """Deliver the messages so far."""
        messages = self.messages
        if not messages:
            return
        self.tell(session_present=True)
        raw = self._raw[0] if len(self._raw) == 1 else b"".join(self._raw)
        self.messages, self._raw = [], []
        self.acks.hand_out(len(messages))
        self._line.counts.received_messages += len(messages)
        self._say(Packets(raw, messages, self.acks.settled, self._session_present))

    def hear_apart(self, packet: mqtt5.PublishPacket) -> list[int]:
        """Take a packet whose topic is ``reserved``, or of QoS 2; return the packet ids that may be acked at once.

        We ask for QoS 1. A broker that raises it to the publisher's (EMQX and VerneMQ with upgrade_qos), or had another
        subscriber of our name, waits for PUBREC, in the end with nothing more to say.
        """
        if packet.topic in self.reserved:
            return self.hear_reserved(packet)
        self.messages.append(packet)
        self.add_raw(packet.write())
        self.exactly_once.add(packet.packet_id or 0)
        return []

    def hear_reserved(self, packet: Heard) -> list[int]:
        """Take a packet whose topic is ``reserved``; return the packet ids that may be acked at once."""
        self.flush()
        self.tell(session_present=True)
        if packet.topic == SYS_DROPPED:
            with contextlib.suppress(ValueError):
                self._line.counts.sys_dropped = int(packet.payload)
        elif packet.payload == self.nonce and not self.is_caught_up:
            self.is_caught_up = True
            self._line.counts.standing = "its marker has come, and what came before it is not judged yet"
            self.acks.hand_out(1)
            self._say(CaughtUp(packet.packet_id))
            return []
        return self.acks.silent(packet.packet_id) if packet.packet_id else []

    def release(self, packet_id: int) -> bytes:
        """Return the answer to PUBREL: whoever hears it may give the packet id to another message."""
        self.exactly_once.discard(packet_id)
        return pubcomp(packet_id)

    def acknowledge(self, delivery: Delivery) -> list[int]:
        """Return the packet ids to ack for ``delivery``, in order."""
        match delivery.body:
            case Packets(messages=messages):
                return self.acks.acknowledge(messages)
            case CaughtUp(packet_id=packet_id):
                return self.acks.acknowledge_marker(packet_id)
            case Connected():
                self._line.counts.standing = "what it asked for, and its marker, have not come yet"
                self._subscribe()
                return []
            case Lost():
                return []

    def lost(self, reason: str) -> None:
        """Say that the connection ended, if it was said that there is one."""
        self.flush()
        if self._is_told:
            self._say(Lost(reason))

    def _say(self, body: Packets | Connected | Lost | CaughtUp) -> None:
        self._line.deliver(Delivery(self._line.config.name, self.connection, body))
