"""Numbers that are known only to lie between two others: compared, and looked for among some."""

from __future__ import annotations

import operator
from collections.abc import Callable

import pytest

from hub.model.values import Scalar
from hub.rules.held import Held
from hub.rules.intervals import Between
from hub.rules.verdicts import compare, constant, member


def between(low: float, high: float) -> Callable[[Held, int], Between]:
    return lambda _held, _now: Between(low, high)


@pytest.mark.parametrize(
    ("allowed", "wanted", "answer"),
    [({1, 2}, True, None), ({1, 2}, False, None), ({7, 8}, True, False), ({7, 8}, False, True)],
)
def test_what_may_be_among_some_is_not_known_and_what_cannot_is_not(
    allowed: set[Scalar], *, wanted: bool, answer: bool | None
) -> None:
    assert member(between(0, 3), frozenset(allowed), wanted=wanted)(Held(), 0) is answer


@pytest.mark.parametrize(("other", "is_same"), [(between(2, 5), None), (between(4, 5), False), (constant(2), None)])
def test_two_of_which_neither_is_known_are_other_numbers_only_where_they_cannot_be_the_same(
    other: Callable[[Held, int], object], *, is_same: bool | None
) -> None:
    for left, right in ((between(0, 3), other), (other, between(0, 3))):
        assert compare(operator.eq, left, right)(Held(), 0) is is_same
        assert compare(operator.ne, left, right)(Held(), 0) is (None if is_same is None else not is_same)
