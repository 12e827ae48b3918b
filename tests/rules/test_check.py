"""The lints of rules: each finding with its code and its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.rules.check import errors, problems
from hub.rules.problem import Weight
from hub.rules.rule import Rule
from hub.yaml_documents import load_documents, validate
from tests.rules.words import CATALOGUE, rule

CASE = {"name": "x", "given": [{"at": "0s", "values": {"tamper": True}}], "expect": ["0s raised fire.test"]}
SOUND: dict[str, object] = {"when": "tamper", "clear": {"when": "not tamper"}, "on_missing": "keep", "tests": [CASE]}
UNLOCK = {"command": "unlock", "to": {"kind": "gate"}}

Path_ = tuple[str | int, ...]


def found(**words: object) -> list[tuple[str, Path_]]:
    return [(problem.code, problem.path) for problem in problems(rule(**{**SOUND, **words}), CATALOGUE)]


def given(**words: object) -> dict[str, object]:
    return {"tests": [CASE, {"name": "y", "given": [{"at": "0s"}, {"at": "1s", **words}], "expect": []}]}


def test_a_sound_rule_has_no_problems() -> None:
    assert found() == []
    assert found(do=[{**UNLOCK, "args": {"ttl": "30s", "times": 2}, "until": "cleared", "at_most": "5m"}]) == []


ERRORS: dict[str, tuple[dict[str, object], tuple[str, Path_]]] = {
    "an unknown kind": ({"for_each": "sensr"}, ("unknown_kind", ("for_each", "kind"))),
    "an unknown name": ({"when": "tampr"}, ("bad_expression", ("when",))),
    "an unknown value": ({"when": None, "clear": None, "on_value": "tampr"}, ("unknown_property", ("on_value",))),
    "a choice by what is not said": (
        {"when": None, "clear": None, "on_signal": "button.pressed", "where": "tamper"},
        ("bad_expression", ("where",)),
    ),
    "a bad exception": ({"unless": "battery"}, ("bad_expression", ("unless",))),
    "a bad clear condition": ({"clear": {"when": "1 <"}}, ("bad_expression", ("clear", "when"))),
    "a bad reason to refuse": (
        {"clear": {"by": "operator", "refuse_while": "1 <"}},
        ("bad_expression", ("clear", "refuse_while")),
    ),
    "a value that is not said": (
        {
            "for_each": {"value": "card", "of": "sensor", "forget_after": "1d"},
            "when": None,
            "clear": None,
            "on_signal": "button.pressed",
        },
        ("unknown_data", ("for_each", "value")),
    ),
    "a kind of target that is not": (
        {"do": [{"command": "unlock", "to": {"kind": "gat"}}]},
        ("unknown_kind", ("do", 0, "to", "kind")),
    ),
    "a command of another kind": ({"do": [{"command": "unlock"}]}, ("unknown_command", ("do", 0, "command"))),
    "a command that no target has": (
        {"do": [{"command": "silence"}, {"command": "silence", "to": {"kind": "gate"}}]},
        ("unknown_command", ("do", 1, "command")),
    ),
    "an unknown argument": (
        {"do": [{**UNLOCK, "args": {"tll": "5s"}}]},
        ("unknown_argument", ("do", 0, "args", "tll")),
    ),
    "a duration that is none": ({"do": [{**UNLOCK, "args": {"ttl": 5}}]}, ("bad_argument", ("do", 0, "args", "ttl"))),
    "a number that is none": (
        {"do": [{**UNLOCK, "args": {"times": "2"}}]},
        ("bad_argument", ("do", 0, "args", "times")),
    ),
    "a value that the kind has not": (
        given(values={"colour": "red"}),
        ("unknown_property", ("tests", 1, "given", 1, "values", "colour")),
    ),
    "a signal that the kind has not": (
        given(signal="door.forced"),
        ("unknown_signal", ("tests", 1, "given", 1, "signal")),
    ),
    "data that the signal has not": (
        given(signal="button.pressed", data={"card": "1"}),
        ("unknown_data", ("tests", 1, "given", 1, "data", "card")),
    ),
}


def of_zone(**step: object) -> list[tuple[str, Path_]]:
    case = {"name": "x", "given": [{"at": "0s", **step}], "expect": []}
    return found(for_each="fire_zone", when="tamper", tests=[case])


def test_a_test_of_a_place_speaks_for_the_devices_that_stand_there() -> None:
    assert of_zone(device="gate-2", values={"door": "open"}) == of_zone(values={"door": "open"}) == []
    place = ("tests", 0, "given", 0)
    assert of_zone(device="gate", values={"tamper": True}) == [("unknown_property", (*place, "values", "tamper"))]
    assert of_zone(device="gats-2", values={}) == [("unknown_kind", (*place, "device"))]


@pytest.mark.parametrize("what", ERRORS)
def test_what_the_hub_could_not_work_with_is_an_error(what: str) -> None:
    words, expected = ERRORS[what]
    assert found(**words) == [expected]
    wrong = rule(**{**SOUND, **words})
    assert {problem.weight for problem in problems(wrong, CATALOGUE)} == {Weight.ERROR}
    assert errors(wrong, CATALOGUE) == problems(wrong, CATALOGUE)


DOUBTS: dict[str, tuple[dict[str, object], tuple[str, Path_]]] = {
    "no English label": ({"label": {"zh": "测试"}}, ("no_label", ("label",))),
    "no Chinese label": ({"label": {"en": "Test", "zh": ""}}, ("no_label", ("label",))),
    "no clear": ({"clear": None}, ("no_clear", ("when",))),
    "no tests": ({"tests": []}, ("no_tests", ())),
    "an endless hold": ({"do": [{**UNLOCK, "until": "cleared"}]}, ("no_at_most", ("do", 0, "until"))),
    "a hold that nothing undoes": (
        {"do": [{"command": "silence", "until": "cleared", "priority": "life_safety"}]},
        ("no_release", ("do", 0, "until")),
    ),
}


@pytest.mark.parametrize("what", DOUBTS)
def test_what_a_person_should_look_at_is_a_warning(what: str) -> None:
    words, expected = DOUBTS[what]
    assert found(**words) == [expected]
    doubtful = rule(**{**SOUND, **words})
    assert {problem.weight for problem in problems(doubtful, CATALOGUE)} == {Weight.WARNING}
    assert errors(doubtful, CATALOGUE) == []


def test_life_safety_may_hold_as_long_as_the_alarm_lasts() -> None:
    assert found(do=[{**UNLOCK, "until": "cleared", "priority": "life_safety"}]) == []


@pytest.mark.parametrize(
    "words",
    [
        {"absent_for": "5m"},
        {"on_signal": "button.pressed"},
        {"when": "tamper", "clear": {"by": "operator"}, "on_missing": "keep"},
    ],
)
def test_silence_signals_and_people_are_ways_to_clear(words: dict[str, object]) -> None:
    quiet = {"tests": [{"name": "x", "given": [{"at": "0s"}], "expect": []}]}
    assert [problem.code for problem in problems(rule(**words, **quiet), CATALOGUE)] == []


def test_errors_come_before_warnings_and_all_of_them_are_told() -> None:
    codes = [code for code, _ in found(label={}, when="tampr", unless="batery < 1", tests=[])]
    assert codes == ["bad_expression", "bad_expression", "no_label", "no_label", "no_tests"]


def test_a_problem_points_at_its_line(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(
        "rule: test\n"
        "label: {en: A test, zh: 测试}\n"
        "for_each: sensor\n"
        "when: tamper\n"
        "raise: {event: fire.test, severity: high}\n"
        "clear:\n"
        "  for: 5s\n"
        "  when: battery\n",
        encoding="utf-8",
    )
    document = load_documents(file)[0]
    problem = problems(validate(document, Rule), CATALOGUE)[0]
    error = document.error(problem.code, problem.message, path=problem.path)
    assert (error.file, error.line) == (str(file), 8)
