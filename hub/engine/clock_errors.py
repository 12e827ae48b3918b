"""How wrong a device's clock is: the least that it was behind in the last 24 hours in which it was heard; pure."""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct

Kept = bytes | list[list[int]]
"""Of the heard hours only those that have no smaller difference behind them, as they may become the least: four of 24
by chance. For each its least difference (ns) and how many heard hours end with it, oldest first; then the newest hour
itself; eight bytes each. A former version kept a list of [hour, least difference] for every one, 136 bytes each."""
HOURS = 24
_STEP, _HOUR, _END = Struct("<2q"), Struct("<q"), Struct("<3q")
_Step = tuple[int, int]


def newest(kept: Kept) -> tuple[int, int]:
    """Return the newest heard hour and the least difference in it; there must be one."""
    if isinstance(kept, list):
        return kept[-1][0], kept[-1][1]
    least, _, hour = _END.unpack_from(kept, len(kept) - _END.size)
    return hour, least


def learn(kept: Kept, hour: int, difference: int) -> tuple[Kept, int]:
    """Return what is kept once ``difference`` was seen in ``hour``, and the clock's error by it."""
    if len(kept) == _END.size and isinstance(kept, bytes):  # of a device's first hours, and whenever one is the least
        least, hours, last = _END.unpack(kept)
        if last == hour and difference <= least:
            return _END.pack(difference, hours, hour), difference
    steps = _steps(kept)
    _push(steps, difference, 1 if not kept or newest(kept)[0] != hour else 0)
    return b"".join([*(_STEP.pack(*step) for step in steps), _HOUR.pack(hour)]), steps[0][0]


def _steps(kept: Kept) -> list[_Step]:
    if isinstance(kept, bytes):
        return list(_STEP.iter_unpack(kept[: -_HOUR.size]))
    steps: list[_Step] = []
    for _, difference in kept:
        _push(steps, difference, 1)
    return steps


def _push(steps: list[_Step], difference: int, hours: int) -> None:
    """Add a difference of the newest hour, which is another (1) than the one before or not (0)."""
    while steps and steps[-1][0] >= difference:
        hours += steps.pop()[1]
    if hours:
        steps.append((difference, hours))
    if _heard(steps) > HOURS:
        least, oldest = steps[0]
        steps[:1] = [(least, oldest - 1)] if oldest > 1 else []


def _heard(steps: Iterable[_Step]) -> int:
    return sum(hours for _, hours in steps)
