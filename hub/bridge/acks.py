"""The order of acks on one connection: whose turn it is, and which ones the broker surely took."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from hub.model.heard import Heard

SAVED_WITHIN_SECONDS = 3.0
"""A killed mosquitto sends again what its last save still held unacked. With autosave_interval 1 it saves every 2.0 s
(2.0.11, measured: it waits until *more* than the interval has passed, in whole seconds), and a save takes a moment."""


class AckOrder:
    """Acks leave in the order in which the packets came (MQTT-4.6.0-2), also around packets that nobody else sees.

    *Handed out* things (messages, the marker) are acked when the hub says so, *silent* ones (markers of earlier
    connections) as soon as everything handed out before them is. ``settled`` counts the messages whose ack was written
    before a ping that the broker answered so long ago that it has been saved since. Packet id 0 means that nothing is
    to be sent. ``is_full``: as much was unacked after the last hand-out as ever was, so the broker may send no more
    before it has our acks (mosquitto's ``max_inflight_messages`` is 20 where nobody changed it).
    """

    def __init__(self) -> None:
        self.settled = 0
        self.is_full = True
        self._most_unacked = 0
        self._handed_out = 0
        self._acked = 0
        self._acked_messages = 0
        self._silent: deque[tuple[int, int]] = deque()
        self._pings: deque[int] = deque()
        self._answered: deque[tuple[float, int]] = deque()
        self._pinged = 0

    @property
    def unpinged(self) -> int:
        """How many acked messages no ping has followed yet."""
        return self._acked_messages - self._pinged

    @property
    def awaits_answer(self) -> bool:
        """Whether a ping is unanswered."""
        return bool(self._pings)

    def hand_out(self, things: int) -> None:
        """Note that ``things`` more were given to the hub."""
        self._handed_out += things
        unacked = self._handed_out - self._acked
        self.is_full = unacked >= self._most_unacked
        self._most_unacked = max(self._most_unacked, unacked)

    def silent(self, packet_id: int) -> list[int]:
        """Return what may be acked now that a packet came which nobody is told of: its id, or nothing yet."""
        if self._acked == self._handed_out:
            return [packet_id]
        self._silent.append((self._handed_out, packet_id))
        return []

    def acknowledge(self, messages: Sequence[Heard]) -> list[int]:
        """Return the packet ids to ack, in order, now that ``messages`` are on disk."""
        self._acked_messages += len(messages)
        if not self._silent:
            self._acked += len(messages)
            return [message.packet_id or 0 for message in messages]
        packet_ids: list[int] = []
        for message in messages:
            packet_ids.append(message.packet_id or 0)
            packet_ids += self._step()
        return packet_ids

    def acknowledge_marker(self, packet_id: int | None) -> list[int]:
        """Return the packet ids to ack now that the marker is on disk."""
        return [packet_id or 0, *self._step()]

    def pinged(self) -> None:
        """Note that a ping was written behind the acks so far."""
        self._pinged = self._acked_messages
        self._pings.append(self._pinged)

    def answered(self, now: float) -> None:
        """Note the answer, at ``now`` (s), to the oldest ping; one that nobody asked for means nothing."""
        if self._pings:
            self._answered.append((now, self._pings.popleft()))
        while self._answered and self._answered[0][0] <= now - SAVED_WITHIN_SECONDS:
            self.settled = self._answered.popleft()[1]

    def _step(self) -> list[int]:
        self._acked += 1
        due: list[int] = []
        while self._silent and self._silent[0][0] <= self._acked:
            due.append(self._silent.popleft()[1])
        return due
