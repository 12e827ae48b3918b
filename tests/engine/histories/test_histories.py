"""A restart makes no difference, whatever a town has come to hear; the shortest history that does is shown."""

from __future__ import annotations

import pytest

from tests.engine.histories.shrinking import shrink
from tests.engine.histories.trying import STEPS, report, try_one

SEEDS = range(12)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_restart_makes_no_difference(seed: int) -> None:
    history, wrong = try_one(seed, STEPS)
    assert not wrong, report(seed, history, wrong)


def test_of_a_wrong_history_only_the_steps_are_left_without_which_it_is_not() -> None:
    assert shrink(range(1_000), {3, 500, 998}.issubset) == [3, 500, 998]
