"""What every wire format promises: a payload becomes one row, a raw value for each place that a profile asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from hub.errors import PoisonError
from hub.normalize.payload import Payload
from hub.normalize.places import Place

Row = Sequence[object]
"""Raw values in the order of the places; None where the payload has nothing."""

Decode = Callable[[bytes], Row]
"""A payload to its row; raises PoisonError with a stable code, and nothing else."""

DecodeMany = Callable[[bytes], Sequence[Row]]
"""A payload to a row per record, at least one; a payload without records is a row with what stands outside them."""


class Codec(Protocol):
    """One wire format."""

    def __call__(self, payload: Payload, places: Sequence[Place], unread: Unread, /) -> Decode:
        """Prepare decoding once per profile. Raises ConfigError for a place that the format cannot have."""
        ...


class RecordsCodec(Protocol):
    """One wire format whose payloads hold records; ``outside`` are the places of the whole payload.

    A row holds the values of ``outside`` and then those of ``places``.
    """

    def __call__(
        self, payload: Payload, outside: Sequence[Place], places: Sequence[Place], unread: Unread, /
    ) -> DecodeMany:
        """Prepare decoding once per profile. Raises ConfigError for a place that the format cannot have."""
        ...


class Unread:
    """What could not be read of the message in hand, though the rest of it could: a tail, a block.

    ``refused``: the decoder refuses the whole of it, and it was read loosely; only an alarm is let through then. Where
    it ``is_strict`` (a block, which costs only itself; an answer) nothing is read loosely.
    """

    __slots__ = ("_is_strict", "error", "refused")

    def __init__(self, *, is_strict: bool = False) -> None:
        self._is_strict = is_strict
        self.error: PoisonError | None = None
        self.refused: PoisonError | None = None

    def refuse(self, error: PoisonError) -> None:
        """Note that the decoder refuses the message in hand; raises ``error`` where that is its end."""
        if self._is_strict:
            raise error
        self.error = self.refused = error
