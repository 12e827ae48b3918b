"""How much the loud devices have said: of each a bucket that empties by what it says and fills by time; pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from hub.model.values import Scalar, Values

DOCUMENT = "quota/devices"
"""The document of the content that says what a device may say, where that is not what it is everywhere."""
SECOND_NS = 1_000_000_000
SLOWEST = 0.001
"""Readings a second: a quota below counts as this one."""
YEAR_NS = 365 * 86_400 * SECOND_NS
"""What a bucket holds at most: nobody waits longer for it, and its end can be written down."""


class Quota(NamedTuple):
    """What each device may say in the long run, and how much at once; ``per_second`` 0: whatever it likes."""

    per_second: float = 0
    burst: int = 10_000

    @property
    def is_none(self) -> bool:
        """Whether a device may say whatever it likes."""
        return self.per_second <= 0

    @property
    def step_ns(self) -> int:
        """After how long there is room for one more."""
        return round(SECOND_NS / max(self.per_second, SLOWEST))

    @property
    def most_ns(self) -> int:
        """How much the bucket of a device holds, as time."""
        return min(self.burst * self.step_ns, YEAR_NS)


def write_quota(quota: Quota) -> dict[str, bytes]:
    """Return its document, canonical JSON; none for what it is everywhere."""
    said = json.dumps({"burst": quota.burst, "per_second": quota.per_second}, separators=(",", ":"))
    return {} if quota == Quota() else {DOCUMENT: said.encode()}


def read_quota(body: bytes | None) -> Quota:
    """Return what the document's body says."""
    return Quota() if body is None else Quota(**json.loads(body))


class Meter(msgspec.Struct):
    """The bucket of one device, full at the engine time ``full_t`` if nothing more is said.

    It ``is_exact`` once every reading is counted. Since ``over_since`` (wall ns; 0: it is not over its quota) so many
    readings were ``thinned`` and dead letters ``refused``. What becomes a point at the next tick is ``kept``: of each
    property of a part the newest, as (time, value).
    """

    full_t: int = 0
    is_exact: bool = False
    over_since: int = 0
    thinned: int = 0
    refused: int = 0
    kept: dict[str, dict[str, tuple[int, Scalar]]] = {}

    def owes(self, t: int) -> int:
        """Return for how long (ns) it has to say nothing until it is full."""
        return max(self.full_t - t, 0)

    def spend(self, count: int, t: int, quota: Quota) -> bool:
        """Take ``count`` out of the bucket; False, and nothing taken, when they are not in it."""
        owed = self.owes(t) + count * quota.step_ns
        if owed > quota.most_ns:
            return False
        self.full_t = t + owed
        return True

    def keep(self, part: str, time: int, values: Values) -> None:
        """Keep of ``values`` those of which no newer one is kept."""
        known = self.kept.setdefault(part, {})
        for name, value in values.items():
            if name not in known or known[name][0] <= time:
                known[name] = time, value

    def take_kept(self) -> Iterator[tuple[str, int, Values]]:
        """Yield, and keep no longer, what was kept: part, time and what was said then, of a part the oldest first."""
        kept, self.kept = self.kept, {}
        for part, known in kept.items():
            said: dict[int, dict[str, Scalar]] = {}
            for name, (time, value) in known.items():
                said.setdefault(time, {})[name] = value
            yield from ((part, time, said[time]) for time in sorted(said))


class Meters(msgspec.Struct):
    """The meters that are not full, by the key of the device, registered or not: an entry of the state."""

    by_device: dict[str, Meter] = {}
