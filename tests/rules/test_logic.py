"""Expressions against a slow interpreter of Kleene's tables, and against noise."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.errors import ConfigError
from hub.model.values import Quality, Scalar
from hub.rules.asking import ask
from hub.rules.expression import compile_expression
from hub.rules.held import Held
from tests.rules.words import NAMES, STALE, held

NOW = 10_000
T, F, U = True, False, None
Truth = bool | None

AND: dict[tuple[Truth, Truth], Truth] = {
    (T, T): T, (T, F): F, (T, U): U,
    (F, T): F, (F, F): F, (F, U): F,
    (U, T): U, (U, F): F, (U, U): U,
}  # fmt: skip
OR: dict[tuple[Truth, Truth], Truth] = {
    (T, T): T, (T, F): T, (T, U): T,
    (F, T): T, (F, F): F, (F, U): U,
    (U, T): T, (U, F): U, (U, U): U,
}  # fmt: skip
NOT: dict[Truth, Truth] = {T: F, F: T, U: U}

# A tree is ("name", x) | ("value", v) | (operator, tree, …); its text is written with every bracket.
Tree = tuple[Any, ...]
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
COMPUTE: dict[str, Callable[[Any, Any], float]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
}  # fmt: skip


def write(tree: Tree) -> str:
    word, *parts = tree
    if word in {"name", "value"}:
        return str(parts[0]) if word == "name" else repr(parts[0])
    if word in {"not", "neg"}:
        return f"({'not ' if word == 'not' else '-'}{write(parts[0])})"
    if word in {"in", "not in"}:
        return f"({write(parts[0])} {word} ({', '.join(repr(value) for value in parts[1:])},))"
    return f"({f' {word} '.join(write(part) for part in parts)})"


def judge(tree: Tree, known: Mapping[str, Scalar]) -> Any:  # noqa: ANN401 -- a truth or a scalar
    word, *parts = tree
    if word in {"name", "value"}:
        return known.get(parts[0]) if word == "name" else parts[0]
    if word in {"in", "not in"}:
        found = judge(("or", *(("==", parts[0], ("value", value)) for value in parts[1:])), known)
        return found if word == "in" else NOT[found]
    answers = [judge(part, known) for part in parts]
    match word:
        case "not":
            return NOT[answers[0]]
        case "neg":
            return compute("-", 0, answers[0])
        case "and" | "or":
            return reduce(lambda a, b: (AND if word == "and" else OR)[a, b], answers)
        case _:
            return compute(word, *answers)


def compute(word: str, a: Scalar | None, b: Scalar | None) -> Scalar | None:
    if a is None or b is None:
        return None
    if word in COMPARE:
        return COMPARE[word](a, b)
    try:
        value = COMPUTE[word](a, b)
        return value if abs(float(value)) != float("inf") and value == value else None  # noqa: PLR0124 -- NaN
    except (ZeroDivisionError, OverflowError):
        return None


def leaf(*names: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[Tree]:
    return st.sampled_from(names).map(lambda name: ("name", name)) | values.map(lambda value: ("value", value))


PLAIN = st.integers(0, 10**6) | st.floats(0, 1e300, allow_nan=False, allow_infinity=False)
NUMBERS = st.recursive(
    leaf("level", "count", values=PLAIN),
    lambda inner: st.tuples(st.sampled_from([*COMPUTE]), inner, inner) | st.tuples(st.just("neg"), inner),
    max_leaves=4,
)
WORDS = st.sampled_from(["open", "closed"])
ATOMS = st.one_of(
    st.just(("name", "flag")),
    st.booleans().map(lambda value: ("value", value)),
    st.tuples(st.sampled_from([*COMPARE]), NUMBERS, NUMBERS),
    st.tuples(st.sampled_from(["==", "!="]), st.just(("name", "door")), WORDS.map(lambda word: ("value", word))),
    st.tuples(st.sampled_from(["in", "not in"]), st.just(("name", "door")), WORDS),
    st.tuples(st.sampled_from(["in", "not in"]), NUMBERS, PLAIN, PLAIN),
)
CONDITIONS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.tuples(st.just("not"), inner),
        st.tuples(st.sampled_from(["and", "or"]), inner, inner),
        st.tuples(st.sampled_from(["and", "or"]), inner, inner, inner),
    ),
    max_leaves=6,
).filter(lambda tree: any(name in write(tree) for name in NAMES))

VALUES: dict[str, st.SearchStrategy[Scalar]] = {
    "level": st.floats(allow_nan=False, allow_infinity=False),
    "count": st.integers(-(2**63), 2**63 - 1),
    "flag": st.booleans(),
    "door": WORDS,
}


@st.composite
def twins(draw: st.DrawFn) -> tuple[Held, dict[str, Scalar]]:
    """Return what a twin holds, and what of that is known at ``NOW``."""
    twin = Held()
    known: dict[str, Scalar] = {}
    for name, values in VALUES.items():
        if not draw(st.booleans()):
            continue
        value, age = draw(values), draw(st.sampled_from([0, STALE, STALE + 1]))
        twin.take({name: value}, 0, NOW - age, Quality.GOOD, ())
        limit = NAMES[name].stale_after
        if limit is None or age <= limit:
            known[name] = value
    return twin, known


@settings(max_examples=400)
@given(CONDITIONS, twins())
def test_every_expression_says_what_the_tables_say(tree: Tree, twin: tuple[Held, dict[str, Scalar]]) -> None:
    values, known = twin
    text = write(tree)
    assert compile_expression(text, NAMES).verdict(values, NOW) is judge(tree, known), text


@settings(max_examples=400)
@given(st.lists(CONDITIONS, min_size=1, max_size=3), twins(), st.fixed_dictionaries({}, optional=VALUES))
def test_conditions_asked_together_answer_for_all_of_them(
    trees: list[Tree], twin: tuple[Held, dict[str, Scalar]], said: dict[str, Scalar]
) -> None:
    older, _ = twin
    older.take(said, 0, NOW, Quality.GOOD, ())
    conditions = [compile_expression(write(tree), NAMES) for tree in trees]
    found = {condition.verdict(older, NOW) for condition in conditions}
    try:
        answer = bool(ask(conditions, said)(older.values, older, NOW))
    except (ZeroDivisionError, OverflowError):
        return  # whoever asks judges each alone then
    if True in found or None not in found:
        assert answer is (True in found)


@pytest.mark.parametrize(("word", "table"), [("and", AND), ("or", OR)])
def test_and_and_or_are_kleenes(word: str, table: dict[tuple[Truth, Truth], Truth]) -> None:
    expression = compile_expression(f"flag {word} count > 0", NAMES)
    numbers = {True: {"count": 1}, False: {"count": 0}, None: {}}
    actual = {}
    for first, second in table:
        flags = {} if first is None else {"flag": first}
        actual[first, second] = expression.verdict(held(**flags, **numbers[second]), 0)
    assert actual == table


@given(st.lists(st.sampled_from(["flag", "not flag", "count > 1", "level < 0", "count + 1 * 2 - 3 == 0"]), min_size=1),
       st.data())  # fmt: skip
def test_without_brackets_operators_bind_as_in_python(atoms: list[str], data: st.DataObject) -> None:
    text = atoms[0]
    for atom in atoms[1:8]:
        text += f" {data.draw(st.sampled_from(['and', 'or', 'and not', 'or not']))} {atom}"
    values = {
        "flag": data.draw(st.booleans()),
        "count": data.draw(st.integers(0, 3)),
        "level": data.draw(st.floats(-1, 1)),
    }
    expected = bool(eval(text, {"__builtins__": {}}, values))  # noqa: S307 -- Python is the oracle, the text is ours
    assert compile_expression(text, NAMES).verdict(held(**values), 0) is expected


# --------------------------------------------------------------------------------------------------------------- noise

TOKENS = st.sampled_from([
    *NAMES, "and", "or", "not", "in", "is", "==", "!=", "<", ">=", "+", "-", "*", "/", "**", "%", "(", ")", "[", "]",
    "{", "}", ",", ":", ":=", ".", "1", "0", "0.5", "1e308", "9" * 310, "'open'", "'", '"', "f'x'", "b''", "True",
    "None", "if", "else", "for", "lambda", "await", "yield", "*x", "\\", "\n", "#", "__class__", "@", "...", "1j", "\0",
])  # fmt: skip
ANSWERS = (True, False, None)
NOISE = st.one_of(st.text(), st.lists(TOKENS, max_size=30).map(" ".join), st.lists(TOKENS, max_size=12).map("".join))


@st.composite
def broken(draw: st.DrawFn) -> str:
    """Return an expression of the language with one place changed; many of them still say something."""
    text = write(draw(CONDITIONS))
    place = draw(st.integers(0, len(text)))
    return text[:place] + draw(TOKENS | st.just("")) + text[place + draw(st.integers(0, 2)) :]


@settings(max_examples=400)
@given(NOISE | broken(), twins())
def test_any_text_is_refused_or_always_answers(text: str, twin: tuple[Held, dict[str, Scalar]]) -> None:
    try:
        expression = compile_expression(text, NAMES)
    except ConfigError as refused:
        facts = (refused.code, bool(refused.hint))
    else:
        facts = ("bad_expression", any(expression.verdict(twin[0], NOW) is each for each in ANSWERS))
    assert facts == ("bad_expression", True)
