"""Latency in windows: its p99, and how much worse it is in one sort of windows than in the other, past the noise."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from statistics import median
from typing import NamedTuple

ALLOWED = 1.2

Window = tuple[int, int]
"""Wall ns at which it began and ended."""


class Slowdowns(NamedTuple):
    """How many times longer it takes in one sort of windows than in the other, by three estimates; see slowdowns."""

    quietest: float
    paired: float
    proven: float


class Rounds(NamedTuple):
    """After how many rounds one looks, and how many there are at most; ``most`` is so many times ``between_looks``."""

    between_looks: int
    most: int


def p99s_ms(sent_at: Mapping[str, int], streamed_at: Mapping[str, int], windows: Sequence[Window]) -> list[float]:
    """Return the p99 of publish (wall ns by card) to stream (wall ms) in each window."""
    found = []
    for since, until in windows:
        took = sorted(streamed_at[card] - at / 1e6 for card, at in sent_at.items() if since <= at < until)
        found.append(took[math.ceil(len(took) * 0.99) - 1])
    return found


async def slowdown_after(
    run_round: Callable[[], Awaitable[None]], look: Callable[[], Awaitable[Slowdowns]], rounds: Rounds
) -> float:
    """Run so many rounds, and as many again while one of the :func:`slowdowns` is too much; return what is proven.

    Who stops at the first look with one that pleases passes over what takes half as long again, more often than not;
    who ends with one that is a little too much has mostly seen noise (1.20045 in 40 rounds on a busy machine).
    """
    found = Slowdowns(math.inf, math.inf, math.inf)
    for number in range(1, rounds.most + 1):
        await run_round()
        if number % rounds.between_looks == 0:
            found = await look()
            if max(found) <= ALLOWED:
                break
    return min(found)


def slowdown(before: Sequence[float], meanwhile: Sequence[float]) -> float:
    """Return the lesser of those :func:`slowdowns` that do not ask for a proof."""
    found = slowdowns(before, meanwhile)
    return min(found.quietest, found.paired)


def slowdowns(before: Sequence[float], meanwhile: Sequence[float]) -> Slowdowns:
    """Return how many times longer it takes in the windows ``meanwhile``, by estimates that noise deceives seldom.

    Other work on the machine comes and goes and only ever adds, up to tens of times what we look for. The quietest
    windows of both sorts hold the least of it; the two windows of a pair, one after the other, hold about the same,
    and the median of their ratios passes over those that do not. What a fault costs is in every window, and in both.
    When three of five pairs say so, it is proven: so many of 40 that stand exactly at a limit do once in ten times.
    """
    ratios = sorted(late / soon for soon, late in zip(before, meanwhile, strict=True))
    return Slowdowns(min(meanwhile) / min(before), median(ratios), ratios[len(ratios) * 2 // 5])
