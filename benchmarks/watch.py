"""What is watched while a hub works for long: memory, handles, tasks each second, and how they changed in the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from statistics import linear_regression, median

from benchmarks.stage import memory_bytes

WARM_SECONDS = 90.0
"""A hub that has just started fills its caches: it is not judged so long."""
SHORTEST_SECONDS = 60.0
MOST_SLOPE_MIB = 2.0
"""A minute, over the longest life of a hub after its warm-up; what a checkpoint takes comes and goes."""
MOST_MORE = 4
"""Handles, tasks or threads more in the last quarter than in the first."""


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

    ``slopes_mib``: of each quarter of that life; a heap that settles grows ever less, what leaks grows to the last.
    """

    seconds: float
    slope_mib: float
    slopes_mib: list[float]
    least_mib: float
    most_mib: float
    handles: float
    threads: float
    tasks: float

    @property
    def is_flat(self) -> bool:
        """Whether nothing grows."""
        return self.slope_mib <= MOST_SLOPE_MIB and max(self.handles, self.threads, self.tasks) <= MOST_MORE


def growth(samples: Sequence[Sample]) -> Growth | None:
    """Return what the longest life shows after its warm-up; None when no hub lived long enough."""
    lives = [list(life) for _, life in groupby(samples, key=lambda sample: sample.pid)]
    warm = [[each for each in life if each.seconds - life[0].seconds >= WARM_SECONDS] for life in lives]
    longest = max(warm, key=len, default=[])
    if not longest or longest[-1].seconds - longest[0].seconds < SHORTEST_SECONDS:
        return None
    quarter = len(longest) // 4
    first, last = longest[:quarter], longest[-quarter:]
    memory = [each.rss_mib for each in longest]
    return Growth(
        seconds=longest[-1].seconds - longest[0].seconds,
        slope_mib=_slope(longest),
        slopes_mib=[round(_slope(longest[begin : begin + quarter]), 2) for begin in range(0, 4 * quarter, quarter)],
        least_mib=min(memory),
        most_mib=max(memory),
        handles=median(each.handles for each in last) - median(each.handles for each in first),
        threads=median(each.threads for each in last) - median(each.threads for each in first),
        tasks=median(each.tasks for each in last) - median(each.tasks for each in first),
    )


def _slope(samples: Sequence[Sample]) -> float:
    return linear_regression([each.seconds / 60 for each in samples], [each.rss_mib for each in samples]).slope
