"""Expressions: a small Python-like language, checked against the names of a kind and compiled once.

``and or not``, comparisons, arithmetic, ``in`` over literals. Every name is a property of the rule's kind and every
comparison is checked for type before anything runs. The answer is True, False or None (unknown: a value is missing,
older than its ``stale_after``, or the arithmetic has no result). No attribute access, no time words, and no calls but
of :data:`FUNCTIONS`. Nothing repeats, so an expression takes at most as many steps as it has parts.
"""

from __future__ import annotations

import ast
import difflib
import math
import operator
import warnings
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple, NoReturn

from hub.errors import ConfigError
from hub.model.values import Scalar
from hub.rules import verdicts
from hub.rules.verdicts import FUNCTIONS, Compare, Verdict

MAX_LENGTH = 1_000
MAX_NODES = 200
_SHOWN = 80


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


Lists = Mapping[str, frozenset[Scalar]]
"""What stands on each list of the site."""


class Expression(NamedTuple):
    """A compiled expression, the names it reads, and its text.

    ``plain`` is the same in Python's own words, where it has only such: it is true of values that are all there at
    least where the verdict is, and may be anything, or raise, where that is unknown (1 / 0). ``tree`` is its syntax, or
    that of a wider one: the verdict is true only where ``tree`` is, and never where ``but`` is known to be.
    """

    text: str
    names: frozenset[str]
    verdict: Verdict
    plain: ast.expr | None = None
    tree: ast.expr | None = None
    but: ast.expr | None = None


class _Node(NamedTuple):
    verdict: Verdict
    type: ValueType
    constant: Scalar | None = None
    words: frozenset[str] = frozenset()


_COMPARE: dict[type[ast.cmpop], Compare] = {
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
_PLAIN = (
    ast.boolop, ast.unaryop, ast.operator, ast.cmpop, ast.expr_context, ast.BoolOp, ast.UnaryOp, ast.BinOp, ast.Compare,
    ast.Name, ast.Constant, ast.Tuple, ast.List, ast.Set,
)  # fmt: skip

_LANGUAGE = (
    "write names, numbers, 'text', True, False, and or not, == != < <= > >=, + - * /, in ('a', 'b'), "
    f"{' '.join(FUNCTIONS)}"
)
_HINTS: dict[type[ast.expr], str] = {
    ast.Attribute: "a name is one word; a dot stands only inside numbers and text",
    ast.Call: f"the functions are {', '.join(FUNCTIONS)}; for, absent_for and confirm are keys of the rule",
    ast.NamedExpr: "compare with ==; nothing is assigned here",
    ast.IfExp: "write (a and b) or (not a and c)",
    ast.JoinedStr: "write plain text: 'alarm'",
    ast.Tuple: "a list of values stands only after in",
    ast.List: "a list of values stands only after in",
    ast.Set: "a list of values stands only after in",
}


def compile_expression(
    text: str, names: Mapping[str, Name], lists: Lists | None = None, *, may_be_constant: bool = False
) -> Expression:
    """Check ``text`` against ``names`` and compile it once; ``lists`` are those that ``list('block')`` speaks of.

    Raises ConfigError ``bad_expression`` that says what is wrong and, as its hint, what to write instead.
    """
    compiler, (tree, is_plain) = _Compiler(text, names, lists or {}), _parse(text)
    compiled = compiler.condition(tree)
    if not compiler.seen and not may_be_constant:
        _refuse(text, "reads no property", "nothing would ever wake it; known here: " + ", ".join(sorted(names)))
    return Expression(text, frozenset(compiler.seen), compiled, tree if is_plain else None, tree)


def unless(first: Expression, second: Expression) -> Expression:
    """Return ``first`` except where ``second`` is known to be true: what is not known hinders nothing."""
    verdict = verdicts.except_where(first.verdict, second.verdict)
    plain: ast.expr | None = None
    if first.plain is not None and second.plain is not None and not _computes(second.plain):
        plain = ast.BoolOp(ast.And(), [first.plain, ast.UnaryOp(ast.Not(), second.plain)])
    text, names = f"({first.text}) unless ({second.text})", first.names | second.names
    return Expression(text, names, verdict, plain, first.tree, second.tree)


def _computes(tree: ast.expr) -> bool:
    """Return whether it may be unknown though all of its values are there."""
    return any(isinstance(node, ast.BinOp | ast.Call) for node in ast.walk(tree))


@lru_cache(2_048)
def _parse(text: str) -> tuple[ast.expr, bool]:
    """Return the syntax of a text, which nobody changes, and whether it is plain; read once."""
    if len(text) > MAX_LENGTH:
        _refuse(text, f"is longer than {MAX_LENGTH} characters", "make two rules of it")
    try:
        with warnings.catch_warnings(action="error"):  # what warns today (1if x, '\d') is an error in a later Python
            tree = ast.parse(text.strip(), mode="eval")
    except SyntaxError as error:
        _refuse(text, f"cannot be read: {error.msg}, column {error.offset}", _LANGUAGE)
    except (ValueError, RecursionError, MemoryError) as error:
        _refuse(text, f"cannot be read: {error or 'too deep'}", _LANGUAGE)
    if sum(1 for _ in ast.walk(tree)) > MAX_NODES:
        _refuse(text, f"has more than {MAX_NODES} parts", "make two rules of it")
    return tree.body, all(isinstance(node, _PLAIN) for node in ast.walk(tree.body))


def _refuse(text: str, why: str, hint: str) -> NoReturn:
    raise ConfigError("bad_expression", f"{_shown(text)} {why}", hint=hint)


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")


class _Compiler:
    """Turns syntax nodes into closures and refuses what the language does not have; one method per sort of node."""

    def __init__(self, text: str, names: Mapping[str, Name], lists: Lists) -> None:
        self._text = text
        self._names = names
        self._lists = lists
        self.seen: set[str] = set()

    def condition(self, node: ast.expr) -> Verdict:
        """Compile what must be true, false or unknown."""
        compiled = self._node(node)
        if compiled.type is not ValueType.BOOL:
            hint = "compare it with something, such as battery < 20 or door == 'open'"
            _refuse(self._text, f"uses {self._said(node)}, a {compiled.type.value}, as a condition", hint)
        return compiled.verdict

    def _said(self, node: ast.expr) -> str:
        return _shown(ast.get_source_segment(self._text.strip(), node) or self._text)

    def _node(self, node: ast.expr) -> _Node:  # noqa: PLR0911 -- one arm a sort of node
        match node:
            case ast.Name():
                return self._name(node)
            case ast.Constant():
                return self._constant(node)
            case ast.Compare():
                return self._compare(node)
            case ast.BoolOp():
                parts = [self.condition(value) for value in node.values]
                join = verdicts.every if isinstance(node.op, ast.And) else verdicts.some
                return _Node(join(parts), ValueType.BOOL)
            case ast.UnaryOp():
                return self._unary(node)
            case ast.BinOp():
                return self._arithmetic(node)
            case ast.Call(func=ast.Name(id=name), keywords=[]) if name in FUNCTIONS:
                return self._call(node, name)
            case _:
                _refuse(self._text, f"may not contain {self._said(node)}", _HINTS.get(type(node), _LANGUAGE))

    def _name(self, node: ast.Name) -> _Node:
        known = self._names.get(node.id)
        if known is None:
            close = difflib.get_close_matches(node.id, [*self._names, "True", "False"], n=1)
            hint = f"did you mean {close[0]}?" if close else f"known here: {', '.join(sorted(self._names))}"
            _refuse(self._text, f"names {node.id!r}, which is no property here", hint)
        self.seen.add(node.id)
        return _Node(verdicts.load(node.id, known.stale_after), known.type, words=known.allowed)

    def _constant(self, node: ast.Constant) -> _Node:
        value = node.value
        if isinstance(value, bool):
            kind = ValueType.BOOL
        elif isinstance(value, int | float) and _is_finite(value):
            kind = ValueType.NUMBER
        elif isinstance(value, str):
            kind = ValueType.TEXT
        else:
            _refuse(self._text, f"may not contain {self._said(node)}", _LANGUAGE)
        return _Node(verdicts.constant(value), kind, constant=value)

    def _compare(self, node: ast.Compare) -> _Node:
        sides = [node.left, *node.comparators]
        pairs = zip(sides, node.ops, sides[1:], strict=False)
        parts = [self._pair(left, op, right) for left, op, right in pairs]
        return _Node(parts[0] if len(parts) == 1 else verdicts.every(parts), ValueType.BOOL)

    def _pair(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Verdict:
        if isinstance(op, ast.In | ast.NotIn):
            return self._in(self._node(left), right, wanted=isinstance(op, ast.In))
        function = _COMPARE.get(type(op))
        if function is None:
            _refuse(self._text, "may not use is", "write == or !=; on_missing says what becomes of a missing value")
        first, second = self._node(left), self._node(right)
        self._comparable(first, second)
        if first.type is not ValueType.NUMBER and not isinstance(op, ast.Eq | ast.NotEq):
            _refuse(self._text, f"orders {self._said(left)}, a {first.type.value}", "only numbers are less or more")
        if isinstance(left, ast.Name) and second.constant is not None:
            return verdicts.compare_name_to(function, left.id, self._names[left.id].stale_after, second.constant)
        if second.constant is not None:
            return verdicts.compare_to(function, first.verdict, second.constant)
        return verdicts.compare(function, first.verdict, second.verdict)

    def _in(self, item: _Node, choices: ast.expr, *, wanted: bool) -> Verdict:
        if isinstance(choices, ast.Call) and isinstance(choices.func, ast.Name) and choices.func.id == "list":
            return verdicts.member(item.verdict, self._list(item, choices), wanted=wanted)
        literals = choices.elts if isinstance(choices, ast.Tuple | ast.List | ast.Set) else []
        allowed: set[Scalar] = set()
        for literal in literals:
            node = self._node(literal)
            self._comparable(item, node)
            if node.constant is None:
                _refuse(self._text, f"has {self._said(literal)} after in", "only values stand there: in ('a', 'b')")
            allowed.add(node.constant)
        if not allowed:
            _refuse(self._text, f"has {self._said(choices)} after in", "write the values: in ('a', 'b')")
        return verdicts.member(item.verdict, frozenset(allowed), wanted=wanted)

    def _list(self, item: _Node, call: ast.Call) -> frozenset[Scalar]:
        name = call.args[0].value if len(call.args) == 1 and isinstance(call.args[0], ast.Constant) else None
        if not isinstance(name, str) or item.type is not ValueType.TEXT:
            _refuse(self._text, f"may not contain {self._said(call)}", "lists hold text: plate in list('block')")
        return self._lists.get(name, frozenset())

    def _comparable(self, first: _Node, second: _Node) -> None:
        if first.type is not second.type:
            hint = "a number has no quotes, text has them, a truth is True or False"
            _refuse(self._text, f"compares a {first.type.value} with a {second.type.value}", hint)
        here, there = _words(first), _words(second)
        if here and there and here.isdisjoint(there):
            words = first.words or second.words
            said = ", ".join(sorted(there if first.words else here))
            _refuse(self._text, f"says {said}, which is none of its values", f"its values: {', '.join(sorted(words))}")

    def _unary(self, node: ast.UnaryOp) -> _Node:
        match node.op:
            case ast.Not():
                return _Node(verdicts.negation(self.condition(node.operand)), ValueType.BOOL)
            case ast.USub():
                number = self._number(node.operand)
                value = number.constant
                negated = -value if isinstance(value, int | float) else None
                minus = verdicts.arithmetic(operator.sub, verdicts.constant(0), number.verdict)
                return _Node(minus, ValueType.NUMBER, constant=negated)
            case _:
                _refuse(self._text, f"may not contain {self._said(node)}", _LANGUAGE)

    def _number(self, node: ast.expr) -> _Node:
        compiled = self._node(node)
        if compiled.type is not ValueType.NUMBER:
            what = f"computes with {self._said(node)}, a {compiled.type.value}"
            _refuse(self._text, what, "compute with numbers only")
        return compiled

    def _arithmetic(self, node: ast.BinOp) -> _Node:
        function = _ARITHMETIC.get(type(node.op))
        if function is None:
            _refuse(self._text, f"may not contain {self._said(node)}", "compute with + - * / only")
        left, right = self._number(node.left), self._number(node.right)
        return _Node(verdicts.arithmetic(function, left.verdict, right.verdict), ValueType.NUMBER)

    def _call(self, node: ast.Call, name: str) -> _Node:
        function, least, most = FUNCTIONS[name]
        if not least <= len(node.args) <= most:
            wanted = f"{least} value" if least == most else f"{least} to {most} values"
            _refuse(self._text, f"gives {name} {len(node.args)} values", f"{name} takes {wanted}")
        return _Node(verdicts.call(function, [self._number(each).verdict for each in node.args]), ValueType.NUMBER)


def _words(node: _Node) -> frozenset[str]:
    """Return the words a node can be; nothing when it may be any text."""
    return frozenset({node.constant}) if isinstance(node.constant, str) else node.words


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an int beyond every float
        return False
