"""What is watched while a hub works for long: memory, handles, tasks each second, and how they changed in the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from math import inf
from pathlib import Path
from statistics import linear_regression, median

from benchmarks.stage import memory_bytes

WARM_SECONDS = 90.0
"""A hub that has just started fills its caches: it is not judged so long."""
SHORTEST_SECONDS = 60.0
CALM_AFTER = 30.0
"""So long after the beginning of a fault a hub works off what waited."""
MOST_SLOPE_MIB, MOST_RISE_MIB = 1.0, 2.0
"""A minute, over the longest life of a hub after its warm-up: from a fault to the same fault, and where none came
again; what a checkpoint takes comes and goes."""
MOST_MORE = 4
"""Handles, tasks or threads more in the last quarter than in the first."""

Fault = tuple[float, str]
"""When it began, and what it was."""
Moment = tuple[float, float]
"""Seconds, and MiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One look at the process ``pid`` at ``seconds`` of the run."""

    seconds: float
    pid: int
    rss_mib: float
    handles: int
    threads: int
    tasks: int


def look(pid: int, seconds: float, tasks: int) -> Sample:
    """Look at a process; OSError when it is gone."""
    place = Path(f"/proc/{pid}")
    return Sample(
        seconds=seconds,
        pid=pid,
        rss_mib=memory_bytes(pid) / 2**20,
        handles=len(list((place / "fd").iterdir())),
        threads=len(list((place / "task").iterdir())),
        tasks=tasks,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """How a hub changed over its longest life: MiB a minute, and how many more of each.

    ``levels_mib``: of each sort of fault that came again, the memory behind it each time. A first backlog takes memory
    that the next ones find again: a step, and no growth. So ``slope_mib`` is from a fault to the same fault, of that
    sort of them which was the last to come at all; where none came again, of all that life. ``slopes_mib``: of each
    quarter of it; a heap that settles grows ever less, what leaks grows to the last.
    """

    seconds: float
    slope_mib: float
    slopes_mib: list[float]
    levels_mib: dict[str, list[float]]
    least_mib: float
    most_mib: float
    handles: float
    threads: float
    tasks: float

    @property
    def is_flat(self) -> bool:
        """Whether nothing grows."""
        most = MOST_SLOPE_MIB if self.levels_mib else MOST_RISE_MIB
        return self.slope_mib <= most and max(self.handles, self.threads, self.tasks) <= MOST_MORE


def growth(samples: Sequence[Sample], faults: Sequence[Fault] = ()) -> Growth | None:
    """Return what the longest life shows after its warm-up; None when no hub lived long enough."""
    lives = [list(life) for _, life in groupby(samples, key=lambda sample: sample.pid)]
    warm = [[each for each in life if each.seconds - life[0].seconds >= WARM_SECONDS] for life in lives]
    longest = max(warm, key=len, default=[])
    if not longest or longest[-1].seconds - longest[0].seconds < SHORTEST_SECONDS:
        return None
    quarter = len(longest) // 4
    first, last = longest[:quarter], longest[-quarter:]
    memory = [each.rss_mib for each in longest]
    again = {name: levels for name, levels in _levels(longest, faults).items() if len(levels) > 1}
    return Growth(
        seconds=longest[-1].seconds - longest[0].seconds,
        slope_mib=_slope(max(again.values(), default=_memory(longest))),  # the latest beginning
        slopes_mib=[
            round(_slope(_memory(longest[begin : begin + quarter])), 2) for begin in range(0, 4 * quarter, quarter)
        ],
        levels_mib={name: [round(level, 1) for _, level in levels] for name, levels in again.items()},
        least_mib=min(memory),
        most_mib=max(memory),
        handles=median(each.handles for each in last) - median(each.handles for each in first),
        threads=median(each.threads for each in last) - median(each.threads for each in first),
        tasks=median(each.tasks for each in last) - median(each.tasks for each in first),
    )


def _levels(life: Sequence[Sample], faults: Sequence[Fault]) -> dict[str, list[Moment]]:
    """Return for each sort of fault when its backlog was worked off, each time, and the memory until the next fault."""
    levels: dict[str, list[Moment]] = {}
    ends = (*(seconds for seconds, _ in faults[1:]), inf)
    for (begin, name), end in zip(faults, ends, strict=False):
        calm = [each.rss_mib for each in life if begin + CALM_AFTER <= each.seconds < end]
        if calm:
            levels.setdefault(name, []).append((begin + CALM_AFTER, median(calm)))
    return levels


def _memory(samples: Sequence[Sample]) -> list[Moment]:
    return [(each.seconds, each.rss_mib) for each in samples]


def _slope(moments: Sequence[Moment]) -> float:
    seconds, memory = zip(*moments, strict=True)
    return linear_regression([each / 60 for each in seconds], memory).slope
