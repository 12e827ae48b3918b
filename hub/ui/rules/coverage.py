"""Coverage of rules: which of a rule's own tests would notice that a word of it is gone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from hub.catalogue import Catalogue
from hub.errors import ConfigError
from hub.rules.coverage import Point, points_of
from hub.rules.rule import Rule
from hub.rules.testing import RuleTest
from hub.ui.rules.bench import run_case


class Covered(NamedTuple):
    """A point of a rule, and the test that shows it; None when none does."""

    point: Point
    test: str | None


def coverage(
    rule: Rule, catalogue: Catalogue, others: Mapping[str, Rule] = MappingProxyType({}), *, details: bool = True
) -> Iterator[Covered]:
    """Yield every point of ``rule``, or only its whole words; tests that do not hold show nothing."""
    cases = [case for case in rule.tests if not run_case(rule, case, catalogue, others=others)]
    for point in points_of(rule, details=details):
        try:
            yield Covered(point, _shown_by(point, cases, catalogue, others))
        except ConfigError:
            continue  # the rule is none without it


def _shown_by(point: Point, cases: Sequence[RuleTest], catalogue: Catalogue, others: Mapping[str, Rule]) -> str | None:
    for case in cases:
        if point.weakened is None:
            is_shown = any(happening.what == point.shown for happening in case.expected)
        else:
            is_shown = bool(run_case(point.weakened, case, catalogue, others=others))
        if is_shown:
            return case.name
    return None
