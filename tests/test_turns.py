"""The turns of the loop: what holds it is seen by its length, and what is forgotten after a minute is the longest."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from hub.metrics import Metrics
from hub.turns import SLOT_NS, SLOTS, Turns
from tests.clocks import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def turns(clock: ManualClock) -> Iterator[Turns]:
    with Turns(clock.monotonic_ns) as made:
        yield made


def work(turns: Turns, clock: ManualClock, *seconds: float) -> None:
    """Let the loop have turns of these lengths."""
    for each in seconds:
        clock.advance(each)
        turns.select(0)


def test_each_turn_is_counted_up_to_every_bound_that_it_keeps(turns: Turns, clock: ManualClock) -> None:
    work(turns, clock, 0.0004, 0.001, 0.03, 0.3, 20)
    counted = dict(turns.spread.up_to)
    assert counted == {
        "0.001": 2, "0.005": 2, "0.01": 2, "0.025": 2, "0.05": 3, "0.1": 3, "0.25": 3, "0.5": 4, "1.0": 4, "2.5": 4,
        "5.0": 4, "10.0": 4, "+Inf": 5,
    }  # fmt: skip
    assert turns.spread.sum == pytest.approx(20.3314)


def test_the_longest_stall_is_told_for_a_minute(turns: Turns, clock: ManualClock) -> None:
    work(turns, clock, 0.7, 0.2)
    assert turns.longest_seconds == 0.7
    clock.advance((SLOTS - 1) * SLOT_NS / 1e9)
    turns.select(0)  # what passed was a turn of the loop
    assert turns.longest_seconds == 50
    clock.advance(0.001)
    for _ in range(SLOTS):
        clock.advance(SLOT_NS / 1e9)
        turns._began = clock.monotonic_ns()  # noqa: SLF001 -- time in which the loop only waited
        work(turns, clock, 0.4)
    assert turns.longest_seconds == 0.4


def test_a_processor_that_comes_late_is_a_stall_too(turns: Turns, clock: ManualClock) -> None:
    now = clock.monotonic_ns()
    readings = iter([now, now + 3_500_000_000])
    turns._now = lambda: next(readings)  # noqa: SLF001 -- between the two lies the system's question, of a moment
    turns.select(0)
    turns._now = clock.monotonic_ns  # noqa: SLF001 -- as above
    assert turns.longest_seconds == 3.5
    assert turns.spread.up_to[-1] == ("+Inf", 1)


async def _hold(clock: ManualClock) -> None:
    await asyncio.sleep(0)  # noqa: TID251 -- a turn of the loop
    clock.advance(1.5)
    await asyncio.sleep(0)  # noqa: TID251 -- the next one, behind which that one is counted


def test_a_loop_made_with_them_shows_what_held_it_in_the_metrics() -> None:
    clock, metrics = ManualClock(), Metrics()
    turns = Turns(clock.monotonic_ns)
    metrics.read("hub_loop_turn_seconds", lambda: turns.spread)
    metrics.read("hub_loop_longest_stall_seconds", lambda: turns.longest_seconds)
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(turns)) as runner:
        runner.run(_hold(clock))
    values = metrics.values()
    assert values["hub_loop_longest_stall_seconds"] == 1.5
    held = values['hub_loop_turn_seconds_bucket{le="2.5"}'] - values['hub_loop_turn_seconds_bucket{le="1.0"}']
    assert (held, values["hub_loop_turn_seconds_sum"]) == (1, 1.5)
    assert values["hub_loop_turn_seconds_count"] == values['hub_loop_turn_seconds_bucket{le="+Inf"}']
