"""The tools of the tests: waiting for facts, and a clock that only tests move."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.clocks import ManualClock
from tests.waiting import wait_until

if TYPE_CHECKING:
    from hub.clock import Clock


async def test_waiting_returns_the_first_truth() -> None:
    answers = iter([0, "", None, "here"])
    assert await wait_until(lambda: next(answers)) == "here"


async def test_waiting_takes_a_question_that_is_itself_awaited() -> None:
    answers = iter([False, True])

    async def ask() -> bool:
        return next(answers)

    assert await wait_until(ask) is True


async def test_waiting_in_vain_says_what_never_came() -> None:
    with pytest.raises(AssertionError, match=r"after 0\.05 s still \[\]: <class .list.>"):
        await wait_until(list, seconds=0.05)


async def test_sleeping_moves_the_manual_clock_at_once_and_is_recorded() -> None:
    manual = ManualClock()
    clock: Clock = manual
    wall, monotonic = clock.wall_ns(), clock.monotonic_ns()
    await clock.sleep(2.5)
    assert (clock.wall_ns() - wall, clock.monotonic_ns() - monotonic) == (2_500_000_000, 2_500_000_000)
    assert manual.sleeps == [2.5]


def test_the_wall_clock_alone_can_step_back() -> None:
    clock = ManualClock()
    wall, monotonic = clock.wall_ns(), clock.monotonic_ns()
    clock.step_wall(-3600)
    assert (clock.wall_ns() - wall, clock.monotonic_ns() - monotonic) == (-3_600_000_000_000, 0)
