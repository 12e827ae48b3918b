"""The verdict on latency: beside noise, what costs nothing passes, and what costs half as much again seldom does."""

from __future__ import annotations

from random import Random

from tests.chaos.latency import ALLOWED, Rounds, Slowdowns, slowdown_after, slowdowns

TRIALS = 300
NOISE, OF_BOTH = 0.4, 0.4
"""Standard deviations of the logarithm: of each window's own noise, and of what both of a pair have."""


async def passed(times: float) -> float:
    """Return the share of the trials that pass when everything takes so many times as long meanwhile."""
    random = Random(1)  # noqa: S311 -- the same noise each time
    count = 0
    for _ in range(TRIALS):
        before: list[float] = []
        meanwhile: list[float] = []

        async def add_round(before: list[float] = before, meanwhile: list[float] = meanwhile) -> None:
            both = random.gauss(0, OF_BOTH)
            before.append(random.lognormvariate(both, NOISE))
            meanwhile.append(times * random.lognormvariate(both, NOISE))

        async def look(before: list[float] = before, meanwhile: list[float] = meanwhile) -> Slowdowns:
            return slowdowns(before, meanwhile)

        count += await slowdown_after(add_round, look, Rounds(8, 40)) <= ALLOWED
    return count / TRIALS


async def test_what_costs_nothing_passes() -> None:
    assert await passed(1) > 0.99
    assert await passed(1.05) > 0.98


async def test_what_takes_half_as_long_again_or_twice_as_long_seldom_passes() -> None:
    assert await passed(1.5) < 0.45
    assert await passed(2) < 0.12
