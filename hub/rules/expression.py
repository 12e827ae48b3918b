"""Expressions: a small Python-like language to a compiled three-valued verdict.

``and or not``, comparisons, arithmetic, ``in`` over literals. Every name is a property of the rule's kind and every
comparison is checked for type before anything runs. The answer is True, False or None (unknown: a value is missing,
older than its ``stale_after``, or the arithmetic has no result). No attribute access, no calls, no time words.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple, NoReturn

from hub.errors import ConfigError
from hub.model import Quality, Scalar

MAX_LENGTH = 1_000
MAX_NODES = 200

Held = tuple[Scalar, int, int, Quality]
"""One value of a twin: (value, measured_at ns, engine time awake when it came, quality)."""

Verdict = Callable[[Mapping[str, Held], int], Any]
"""(values held, awake engine time) -> True, False, None (unknown), or inside an expression a scalar."""


class ValueType(StrEnum):
    """What an expression node yields."""

    BOOL = "bool"
    NUMBER = "number"
    TEXT = "text"


class Name(NamedTuple):
    """What a rule may say about a property: its type, how long it stays true in ns (None: always), its words."""

    type: ValueType
    stale_after: int | None = None
    allowed: frozenset[str] = frozenset()


class Expression(NamedTuple):
    """A compiled expression, the names it reads, and its text."""

    text: str
    names: frozenset[str]
    verdict: Verdict


class _Node(NamedTuple):
    verdict: Verdict
    type: ValueType
    constant: Scalar | None = None
    name: Name | None = None


_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def compile_expression(text: str, names: Mapping[str, Name]) -> Expression:
    """Check ``text`` against ``names`` and compile it once.

    Raises ConfigError ``bad_expression`` that says what is wrong and which names there are.
    """
    if len(text) > MAX_LENGTH:
        _refuse(text, f"longer than {MAX_LENGTH} characters")
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        _refuse(text, f"cannot be read: {error}")
    if sum(1 for _ in ast.walk(tree)) > MAX_NODES:
        _refuse(text, f"has more than {MAX_NODES} parts")
    compiler = _Compiler(text, names)
    node = compiler.node(tree.body)
    if node.type is not ValueType.BOOL:
        _refuse(text, f"is a {node.type.value}, not a condition")
    return Expression(text, frozenset(compiler.seen), node.verdict)


def _refuse(text: str, why: str, hint: str = "") -> NoReturn:
    code = "bad_expression"
    raise ConfigError(code, f"{text!r} {why}", hint=hint)


class _Compiler:
    """Turns checked syntax nodes into closures; one method per sort of node."""

    def __init__(self, text: str, names: Mapping[str, Name]) -> None:
        self._text = text
        self._names = names
        self.seen: set[str] = set()

    def node(self, node: ast.expr) -> _Node:
        match node:
            case ast.Name():
                return self._name(node)
            case ast.Constant():
                return self._constant(node)
            case ast.Compare():
                return self._compare(node)
            case ast.BoolOp():
                return self._bool(node)
            case ast.UnaryOp():
                return self._unary(node)
            case ast.BinOp():
                return self._arithmetic(node)
            case _:
                _refuse(self._text, f"may not contain {ast.unparse(node)!r}")

    def _name(self, node: ast.Name) -> _Node:
        known = self._names.get(node.id)
        if known is None:
            _refuse(self._text, f"names {node.id!r}", hint=f"known here: {', '.join(sorted(self._names))}")
        self.seen.add(node.id)
        return _Node(_load(node.id, known.stale_after), known.type, name=known)

    def _constant(self, node: ast.Constant) -> _Node:
        value = node.value
        if isinstance(value, bool):
            kind = ValueType.BOOL
        elif isinstance(value, int | float) and math.isfinite(value):
            kind = ValueType.NUMBER
        elif isinstance(value, str):
            kind = ValueType.TEXT
        else:
            _refuse(self._text, f"may not contain {value!r}")
        return _Node(lambda _held, _now: value, kind, constant=value)

    def _compare(self, node: ast.Compare) -> _Node:
        sides = [node.left, *node.comparators]
        parts = [
            self._pair(left, op, right)
            for left, op, right in zip(sides, node.ops, sides[1:], strict=False)
        ]
        return _Node(parts[0] if len(parts) == 1 else _all(parts), ValueType.BOOL)

    def _pair(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Verdict:
        first = self.node(left)
        if isinstance(op, ast.In | ast.NotIn):
            return self._in(first, right, negate=isinstance(op, ast.NotIn))
        compare = _COMPARE.get(type(op))
        if compare is None:
            _refuse(self._text, f"may not use {type(op).__name__.lower()}")
        second = self.node(right)
        self._same_type(first, second)
        if first.type is not ValueType.NUMBER and not isinstance(op, ast.Eq | ast.NotEq):
            _refuse(self._text, f"orders {first.type.value} values")
        return _comparison(compare, first, second)

    def _in(self, item: _Node, choices: ast.expr, *, negate: bool) -> Verdict:
        if not isinstance(choices, ast.Tuple | ast.List | ast.Set):
            _refuse(self._text, "needs literals in round brackets after 'in'")
        nodes = [self.node(choice) for choice in choices.elts]
        for node in nodes:
            self._same_type(item, node)
            if node.constant is None:
                _refuse(self._text, "needs literals after 'in'")
        allowed = frozenset(node.constant for node in nodes)
        inner = item.verdict

        def verdict(held: Mapping[str, Held], now: int) -> bool | None:
            value = inner(held, now)
            return None if value is None else (value in allowed) is not negate

        return verdict

    def _same_type(self, first: _Node, second: _Node) -> None:
        if first.type is not second.type:
            _refuse(self._text, f"compares {first.type.value} with {second.type.value}")
        for one, other in ((first, second), (second, first)):
            words = one.name.allowed if one.name else frozenset()
            if words and isinstance(other.constant, str) and other.constant not in words:
                _refuse(
                    self._text,
                    f"can never be: {other.constant!r} is no value of it",
                    hint=f"its values: {', '.join(sorted(words))}",
                )

    def _bool(self, node: ast.BoolOp) -> _Node:
        parts = [self._condition(value) for value in node.values]
        return _Node(_all(parts) if isinstance(node.op, ast.And) else _any(parts), ValueType.BOOL)

    def _condition(self, node: ast.expr) -> Verdict:
        compiled = self.node(node)
        if compiled.type is not ValueType.BOOL:
            _refuse(self._text, f"uses {ast.unparse(node)!r} as a condition")
        return compiled.verdict

    def _unary(self, node: ast.UnaryOp) -> _Node:
        if isinstance(node.op, ast.Not):
            inner = self._condition(node.operand)

            def negated(held: Mapping[str, Held], now: int) -> bool | None:
                value = inner(held, now)
                return None if value is None else not value

            return _Node(negated, ValueType.BOOL)
        if not isinstance(node.op, ast.USub):
            _refuse(self._text, f"may not contain {ast.unparse(node)!r}")
        number = self._number(node.operand)

        def negative(held: Mapping[str, Held], now: int) -> float | None:
            value = number.verdict(held, now)
            return None if value is None else -value

        constant = None if number.constant is None else -float(number.constant)
        return _Node(negative, ValueType.NUMBER, constant=constant)

    def _number(self, node: ast.expr) -> _Node:
        compiled = self.node(node)
        if compiled.type is not ValueType.NUMBER:
            _refuse(self._text, f"computes with {ast.unparse(node)!r}, which is no number")
        return compiled

    def _arithmetic(self, node: ast.BinOp) -> _Node:
        function = _ARITHMETIC.get(type(node.op))
        if function is None:
            _refuse(self._text, f"may not use {type(node.op).__name__.lower()}")
        left, right = self._number(node.left).verdict, self._number(node.right).verdict

        def verdict(held: Mapping[str, Held], now: int) -> float | None:
            a, b = left(held, now), right(held, now)
            if a is None or b is None:
                return None
            try:
                value: float = function(a, b)
            except (ZeroDivisionError, OverflowError):
                return None
            return value if math.isfinite(value) else None

        return _Node(verdict, ValueType.NUMBER)


def _load(name: str, stale_after: int | None) -> Verdict:
    if stale_after is None:

        def fresh(held: Mapping[str, Held], _now: int) -> Scalar | None:
            entry = held.get(name)
            return None if entry is None else entry[0]

        return fresh

    def load(held: Mapping[str, Held], now: int) -> Scalar | None:
        entry = held.get(name)
        return None if entry is None or now - entry[2] > stale_after else entry[0]

    return load


def _comparison(compare: Callable[[Any, Any], bool], first: _Node, second: _Node) -> Verdict:
    left, right = first.verdict, second.verdict
    if second.constant is not None:  # by far the commonest shape: 0.17 us against 0.24
        constant = second.constant

        def against(held: Mapping[str, Held], now: int) -> bool | None:
            value = left(held, now)
            return None if value is None else compare(value, constant)

        return against

    def verdict(held: Mapping[str, Held], now: int) -> bool | None:
        a, b = left(held, now), right(held, now)
        return None if a is None or b is None else compare(a, b)

    return verdict


def _all(parts: list[Verdict]) -> Verdict:
    def verdict(held: Mapping[str, Held], now: int) -> bool | None:
        answer: bool | None = True
        for part in parts:
            value = part(held, now)
            if value is None:
                answer = None
            elif not value:
                return False
        return answer

    return verdict


def _any(parts: list[Verdict]) -> Verdict:
    def verdict(held: Mapping[str, Held], now: int) -> bool | None:
        answer: bool | None = False
        for part in parts:
            value = part(held, now)
            if value is None:
                answer = None
            elif value:
                return True
        return answer

    return verdict
