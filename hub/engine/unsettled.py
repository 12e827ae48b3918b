"""What a broker may send again: the messages of a batch whose ack it may not have taken, as an entry of the state."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial
from typing import ClassVar

import msgspec

from hub.model.heard import Heard


class Unsettled(msgspec.Struct, dict=True, kw_only=True):
    """Messages of one batch whose ack the broker may not have taken: [packet id, digest of topic and payload].

    ``last`` numbers its last message within the connection; ``again`` of them, the first, were known when they came.
    ``heard`` is not encoded: it decodes the packets once more,
    and the digests are made (0.9 us each), when a checkpoint or a redelivery asks, which for most batches is never.
    Keeping the decoded messages instead cost 60 MB at 70,000 a second.
    """

    session: str
    connection: int
    last: int
    again: int = 0
    messages: list[tuple[int, bytes]]

    heard: ClassVar[partial[Sequence[Heard]] | None] = None

    def settle(self) -> None:
        """Note that the broker took the acks of all: nothing can ask for these messages any more.

        A checkpoint that began before still holds the entry, without what it was kept for: digesting messages only to
        throw them away cost a flood 1 us each.
        """
        self.messages = []
        self.__dict__["heard"] = None

    def fill(self) -> list[tuple[int, bytes]]:
        """Return the messages, digesting what was heard the first time."""
        if self.heard is not None:
            heard = [(m, m.packet_id) for m in self.heard() if m.packet_id is not None]
            self.messages = [(packet_id, digest_of(message)) for message, packet_id in heard]
            self.__dict__["heard"] = None
        return self.messages


def digest_of(message: Heard) -> bytes:
    """Return what tells a redelivered message from another with the same packet id."""
    return hashlib.blake2b(message.topic.encode() + b"\0" + message.payload, digest_size=8).digest()
