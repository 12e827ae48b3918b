"""Every word of the rule language at work, through the engine."""

from __future__ import annotations

import pytest

from tests.rules.cases.case import differences
from tests.rules.cases.table import CASES


@pytest.mark.parametrize("name", CASES)
def test_a_word_does_what_it_says(name: str) -> None:
    assert differences(CASES[name]) == []
