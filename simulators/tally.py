"""What came of a load: published, taken, refused, unanswered, and how long a PUBACK took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

FINE = 64
"""Below so many microseconds every one has a bucket of its own; above, a bucket is a 32nd of its value wide."""
_HALF = FINE // 2
_FINE_BITS = FINE.bit_length() - 1


class Latencies:
    """How often each latency was seen, in buckets: memory does not grow with what is counted."""

    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()
        self.most_us = 0

    def add(self, us: int, count: int = 1) -> None:
        """Count a latency of ``us`` microseconds."""
        us = max(us, 0)
        self.most_us = max(self.most_us, us)
        shift = max(us.bit_length() - _FINE_BITS, 0)
        self._buckets[shift * _HALF + (us >> shift)] += count

    def percentile_ms(self, percent: float) -> float | None:
        """Return what ``percent`` % did not exceed, in ms and to 3 %; None while nothing was counted."""
        wanted = self._buckets.total() * percent / 100
        for us, count in self._ascending():
            wanted -= count
            if wanted <= 0:
                return min(us, self.most_us) / 1e3
        return None

    def _ascending(self) -> Iterator[tuple[int, int]]:
        """Yield each bucket's largest latency and its count."""
        for bucket in sorted(self._buckets):
            shift = max(bucket // _HALF - 1, 0)
            yield ((bucket - shift * _HALF + 1) << shift) - 1, self._buckets[bucket]


@dataclass(slots=True)
class Tally:
    """What brokers said: a PUBACK of success is ``taken``, another one ``refused`` under its name.

    ``unheard`` of those taken had nobody who subscribes. ``unanswered`` had no PUBACK when their connection was lost:
    the broker may have them or not. They are not published again, so that nothing is doubled by the load itself.
    ``unsent`` were due, and no connection was there to publish them before the end.
    """

    published: int = 0
    taken: int = 0
    unheard: int = 0
    unanswered: int = 0
    unsent: int = 0
    connects: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    latencies: Latencies = field(default_factory=Latencies)

    @property
    def ended(self) -> int:
        """How many are settled, in whatever way."""
        return self.taken + self.unanswered + self.refused.total()
