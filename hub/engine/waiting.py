"""Messages of devices that nobody registered: kept for an hour, taken as late ones when the device is added."""

from __future__ import annotations

from hub.engine.state import State, Waiting
from hub.model.records import Letter

KEPT_NS = 3_600_000_000_000
MESSAGES, PAYLOAD_BYTES = 100, 256 * 1024
DEVICES = 1_000


def foreign_name(source: str, device: str) -> str:
    """Return the name under which messages wait of what a foreign network calls ``device``; no site begins so."""
    return f"@{source}/{device}"


class WaitingRoom:
    """Bounded by device (100 messages, 256 KiB) and by devices (1,000): what does not fit stays a dead letter only.

    Who spoke last stands last, so that what has waited for an hour is found without looking at the others.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._waiting: dict[str, Waiting] = {}
        self._is_in_order = True

    def restore(self, key: str, waiting: Waiting) -> None:
        """Take an entry of a checkpoint; they come in any order."""
        self._waiting[key] = waiting
        self._is_in_order = False

    def keep(self, name: str, t: int, letter: Letter) -> None:
        """Keep one message of an unknown device: of ``site/device``, or what :func:`foreign_name` says."""
        key, payload = f"waiting/{name}", letter.payload
        self.let_go(t)
        waiting = self._waiting.pop(key, None)
        if waiting is None:
            if len(self._waiting) >= DEVICES:
                return
            waiting = Waiting(messages=[], numbers=[])
        self._waiting[key] = waiting
        self._state.touch(key, waiting)
        messages = waiting.messages
        while messages and (
            len(messages) >= MESSAGES
            or waiting.payload_bytes + len(payload) > PAYLOAD_BYTES
            or messages[0][0] < t - KEPT_NS
        ):
            waiting.payload_bytes -= len(messages.pop(0)[3])
        if len(payload) <= PAYLOAD_BYTES:
            messages.append((t, letter.received_at, letter.topic, payload))
            waiting.numbers.append(letter.number)
            waiting.payload_bytes += len(payload)
        del waiting.numbers[: -len(messages) or None]

    def leave(self, name: str, t: int) -> list[tuple[int, Letter]]:
        """Return what waited under ``name`` at most an hour, each with the engine time at which it came, and forget it.

        Number 0 where none was written.
        """
        key = f"waiting/{name}"
        waiting = self._waiting.pop(key, None)
        if waiting is None:
            return []
        self._state.remove(key)
        unnumbered = [0] * (len(waiting.messages) - len(waiting.numbers))
        numbered = zip(waiting.messages, unnumbered + waiting.numbers, strict=True)
        return [
            (came, Letter(topic, payload, number=number, received_at=received_at))
            for (came, received_at, topic, payload), number in numbered
            if came >= t - KEPT_NS
        ]

    @property
    def is_empty(self) -> bool:
        """True while nothing waits: nobody need be asked for."""
        return not self._waiting

    def let_go(self, t: int) -> None:
        """Forget the devices of which nothing has come for an hour."""
        if not self._is_in_order:
            self._waiting = dict(sorted(self._waiting.items(), key=lambda each: _spoke(each[1])))
            self._is_in_order = True
        while self._waiting:
            key = next(iter(self._waiting))
            if _spoke(self._waiting[key]) >= t - KEPT_NS:
                return
            del self._waiting[key]
            self._state.remove(key)


def _spoke(waiting: Waiting) -> int:
    """Return the engine time of the newest message; nothing is kept of one that was too large."""
    return waiting.messages[-1][0] if waiting.messages else 0
