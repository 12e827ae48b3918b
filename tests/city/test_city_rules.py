"""Laws over every city rule that ships, and what the loader refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.city.load import city_documents, problems, read_city_rules
from hub.city.rule import CityRule, CityTest
from hub.city.sentence import sentence
from hub.city.testing import run_case
from hub.config.settings import packaged
from hub.errors import ConfigError
from hub.rules.rule import Rule
from hub.yaml_documents import load_tree, validate
from tests.city.sights import rule

RULES = read_city_rules([packaged("city_rules")])
CASES = [(each, case) for each in RULES.values() for case in each.tests]
RAISED = {
    validate(document, Rule).raise_.event for document in load_tree([packaged("rules")], {"rule"}).values()
}  # what hubs tell

every_rule = pytest.mark.parametrize("each", RULES.values(), ids=RULES)


def test_a_card_and_a_plate_in_two_places_are_seen() -> None:
    assert {each.raise_.event for each in RULES.values()} >= {
        "access.impossible_travel",
        "access.cloned_card",
        "vehicle.plate_in_two_places",
    }


@every_rule
def test_a_city_rule_has_no_problems_not_even_doubts(each: CityRule) -> None:
    assert list(problems(each, RAISED)) == []


@pytest.mark.parametrize(("each", "case"), CASES, ids=[f"{each.city_rule}: {case.name}" for each, case in CASES])
def test_a_test_of_a_city_rule_holds(each: CityRule, case: CityTest) -> None:
    assert run_case(each, case) == []


def weakened(each: CityRule) -> list[tuple[str, CityRule]]:
    """Return the rule without each of its words in turn."""
    words: dict[str, object] = {}
    if each.travel is not None:
        for name, value in (("beyond_metres", 0.0), ("fastest_kmh", 1e9), ("at_least", each.clock_error * 0)):
            words[f"travel.{name}"] = each.travel.model_copy(update={name: value})
        words["clock_error"] = each.clock_error * 0
    if each.inside is not None:
        words["inside.within"] = each.inside.model_copy(update={"within": each.inside.within * 100})
    words |= {name: {} for name in ("only", "trust") if getattr(each, name)}
    if each.count is not None:
        words["count"] = None
    if each.for_each.length > 1:
        words["for_each.length"] = each.for_each.model_copy(update={"length": 1})
    words["quiet"] = each.quiet * 0
    return [(name, each.model_copy(update={name.partition(".")[0]: value})) for name, value in words.items()]


# What one rule shows of a word that several have in common is shown: the lens and travel are the same code.
BY_ANOTHER = {
    "access-cloned-card": {"travel", "clock_error", "only", "for_each"},
    "vehicle-plate-in-two-places": {"travel", "clock_error", "for_each", "quiet"},
    "vehicle-double-entry": {"trust", "for_each", "quiet"},
}
WEAKENED = [
    (each, name, weak)
    for each in RULES.values()
    for name, weak in weakened(each)
    if name.partition(".")[0] not in BY_ANOTHER.get(each.city_rule, ())
]


@pytest.mark.parametrize(("each", "name", "weak"), WEAKENED, ids=[f"{e.city_rule}: {name}" for e, name, _ in WEAKENED])
def test_the_tests_of_a_rule_notice_when_one_of_its_words_is_lost(each: CityRule, name: str, weak: CityRule) -> None:
    assert any(run_case(weak, case) for case in each.tests), f"no test of {each.city_rule} needs {name}"


@every_rule
def test_a_rule_is_said_in_both_languages_with_its_numbers(each: CityRule) -> None:
    said = sentence(each)
    assert all(each.raise_.event in text for text in said.values())
    if each.travel is not None:
        assert all(f"{each.travel.fastest_kmh:g}" in text for text in said.values())
    assert said["en"] != said["zh"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"travel": None}, "exactly one of travel and inside"),
        ({"inside": {"within": "1h"}}, "exactly one of travel and inside"),
        ({"watch": ["access.impossible_travel"]}, "it cannot watch that too"),
        ({"label": {"en": "in {town}"}}, "a label may say {from}, {to}, {distance}, {span}"),
        ({"label": {"en": "in {from"}}, "a label may say"),
        ({"watch": ["passage"]}, "pattern"),
        ({"speed": 3}, "Extra inputs"),
    ],
)
def test_what_makes_no_sense_is_refused(words: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told.replace("{", "\\{")):
        rule("odd", "access.impossible_travel", **words)


def test_the_example_of_the_readme_is_a_rule_whose_test_holds(tmp_path: Path) -> None:
    text = (packaged("city_rules") / "README.md").read_text(encoding="utf-8")
    (tmp_path / "example.yaml").write_text(text.partition("```yaml\n")[2].partition("```")[0], encoding="utf-8")
    (example,) = read_city_rules([tmp_path]).values()
    assert [run_case(example, case) for case in example.tests] == [[]]


def test_an_installation_replaces_a_rule_by_name_and_an_error_names_the_line(tmp_path: Path) -> None:
    text = """city_rule: access-cloned-card
watch: [access.passage]
for_each: {value: card}
travel: {beyond_metres: 500, at_least: 30s, fastest_kmh: 60}
raise: {event: access.cloned_card, severity: low}
"""
    (tmp_path / "own.yaml").write_text(text, encoding="utf-8")
    directories = [packaged("city_rules"), tmp_path]
    assert read_city_rules(directories)["access-cloned-card"].travel is not None
    assert {each.name for each in city_documents(directories)} == set(RULES)
    codes = {each.code for each in problems(read_city_rules(directories)["access-cloned-card"], {"fire.smoke_alarm"})}
    assert codes == {"nobody_raises", "no_label", "untested"}
    (tmp_path / "own.yaml").write_text(text.replace("beyond_metres: 500", "beyond: 500"), encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        read_city_rules(directories)
    assert (refused.value.code, refused.value.line) == ("unknown_key", 4)
