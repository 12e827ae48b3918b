"""Counted instructions say the same each time, and who does more."""

from __future__ import annotations

from benchmarks.instructions import Counting, Found


def _add(numbers: int) -> int:
    total = 0
    for number in range(numbers):
        total += number
    return total


def _counted(numbers: int) -> Found:
    counting = Counting()
    with counting:
        _add(numbers)
    _add(1_000)
    return counting.by_function(1)


def test_the_same_work_is_the_same_count_and_more_of_it_is_more() -> None:
    ten, again, twenty, thirty = (_counted(numbers) for numbers in (10, 10, 20, 30))
    name = next(name for name in ten if name.endswith(" _add"))
    assert ten == again
    assert 0 < twenty[name] - ten[name] == thirty[name] - twenty[name]
