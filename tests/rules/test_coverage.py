"""Coverage: a word of a rule is shown by the test that fails without it, and by no other."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from hub.rules.coverage import Grain, points_of
from hub.rules.rule import Rule
from hub.ui.rules.coverage import coverage
from tests.rules.cases.case import OTHER
from tests.rules.cases.table import CASES
from tests.rules.words import CATALOGUE, rule


def shown(words: Mapping[str, object], *cases: tuple[str, object, list[str]], **others: Rule) -> dict[str, str | None]:
    """Return which test shows which point of a rule."""
    tests = [{"name": name, "given": given, "expect": expect} for name, given, expect in cases]
    return {point.name: test for point, test in coverage(rule(**words, tests=tests), CATALOGUE, others)}


RISES = ("it rises", {"tamper": "true @1s"}, ["0s raised fire.test"])
CLEARS = ("it clears", {"tamper": "true false @1s"}, ["0s raised fire.test", "1s cleared fire.test"])


def test_what_no_test_reaches_is_not_shown() -> None:
    assert shown({"when": "tamper"}, RISES) == {"raised": "it rises", "cleared": None}
    assert shown({"when": "tamper"}, RISES, CLEARS) == {"raised": "it rises", "cleared": "it clears"}
    assert shown({"when": "tamper"}) == {"raised": None, "cleared": None}


def test_a_test_that_does_not_hold_shows_nothing() -> None:
    wrong = ("wrong", {"tamper": True}, ["5s raised fire.test"])
    assert shown({"when": "tamper"}, wrong) == {"raised": None, "cleared": None}


def test_a_step_of_a_ladder_is_shown_by_the_test_that_climbs_it() -> None:
    ladder = [{"after": "5s", "severity": "critical"}, {"after": "9s", "when": "battery < 5", "severity": "critical"}]
    found = shown(
        {"when": "tamper", "ladder": ladder},
        RISES,
        ("it lasts", {"tamper": "true _x6 @1s"}, ["0s raised fire.test", "5s severity_changed fire.test"]),
    )
    assert (found["ladder.0"], found["ladder.1"]) == ("it lasts", None)


def test_a_step_of_escalate_is_shown_by_the_test_in_which_its_people_are_told() -> None:
    steps = [{"after": "5s", "to": "lead"}, {"after": "9s", "to": "city", "until": "cleared"}]
    found = shown(
        {"when": "tamper", "escalate": steps},
        RISES,
        ("it lasts", {"tamper": "true _x6 @1s"}, ["0s raised fire.test", "5s escalated fire.test to lead"]),
    )
    assert (found["escalate.0"], found["escalate.1"], found["escalate.1.until"]) == ("it lasts", None, None)


def test_each_operand_of_a_condition_is_a_point() -> None:
    found = shown({"when": "tamper or battery < 5"}, RISES)
    assert (found["when: tamper"], found["when: battery < 5"]) == ("it rises", None)


def test_a_word_that_says_what_holds_anyway_is_no_point() -> None:
    words: dict[str, object] = {"params": {"limit": 5}, "when": "battery < $limit", "on_missing": "keep"}
    assert set(shown(words)) == {"raised", "cleared"}
    assert "on_missing" in shown({**words, "on_missing": "clear"})


def test_what_keeps_a_rule_from_raising_is_shown_by_the_test_in_which_it_does() -> None:
    quiet: tuple[str, object, list[str]] = ("not at night", {"tamper": True, "battery": 99}, [])
    found = shown({"when": "tamper", "unless": "battery > 50"}, RISES, quiet)
    assert found["unless"] == "not at night"


def test_a_rule_that_inhibits_is_at_work_in_the_test() -> None:
    other = Rule.model_validate({**OTHER, "do": [{"command": "unlock"}]})
    words = {"when": "tamper", "inhibit": {"by": "other", "settle": "5s"}}
    given = [
        {"at": "0s", "device": "gate", "values": {"status": "stuck"}},
        {"at": "1s", "values": {"tamper": True}},
        {"at": "9s"},
    ]
    assert shown(words, ("quiet", given, []), other=other)["inhibit"] == "quiet"
    assert shown(words, ("loud", given, ["1s raised fire.test"]))["inhibit"] is None


def test_a_latched_alarm_is_cleared_by_an_operator_of_the_test() -> None:
    given = [
        {"at": "0s", "values": {"tamper": True}},
        {"at": "1s", "values": {"tamper": False}},
        {"at": "9s", "ask": "clear"},
    ]
    found = shown(
        {"when": "tamper", "clear": {"by": "operator"}},
        ("latched", given, ["0s raised fire.test", "9s cleared fire.test"]),
    )
    assert set(found.values()) == {"latched"}


def test_an_operator_who_is_refused_is_told_so() -> None:
    given = [{"at": "0s", "values": {"tamper": True}}, {"at": "9s", "ask": "clear"}]
    latched = ("latched", given, ["0s raised fire.test", "9s refused still_true"])
    assert shown({"when": "tamper", "clear": {"by": "operator"}}, latched)["raised"] == "latched"


def test_params_facts_and_lists_hold_where_the_test_happens() -> None:
    words = {
        "params": {"limit": 5},
        "facts": {"away": False},
        "when": "battery < $limit or serial in list('block')",
        "unless": "$away",
    }
    tests = [
        {"name": "low", "given": {"battery": 6}, "params": {"limit": 7}, "expect": ["0s raised fire.test"]},
        {"name": "away", "given": {"battery": 1}, "facts": {"away": True}, "expect": []},
        {"name": "listed", "given": {"serial": "7a"}, "lists": {"block": ["7a"]}, "expect": ["0s raised fire.test"]},
    ]
    found = {point.name: test for point, test in coverage(rule(**words, tests=tests), CATALOGUE)}
    assert found["unless"] == "away"
    assert found["when: battery < $limit"] == "low"
    assert found["when: serial in list('block')"] == "listed"


NO_POINTS = {"when", "on_signal", "on_value", "for_each", "params", "facts", "inputs"}
"""What a rule watches, and what its words stand for: without them it would be none."""


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if not case.documents])
def test_every_word_that_a_rule_uses_is_a_point(name: str) -> None:
    found = {point.path[0] for point in points_of(rule(**CASES[name].words)) if point.grain is Grain.WORD}
    assert CASES[name].words.keys() - NO_POINTS <= found
