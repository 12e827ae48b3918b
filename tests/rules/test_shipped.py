"""Laws over every rule that ships: sound, with tests that hold and that would notice its absence."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.config.settings import packaged
from hub.rules.check import problems
from hub.rules.names import scope_of
from hub.rules.problem import Weight
from hub.rules.roles import ROLES
from hub.rules.rule import Rule, read_rule, write_rule
from hub.rules.states import CompiledRule
from hub.rules.testing import RuleTest
from hub.ui.rules.bench import run_case
from hub.ui.rules.coverage import coverage
from hub.ui.rules.world import world_of
from hub.yaml_documents import load_documents, validate
from tests.shipped import profiles as shipped_profiles

CATALOGUE, PROFILES = shipped_profiles()
FILES = sorted(packaged("rules").rglob("*.yaml"))
RULES = [(path, validate(document, Rule)) for path in FILES for document in load_documents(path)]
BY_NAME = {rule.rule: rule for _, rule in RULES}
CASES = [(rule, case) for _, rule in RULES for case in rule.tests]

every_rule = pytest.mark.parametrize(("file", "rule"), RULES, ids=[f"{path.name}:{rule.rule}" for path, rule in RULES])


def test_there_are_rules_and_each_name_is_used_once() -> None:
    names = [rule.rule for _, rule in RULES]
    assert {"smoke-alarm", "detector-silent", "door-forced"} <= set(names)
    assert sorted(set(names)) == sorted(names)


@every_rule
def test_a_rule_has_no_problems_not_even_doubts(file: Path, rule: Rule) -> None:
    found = problems(rule, CATALOGUE, world_of(PROFILES.values(), BY_NAME))
    assert [f"{file.name}: {problem}" for problem in found if problem.weight is not Weight.NOTE] == []


@pytest.mark.parametrize(("rule", "case"), CASES, ids=[f"{rule.rule}: {case.name}" for rule, case in CASES])
def test_a_test_of_a_rule_holds(rule: Rule, case: RuleTest) -> None:
    assert run_case(rule, case, CATALOGUE, others=BY_NAME) == []


@every_rule
def test_the_tests_of_a_rule_notice_when_one_of_its_words_is_gone(file: Path, rule: Rule) -> None:
    missing = [point.name for point, test in coverage(rule, CATALOGUE, BY_NAME, details=False) if test is None]
    assert missing == [], f"{file.name}: {rule.rule} passes all of its tests without them"


@every_rule
def test_case_names_of_a_rule_are_unique(file: Path, rule: Rule) -> None:
    names = [case.name for case in rule.tests]
    assert sorted(set(names)) == sorted(names), file.name


def test_every_role_that_a_rule_names_has_a_name_in_both_languages_and_no_other_has() -> None:
    named = {step.to for _, rule in RULES for step in rule.escalate}
    assert named == set(ROLES)
    assert [role for role, label in ROLES.items() if not (label["en"] and label["zh"])] == []
    shown = (packaged("rules") / "README.md").read_text(encoding="utf-8")
    assert [role for role, label in ROLES.items() if f"`{role}`" not in shown or label["zh"] not in shown] == []


@every_rule
def test_a_rule_is_the_same_after_the_journal(file: Path, rule: Rule) -> None:
    assert read_rule(write_rule(rule)) == rule.model_copy(update={"tests": []}), file.name


def test_the_rule_that_the_readme_shows_is_as_sound_as_those_that_ship(tmp_path: Path) -> None:
    shown = (packaged("rules") / "README.md").read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]
    file = tmp_path / "shown.yaml"
    file.write_text(shown, encoding="utf-8")
    rule = validate(load_documents(file)[0], Rule)
    assert problems(rule, CATALOGUE) == []
    assert [run_case(rule, case, CATALOGUE) for case in rule.tests] == [[]]


@pytest.mark.parametrize("kind", sorted(CATALOGUE.kinds))
def test_the_default_rules_of_a_kind_ship_and_are_about_it(kind: str) -> None:
    mine = CATALOGUE.kinds[kind].rules
    assert [name for name in mine if name not in BY_NAME] == []
    assert [name for name in mine if kind not in concerned(BY_NAME[name])] == []


def concerned(rule: Rule) -> set[str]:
    """Return the kinds whose words wake ``rule``."""
    scope = scope_of(rule, CATALOGUE)
    if rule.for_each.place is None:
        return {kind.kind for kind in scope.kinds}
    return {kind for kind, _ in CompiledRule(rule, scope).wakes}
