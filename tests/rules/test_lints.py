"""What is doubtful about a rule that would work: each with its code and place, and the nearest rule that is sound."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from hub.catalogue import Catalogue, Kind
from hub.rules.check import problems
from hub.rules.lints import World
from hub.rules.problem import Path, Weight
from hub.rules.rule import Rule
from tests.rules.words import rule

METER = Kind.model_validate(
    {
        "kind": "meter",
        "label": {"en": "Meter"},
        "properties": {
            "status": {"type": "enum", "values": ["normal", "alarm"], "stale_after": "50h"},
            "battery": {"type": "float", "unit": "%", "range": [0, 100], "stale_after": "50h"},
            "charge": {"type": "float", "unit": "%", "range": [0, 100]},
            "temperature": {"type": "float", "unit": "Cel", "range": [-40, 85]},
            "pulses": {"type": "int", "unit": "1"},
            "tamper": {"type": "bool"},
            "mounted": {"type": "bool"},
            "serial": {"type": "string"},
        },
        "signals": {"meter.opened": {"label": {"en": "Opened"}}},
        "commands": {
            "silence": {
                "label": {"en": "Silence"},
                "args": {"zone": {"type": "int", "unit": "1", "label": {"en": "Z"}}},
            },
            "lock": {"label": {"en": "Lock"}},
            "hush": {
                "label": {"en": "H"},
                "args": {"ttl": {"type": "duration", "label": {"en": "T"}}},
                "release": "lock",
            },
        },
    }
)
CATALOGUE = Catalogue([METER])
CASE = {"name": "x", "given": {"tamper": True}, "expect": []}
SOUND: dict[str, object] = {
    "for_each": "meter", "when": "tamper", "clear": {"when": "not tamper"}, "on_missing": "keep", "tests": [CASE],
}  # fmt: skip
WORLD = World(said={"meter": frozenset({"tamper", "battery", "status"})}, written={"meter": frozenset({"silence"})})


def found(world: World | None = None, /, **words: object) -> list[tuple[str, Path]]:
    checked = problems(rule(**{**SOUND, **words}), CATALOGUE, world)
    assert {problem.weight for problem in checked} <= {Weight.WARNING, Weight.NOTE}
    return [(problem.code, problem.path) for problem in checked]


class Case(NamedTuple):
    """Words that are doubtful, the finding, and the nearest words that are not."""

    words: dict[str, object]
    code: str
    path: Path
    sound: dict[str, object]


CRITICAL: dict[str, object] = {"raise": {"event": "fire.test", "severity": "critical"}}
TWO: dict[str, object] = {"inputs": {"worst": {"take": "increase(pulses)", "within": "1h"}}}
CASES = {
    "a percentage beyond a hundred": Case(
        {"when": "battery > 120"}, "out_of_range", ("when",), {"when": "battery > 90"}
    ),
    "colder than can be": Case(
        {"when": "-60 < temperature and tamper"}, "out_of_range", ("when",), {"when": "-30 < temperature and tamper"}
    ),
    "a bound of a clear condition": Case(
        {"clear": {"when": "battery > 101 or not tamper"}}, "out_of_range", ("clear", "when"),
        {"clear": {"when": "battery > 99 or not tamper"}},
    ),
    "percent compared with degrees": Case(
        {"when": "battery < temperature"}, "unit_mismatch", ("when",), {"when": "battery < charge"}
    ),
    "percent added to degrees": Case(
        {"when": "abs(battery - temperature) > 5"}, "unit_mismatch", ("when",), {"when": "abs(battery - charge) > 5"}
    ),
    "percent compared with pulses that were counted": Case(
        {**TWO, "when": "worst > battery"}, "unit_mismatch", ("when",), {**TWO, "when": "worst > pulses"}
    ),
    "a step no worse than the rule": Case(
        {"ladder": [{"after": "5m", "severity": "medium"}]}, "unreachable_severity", ("ladder", 0, "severity"),
        {"ladder": [{"after": "5m", "severity": "critical"}]},
    ),
    "a step behind a worse one": Case(
        {
            "raise": {"event": "fire.test", "severity": "low"},
            "ladder": [{"after": "5m", "severity": "high"}, {"after": "9m", "severity": "medium"}],
        },
        "unreachable_severity", ("ladder", 1, "severity"),
        {
            "raise": {"event": "fire.test", "severity": "low"},
            "ladder": [{"after": "5m", "severity": "medium"}, {"after": "9m", "severity": "high"}],
        },
    ),
    "critical and told once": Case(CRITICAL, "nobody_notified", ("raise",), {**CRITICAL, "remind": {"every": "5m"}}),
    "critical and others are told only if they are named": Case(
        CRITICAL, "nobody_notified", ("raise",), {**CRITICAL, "escalate": [{"after": "1m", "to": "lead"}]}
    ),
    "a step to those who know": Case(
        {"escalate": [{"after": "1m", "to": "lead"}, {"after": "5m", "to": "lead"}]},
        "told_already", ("escalate", 1, "to"),
        {"escalate": [{"after": "1m", "to": "lead"}, {"after": "5m", "to": "lead", "until": "cleared"}]},
    ),
    "a sensor that sleeps": Case({"on_missing": None}, "no_on_missing", ("when",), {"on_missing": "clear"}),
    "longer than anything is known": Case(
        {"when": "battery < 5", "for": "60h"}, "outlives_values", ("for",), {"when": "battery < 5", "for": "40h"}
    ),
    "what is always true": Case(
        {"when": "status in ('normal', 'alarm')"}, "always_true", ("when",), {"when": "status in ('alarm',)"}
    ),
    "what is never true": Case(
        {"when": "tamper and not tamper"}, "always_false", ("when",), {"when": "tamper or mounted"}
    ),
    "an exception that never is": Case(
        {"unless": "battery < 0"}, "always_false", ("unless",), {"unless": "battery < 1"}
    ),
    "true while nothing is wrong": Case(
        {"when": "status != 'alarm'"}, "true_at_rest", ("when",), {"when": "status != 'normal'"}
    ),
    "an input that nobody asks for": Case(TWO, "unused_input", ("inputs", "worst"), {**TWO, "when": "worst > 5"}),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_is_doubtful_is_told_and_the_nearest_sound_rule_is_not(name: str) -> None:
    case = CASES[name]
    words = {word: said for word, said in {**SOUND, **case.words}.items() if said is not None}
    checked = problems(rule(**words), CATALOGUE)
    assert [(problem.code, problem.path) for problem in checked][:1] == [(case.code, case.path)]
    assert found(None, **case.sound) == []


def test_a_fact_and_a_truth_among_the_params_may_be_either() -> None:
    assert found(facts={"away": False}, params={"wanted": True}, when="tamper and $wanted", unless="$away") == []


def test_as_long_as_something_is_known_is_no_exception_that_always_holds() -> None:
    assert found(unless="battery >= 0") == []


def test_what_is_wrong_when_it_is_false_is_not_at_rest() -> None:
    assert found(when="tamper or not mounted") == []


def test_a_list_may_hold_anything() -> None:
    assert found(when="serial in list('block')") == found(when="serial not in list('allow') and tamper") == []


def test_what_can_hold_is_not_tried_for_ever() -> None:
    numbers = " or ".join(f"(battery > {n} and charge > {n} and temperature > {n} and pulses > {n})" for n in range(5))
    assert found(when=numbers) == []  # twenty thousand combinations


OTHER = Rule.model_validate({**SOUND, "rule": "other", "raise": {"event": "fire.other", "severity": "low"}})


def test_a_rule_that_does_not_exist_inhibits_nothing() -> None:
    world = World(rules={"other": OTHER})
    assert found(world, inhibit={"by": ["other", "othr"]}) == [("unknown_rule", ("inhibit", "by", 1))]


def test_rules_that_hold_each_other_back_are_a_cycle() -> None:
    back = Rule.model_validate({**OTHER.model_dump(by_alias=True, exclude_defaults=True), "inhibit": {"by": "test"}})
    assert found(World(rules={"other": back}), inhibit={"by": "other"}) == [("inhibit_cycle", ("inhibit", "by", 0))]
    assert found(World(rules={"other": OTHER}), inhibit={"by": "other"}) == []


def test_what_no_installed_profile_says_or_can_write_is_noted() -> None:
    assert found(WORLD, when="mounted or tamper") == [("never_said", ("when",))]
    assert found(WORLD, do=[{"command": "silence"}, {"command": "lock"}]) == [
        ("cannot_be_written", ("do", 1, "command"))
    ]
    opened = {"on_signal": "meter.opened", "when": None, "clear": None}
    words = {word: said for word, said in {**SOUND, **opened}.items() if said is not None}
    assert [problem.code for problem in problems(rule(**words), CATALOGUE, WORLD)] == ["never_said"]


def test_a_kind_without_profiles_may_say_anything() -> None:
    assert found(World(), when="mounted or tamper", do=[{"command": "lock"}]) == []


def test_a_command_that_a_profile_cannot_write_for_want_of_an_argument_is_told() -> None:
    world = World(wanted={("meter", "silence"): {"acme/m1": frozenset({"zone", "id"}), "acme/m2": frozenset({"id"})}})
    assert found(world, do=[{"command": "lock"}, {"command": "silence"}]) == [("unsaid_argument", ("do", 1))]
    assert found(world, do=[{"command": "silence", "args": {"zone": 1}}]) == []
    hold = World(wanted={("meter", "hush"): {"acme/m1": frozenset({"ttl"})}})
    assert found(hold, do=[{"command": "hush"}]) == []  # a hold has a time, also where nobody says one
