"""The pace of a disk: whether what is little may be written where it is asked for, or is left to the file's thread."""

from __future__ import annotations

QUICK_NS = 5_000_000
"""So long the loop may stand still for what spares it the thread. A quick disk takes 0.3 to 1 ms; where others want the
processor too, it is 2 to 4 until the loop has it again, and with the thread it would wait for that twice."""
WEIGHT = 8
"""How many writes forget one: a checkpoint of 10 ms among writes of 0.4 changes nothing, a second does."""


class Pace:
    """A running mean of how long little transactions took; of a file that nobody has written to yet it is slow."""

    def __init__(self) -> None:
        self._mean_ns = WEIGHT * QUICK_NS

    @property
    def is_quick(self) -> bool:
        """Whether the next one will not hold up the loop."""
        return self._mean_ns < QUICK_NS

    def took(self, ns: int) -> None:
        """Note how long one took, wherever it was done."""
        self._mean_ns += (ns - self._mean_ns) // WEIGHT
