"""What a reading alone rules out never rules out what is true: the short question against the expression itself."""

from __future__ import annotations

import ast

from hypothesis import example, given, settings
from hypothesis import strategies as st

from hub.model.values import Values
from hub.rules.asking import ask_which, needed, possible
from hub.rules.expression import Expression, Name, ValueType, compile_expression, unless
from hub.rules.held import Held

NAMES = {
    "open": Name(ValueType.BOOL), "held": Name(ValueType.BOOL), "speed": Name(ValueType.NUMBER, 10),
    "load": Name(ValueType.NUMBER), "mode": Name(ValueType.TEXT, 10),
}  # fmt: skip
LEAVES = st.sampled_from(
    ["open", "held", "speed > 1", "abs(speed) < 1", "0 < load < 2", "mode == 'up'", "mode in ('up', 'down')",
     "load / speed > 1", "open == held", "max(load, speed) == 2"]
)  # fmt: skip
TEXTS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        inner.map("not ({})".format),
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda it: f"({it[0]}) {it[1]} ({it[2]})"),
    ),
    max_leaves=6,
)
VALUES = st.fixed_dictionaries(
    {},
    optional={
        "open": st.booleans(), "held": st.booleans(), "speed": st.sampled_from([-2.0, 0.0, 1.0, 2.0]),
        "load": st.sampled_from([0.0, 1.0, 2.0]), "mode": st.sampled_from(["up", "down", "none"]),
    },
)  # fmt: skip
AWAKE = 100


def held_after(before: Values, said: Values, age: int) -> Held:
    """Return what is held when ``before`` came ``age`` ago, and ``said`` just now."""
    held = Held()
    held.follow(before, 0, AWAKE - age, held.quality, ())
    held.follow(said, 1, AWAKE, held.quality, ())
    return held


@settings(max_examples=300, deadline=None)
@example("not (open and held)", None, {}, {"open": False, "held": True}, 0)
@example("not (open and held)", None, {}, {"open": False}, 0)
@example("not (not open or not held)", None, {"held": True}, {"open": True}, 0)
@given(TEXTS, st.none() | TEXTS, VALUES, VALUES, st.sampled_from([0, 50]))
def test_what_is_true_is_never_ruled_out(text: str, but: str | None, before: Values, said: Values, age: int) -> None:
    condition = compile_expression(text, NAMES)
    if but is not None:
        condition = unless(condition, compile_expression(but, NAMES))
    held = held_after(before, said, age)
    is_true = bool(condition.verdict(held, AWAKE))
    assert bool(_asked([condition], said, held)) or not is_true
    lacks_a_need = any(held.value(name) is None for name in needed(_tree(condition)))
    assert not (is_true and lacks_a_need)


def _asked(conditions: list[Expression], said: Values, held: Held) -> int:
    try:
        return ask_which(conditions, said)(held.values, held, AWAKE)
    except ZeroDivisionError:
        return (1 << len(conditions)) - 1


def _tree(condition: Expression) -> ast.expr:
    if condition.tree is None:
        raise AssertionError
    return condition.tree


def test_a_reading_rules_out_what_needs_another_value_of_it() -> None:
    condition = compile_expression("held and not open and (speed > 1 or mode == 'up')", NAMES)
    held = held_after({"held": True}, {"open": True, "mode": "up"}, 0)
    assert not _asked([condition], held.values, held)
    assert possible(_tree(condition), ["held", "mode"]) is not None
    assert possible(_tree(condition), ["mode"]) is None
    assert needed(_tree(condition)) == {"held", "open"}


def test_each_condition_has_its_own_bit_and_hundreds_have() -> None:
    texts = ["open", "not open", "held", "not held"] * 300
    conditions = [compile_expression(text, NAMES) for text in texts]
    held = held_after({}, {"open": True, "held": False}, 0)
    found = _asked(conditions, held.values, held)
    assert [bool(found & 1 << number) for number in range(len(texts))] == [True, False, False, True] * 300
    assert _asked([], held.values, held) == 0


def test_what_hinders_a_rule_rules_it_out_when_it_is_known() -> None:
    hindered = unless(compile_expression("speed > 1", NAMES), compile_expression("mode == 'up' or held", NAMES))
    for mode, expected in (("up", 0), ("down", 1)):
        held = held_after({}, {"speed": 2.0, "mode": mode}, 0)
        assert _asked([hindered], held.values, held) == expected


def test_a_name_that_stands_for_something_else_rules_nothing_out() -> None:
    held = held_after({}, {"open": False, "held": True}, 0)
    for text, expected in (("open", 1), ("open and held", 1), ("open and not held", 0)):
        condition = compile_expression(text, NAMES)
        assert ask_which([condition], ["open", "held"], [["open"]])(held.values, held, AWAKE) == expected


def test_of_a_chain_that_is_false_one_comparison_is_enough() -> None:
    assert needed(_tree(compile_expression("not 0 < load < speed", NAMES))) == frozenset()
