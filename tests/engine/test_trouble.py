"""Right after trouble: every case of every rule that ships, through everything that may go wrong, by one law each."""

from __future__ import annotations

from functools import cache

import pytest

from hub.config.settings import packaged
from hub.rules.rule import Rule
from hub.rules.testing import differences
from hub.yaml_documents import load_documents, validate
from tests.engine.stage import Stage, play, script_of
from tests.engine.troubles.law import rises
from tests.engine.troubles.table import LAWS, can_happen

FILES = sorted(packaged("rules").rglob("*.yaml"))
RULES = {rule.rule: rule for path in FILES for rule in (validate(each, Rule) for each in load_documents(path))}


@cache
def performances(name: str) -> list[Stage]:
    """Return every case of a rule, undisturbed."""
    return [play(script_of(RULES[name], case, RULES)) for case in RULES[name].tests]


@pytest.mark.parametrize("name", RULES)
def test_undisturbed_a_case_comes_to_what_its_file_expects(name: str) -> None:
    for calm in performances(name):
        assert [*calm.refusals, *differences(calm.script.case.expected, calm.expected)] == [], calm.script.case.name


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("name", RULES)
def test_a_rule_is_right_in_trouble_and_after_it(name: str, law: str) -> None:
    happened, calms = 0, performances(name)
    if law.startswith("flapping"):  # a hundred times the shortest in which anything rises
        calms = sorted((calm for calm in calms if rises(calm)), key=lambda calm: len(calm.records))[:1]
    for calm in calms:
        try:
            happened += LAWS[law](calm)
        except AssertionError as error:
            error.add_note(f"in the case: {calm.script.case.name}")
            raise
    assert happened or not can_happen(law, RULES[name]), f"{law} never happened in the cases of {name}"
