"""The bugs that the model's tests are tried with: each still has the place where it is planted."""

from __future__ import annotations

import pytest

from tests.model.mutants import ROOT, Bug, bugs


@pytest.mark.parametrize("bug", bugs(), ids=lambda bug: bug.name)
def test_a_planted_bug_has_one_place(bug: Bug) -> None:
    text = (ROOT / bug.file).read_text("utf-8")
    assert text.count(bug.old) == 1
    compile(text.replace(bug.old, bug.new), bug.file, "exec")
