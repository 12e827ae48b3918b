"""What one connection asks of the broker: to subscribe, to unsubscribe, and again what was refused; frames only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import mqtt5
import structlog

from hub.bridge.line import Line
from hub.bridge.overtaken import Overtaken
from hub.bridge.topics import SYS_DROPPED

T = TypeVar("T")

FILTERS_AT_ONCE = 500
"""A broker hangs up on a larger packet than it takes, whenever it comes: 2,500 sites in one would leave us deaf."""
FAILURE = 0x80  # compared as int: against its stub, the codec's enums are no IntEnum and have no order
_log = structlog.get_logger()


class Subscriptions:
    """Makes the frames, remembers what was asked and refused; ``next_packet_id`` numbers them.

    What is asked to be gone is remembered too, without filters, until it is answered. ``overtaken`` knows what is not.
    """

    def __init__(self, line: Line, next_packet_id: Callable[[], int]) -> None:
        self._line = line
        self._next_packet_id = next_packet_id
        self._asked: dict[int, list[mqtt5.TopicFilter]] = {}
        self.overtaken = Overtaken()
        self._refused: list[mqtt5.TopicFilter] = []

    def change(self, new: Sequence[str], gone: Sequence[str]) -> bytes:
        """Return what subscribes to what is new, and only then unsubscribes from what is gone."""
        self._line.counts.answered(gone, ())
        frames = self._subscribe([self._filter(pattern) for pattern in new])
        left = [mqtt5.UnsubscribePacket(self._ask([]), some).write() for some in portions(gone)]
        return b"".join([frames, *left])

    def answered(self, packet: mqtt5.SubAckPacket | mqtt5.UnsubAckPacket) -> bool:
        """Note the broker's answer; return whether to ask again, an ACL may be mended."""
        asked = self._asked.pop(packet.packet_id, [])
        self.overtaken.answered(packet.packet_id)
        refused = [wanted for wanted, code in zip(asked, packet.reason_codes, strict=False) if int(code) >= FAILURE]
        self._refused += refused
        patterns = [it.pattern for it in refused]
        self._line.counts.answered((it.pattern for it in asked), patterns)
        if refused:
            _log.error("subscriptions_refused", session=self._line.config.name, filters=patterns)
        return bool(refused)

    def ask_again(self) -> bytes:
        """Return what asks for everything that was refused and is still wanted."""
        known = {*self._line.filters, self._line.marker}
        wanted, self._refused = [it for it in self._refused if it.pattern in known], []
        return self._subscribe(wanted)

    def _subscribe(self, wanted: list[mqtt5.TopicFilter]) -> bytes:
        return b"".join([mqtt5.SubscribePacket(self._ask(some), some).write() for some in portions(wanted)])

    def _ask(self, wanted: list[mqtt5.TopicFilter]) -> int:
        packet_id = self._next_packet_id()
        self._asked[packet_id] = wanted
        self.overtaken.asked(packet_id)
        return packet_id

    def _filter(self, pattern: str) -> mqtt5.TopicFilter:
        """Retained messages come with a new subscription only; the broker's own count comes now and without acks."""
        if pattern == SYS_DROPPED:
            return mqtt5.TopicFilter(pattern, max_qos=mqtt5.QoS.AT_MOST_ONCE, retain_as_published=False)
        handling = mqtt5.RetainHandling
        return mqtt5.TopicFilter(
            pattern,
            max_qos=mqtt5.QoS.AT_LEAST_ONCE,
            retain_as_published=False,
            retain_handling=handling.SEND_ALWAYS
            if pattern in self._line.anew
            else handling.SEND_IF_SUBSCRIPTION_NOT_EXISTS,
        )


def portions(filters: Sequence[T]) -> Iterator[list[T]]:
    """Yield ``filters`` as they are asked for in one packet each."""
    for start in range(0, len(filters), FILTERS_AT_ONCE):
        yield [*filters[start : start + FILTERS_AT_ONCE]]
