"""Every word of the language is tested: made a no-op in the compiled rule, one at a time, it fails a named case."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from hub.engine import circumstances
from hub.rules.clauses import NOW, TIME, Remind
from hub.rules.inputs import CompiledInput
from hub.rules.names import names_of
from hub.rules.rule import OnMissing, Rule
from hub.rules.states import CompiledRule, Quorum
from tests.rules.cases.case import differences
from tests.rules.cases.table import CASES
from tests.rules.words import SENSOR, rule

TAKES = (*NOW, *TIME)


def nothing(rule: CompiledRule, **words: object) -> None:
    """Take words of the rule itself away."""
    rule.rule = rule.rule.model_copy(update=words)


def no_for(rule: CompiledRule) -> None:
    rule.for_ns = 0


def no_silence(rule: CompiledRule) -> None:
    rule.absent_ns = None


def no_unless(rule: CompiledRule) -> None:
    rebuilt = CompiledRule(rule.rule.model_copy(update={"unless": None}), rule.scope)
    rule.when, rule.where = rebuilt.when, rebuilt.where


def one_is_enough(rule: CompiledRule) -> None:
    rule.quorum = None


def any_distance(rule: CompiledRule) -> None:
    rule.quorum = rule.quorum and rule.quorum._replace(within_ns=10**18)


def any_frames(rule: CompiledRule) -> None:
    rule.quorum = rule.quorum and Quorum(rule.quorum.times, 1_000, rule.quorum.within_ns)


def no_clear_when(rule: CompiledRule) -> None:
    rule.clear = None
    if rule.rule.clear is not None and rule.rule.clear.when is not None:
        nothing(rule, clear=None)


def no_clear_for(rule: CompiledRule) -> None:
    rule.clear_ns = 0


def no_person(rule: CompiledRule) -> None:
    rule.latched = False


def clear_without(rule: CompiledRule, **words: object) -> None:
    if rule.rule.clear is not None:
        nothing(rule, clear=rule.rule.clear.model_copy(update=words))


def inhibit_with(rule: CompiledRule, **words: object) -> None:
    if rule.rule.inhibit is not None:
        nothing(rule, inhibit=rule.rule.inhibit.model_copy(update=words))


def steps_with(rule: CompiledRule, **words: object) -> None:
    nothing(rule, escalate=[step.model_copy(update=words) for step in rule.rule.escalate])


def anybody(rule: CompiledRule) -> None:
    rule.quorum = rule.quorum and rule.quorum._replace(distinct=None)


def for_each_without(rule: CompiledRule, **words: object) -> None:
    nothing(rule, for_each=rule.rule.for_each.model_copy(update=words))


def no_missing(rule: CompiledRule) -> None:
    rule.minds_missing = False
    nothing(rule, on_missing=OnMissing.KEEP)


def no_hold(rule: CompiledRule) -> None:
    nothing(rule, do=[action.model_copy(update={"until": None}) for action in rule.rule.do])


def no_pending(rule: CompiledRule) -> None:
    rule.while_pending = []


def no_inputs(rule: CompiledRule) -> None:
    rule.inputs = {}


def no_where(rule: CompiledRule) -> None:
    for each in rule.inputs.values():
        each.where = None


def no_exception(rule: CompiledRule) -> None:
    for name, each in rule.inputs.items():
        each.where = CompiledInput(rule.rule.inputs[name].model_copy(update={"unless": None}), names_of([SENSOR])).where


def never_stale(rule: CompiledRule) -> None:
    for each in rule.inputs.values():
        each._limit = None  # noqa: SLF001 -- what fresh comes to


def no_within(rule: CompiledRule) -> None:
    for each in rule.inputs.values():
        each.within_ns = None if each.take in {"any", "count", "distinct"} else 1


def stretched(rule: CompiledRule, **words: object) -> None:
    if rule.rule.without is not None:
        nothing(rule, without=rule.rule.without.model_copy(update=words))


NO_OPS: dict[str, Callable[[CompiledRule], None]] = {
    "when": lambda rule: setattr(rule, "when", None),
    "unless": no_unless,
    "for": no_for,
    "confirm": one_is_enough,
    "confirm.of": any_frames,
    "confirm.within": any_distance,
    "count": one_is_enough,
    "count.within": any_distance,
    "count.distinct": anybody,
    "while_pending": no_pending,
    "absent_for": no_silence,
    "on_signal": lambda rule: nothing(rule, on_signal="another.signal"),
    "on_value": lambda rule: nothing(rule, on_value="pulses"),
    "where": lambda rule: setattr(rule, "where", None),
    "clear": lambda rule: nothing(rule, clear=None),
    "clear.when": no_clear_when,
    "clear.for": no_clear_for,
    "clear.by": no_person,
    "clear.role": lambda rule: clear_without(rule, role=None),
    "clear.refuse_while": lambda rule: setattr(rule, "refuse_while", None),
    "clear.absent_for": lambda rule: setattr(rule, "quiet_ns", None),
    "for_each.value": lambda rule: for_each_without(rule, value="spare"),
    "for_each.of": lambda rule: setattr(rule, "kinds", rule.kinds | {"gate"}),
    "for_each.forget_after": lambda rule: setattr(rule, "forget_ns", rule.forget_ns and 10**18),
    "on_missing": no_missing,
    "do": lambda rule: nothing(rule, do=[]),
    "do.until": no_hold,
    "ladder": lambda rule: setattr(rule, "ladder", []),
    "ladder.when": lambda rule: setattr(rule, "ladder", [(step, None) for step, _ in rule.ladder]),
    "ladder.after": lambda rule: setattr(
        rule, "ladder", [(step.model_copy(update={"after": timedelta(0)}), each) for step, each in rule.ladder]
    ),
    "remind": lambda rule: nothing(rule, remind=None),
    "remind.at": lambda rule: nothing(rule, remind=rule.rule.remind and Remind.model_validate({"every": "1m"})),
    "escalate": lambda rule: nothing(rule, escalate=[]),
    "escalate.after": lambda rule: steps_with(rule, after=timedelta(seconds=1)),
    "escalate.to": lambda rule: steps_with(rule, to="nobody"),
    "escalate.until": lambda rule: steps_with(rule, until="acknowledged"),
    "inhibit": lambda rule: nothing(rule, inhibit=None),
    "inhibit.in": lambda rule: inhibit_with(rule, within="site"),
    "inhibit.wait": lambda rule: inhibit_with(rule, wait=timedelta(0)),
    "inhibit.settle": lambda rule: inhibit_with(rule, settle=timedelta(0)),
    "counting": lambda rule: nothing(rule, counting=None),
    "without": lambda rule: setattr(rule, "settle_ns", None),
    "without.within": lambda rule: stretched(rule, within=timedelta(days=1)),
    "without.settle": lambda rule: setattr(rule, "settle_ns", 0),
    "inputs": no_inputs,
    "inputs.where": no_where,
    "inputs.unless": no_exception,
    "inputs.fresh": never_stale,
    "inputs.within": no_within,
}
"""Each word, and what makes it a no-op in a compiled rule."""

BEYOND: dict[str, tuple[object, str, object]] = {
    "params": (Rule, "settled", lambda rule, _values: rule),
    "schedule": (circumstances, "opening", lambda *_: (True, None)),
    "facts": (Rule, "settled", lambda rule, _values: rule),
}
"""Words that are gone before a rule is compiled, and what makes them no-ops."""

NEUTRAL = {"rule", "version", "label", "raise", "tests"}
"""Words that name the rule, and those without which it would be none."""


def users(word: str) -> list[str]:
    """Return the cases whose rule uses ``word``."""
    head, _, tail = word.partition(".")
    found = []
    for name, case in CASES.items():
        said = case.words.get(head)
        parts = said if isinstance(said, list) else list(said.values()) if head == "inputs" and said else [said]  # type: ignore[attr-defined]
        if said is not None and (not tail or any(isinstance(part, dict) and tail in part for part in parts)):
            found.append(name)
    return found


def test_there_is_a_no_op_for_every_word_of_a_rule() -> None:
    words = {field.alias or name for name, field in Rule.model_fields.items()}
    assert words - NEUTRAL == {word.partition(".")[0] for word in NO_OPS} | set(BEYOND)


@pytest.mark.parametrize("word", NO_OPS)
def test_a_word_that_does_nothing_fails_a_case(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = CompiledRule.__init__

    def weakened(rule: CompiledRule, *words: Any, **named: Any) -> None:  # noqa: ANN401 -- handed through as it came
        whole(rule, *words, **named)
        monkeypatch.setattr(CompiledRule, "__init__", whole)
        NO_OPS[word](rule)
        monkeypatch.setattr(CompiledRule, "__init__", weakened)

    names = users(word)
    assert [name for name in names if differences(CASES[name])] == []
    monkeypatch.setattr(CompiledRule, "__init__", weakened)
    assert [name for name in names if differences(CASES[name])], f"all of these pass without {word}: {names}"


@pytest.mark.parametrize("word", BEYOND)
def test_a_word_that_is_never_filled_in_fails_a_case(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    target, name, replacement = BEYOND[word]
    monkeypatch.setattr(target, name, replacement)
    names = users(word)
    assert [each for each in names if differences(CASES[each])], f"all of these pass without {word}: {names}"


@pytest.mark.parametrize("take", TAKES)
def test_an_input_that_takes_nothing_fails_a_case(take: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [
        name for name, case in CASES.items() for each in rule(**case.words).inputs.values() if each.taken[0] == take
    ]
    whole = CompiledInput.value
    nothing_of = lambda each, *words: (None, None) if each.take == take else whole(each, *words)  # noqa: E731 -- one use
    monkeypatch.setattr(CompiledInput, "value", nothing_of)
    assert [each for each in names if differences(CASES[each])], f"all of these pass without {take}: {names}"
