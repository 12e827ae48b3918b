"""What every wire format promises: a payload becomes one row, a raw value for each place that a profile asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from hub.normalize.profile import Payload, Place

Row = Sequence[object]
"""Raw values in the order of the places; None where the payload has nothing."""

Decode = Callable[[bytes], Row]
"""A payload to its row; raises PoisonError with a stable code, and nothing else."""


class Codec(Protocol):
    """One wire format."""

    def __call__(self, payload: Payload, places: Sequence[Place], /) -> Decode:
        """Prepare decoding once per profile. Raises ConfigError for a place that the format cannot have."""
        ...
