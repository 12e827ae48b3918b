"""Conditions asked together: one function that says whether any could be true of a reading, nearly always no."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Sequence
from copy import deepcopy
from typing import Any

from typing_extensions import override

from hub.model.values import Values
from hub.rules.expression import Expression
from hub.rules.held import Held

Ask = Callable[[Values, Held, int], object]
"""(values that came just now, what is held with them, engine time awake) -> something false only when no condition is
true; it may raise what Python's arithmetic does."""
Which = Callable[[Values, Held, int], int]
"""The same, with a bit for each condition that could be true, the first one the lowest."""

_VALUES, _HELD, _AWAKE = "values", "held", "awake"


class _FromValues(ast.NodeTransformer):
    """Names become values."""

    @override
    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.Subscript(_name(_VALUES), ast.Constant(node.id), ast.Load())


def ask(conditions: Sequence[Expression], names: Collection[str]) -> Ask:
    """Return what asks ``conditions`` of a reading of exactly ``names``.

    A plain condition on those names alone knows neither the unknown nor staleness, so it becomes Python itself: four
    comparisons of three rules cost 0.12 us, as closures one by one 0.5. The others are asked as they are.
    """
    found: list[ast.expr] = []
    verdicts: dict[str, object] = {}
    for number, condition in enumerate(conditions):
        found.append(_exactly(condition, names, f"verdict_{number}", verdicts))
    body = ast.BoolOp(ast.Or(), found) if len(found) > 1 else found[0] if found else ast.Constant(value=False)
    asked: Ask = _compiled(body, verdicts)
    return asked


def _exactly(condition: Expression, names: Collection[str], called: str, verdicts: dict[str, object]) -> ast.expr:
    """Return what is true where ``condition`` is; one that is asked as it is is put among ``verdicts``."""
    if condition.plain is not None and condition.names.issubset(names):
        plain: ast.expr = _FromValues().visit(deepcopy(condition.plain))
        return plain
    verdicts[called] = condition.verdict
    return ast.Call(_name(called), [_name(_HELD), _name(_AWAKE)], [])


def ask_which(
    conditions: Sequence[Expression], names: Collection[str], beyond: Sequence[Collection[str]] = (),
    also: Sequence[Expression] = (),
) -> Which:  # fmt: skip
    """Return what asks of a reading of exactly ``names`` which of ``conditions`` could be true with it.

    Whatever else is held: what the reading alone does not rule out is asked as it is, if what it needs was ever said.
    ``beyond``: names of each that stand for something else; of a condition that has such only the rest is asked.
    ``also``: conditions of which the bits, behind those of the others, say whether they are true.
    """
    found: list[ast.expr] = []
    verdicts: dict[str, object] = {}
    for number, condition in enumerate(conditions):
        others = beyond[number] if number < len(beyond) else ()
        known = [name for name in names if name not in others]
        asked = None if condition.tree is None else possible(condition.tree, known)
        if asked is None and others:
            asked = ast.Constant(value=True)
        elif asked is None:
            verdicts[f"verdict_{number}"] = condition.verdict
            asked = ast.Call(_name(f"verdict_{number}"), [_name(_HELD), _name(_AWAKE)], [])
        unhindered = None if condition.but is None else possible(condition.but, known, wanted=False)
        lacking = frozenset() if condition.tree is None else needed(condition.tree).difference(names, others)
        parts = [*map(_was_said, sorted(lacking)), *([] if unhindered is None else [unhindered]), asked]
        asked = ast.BoolOp(ast.And(), parts) if len(parts) > 1 else asked
        found.append(ast.IfExp(asked, ast.Constant(1 << number), ast.Constant(0)))
    for number, condition in enumerate(also, len(conditions)):
        asked = _exactly(condition, names, f"verdict_{number}", verdicts)
        found.append(ast.IfExp(asked, ast.Constant(1 << number), ast.Constant(0)))
    while len(found) > 1:  # by pairs: hundreds of them in a row are too deep for Python
        pairs = zip(found[::2], found[1::2], strict=False)
        found = [*(ast.BinOp(left, ast.BitOr(), right) for left, right in pairs), *found[len(found) & ~1 :]]
    which: Which = _compiled(found[0] if found else ast.Constant(0), verdicts)
    return which


def possible(tree: ast.expr, names: Collection[str], *, wanted: bool = True) -> ast.expr | None:
    """Return what is true of a reading of ``names`` wherever ``tree`` could come to ``wanted``, or to the unknown.

    None: it always could. Other names may be anything. What is computed may be unknown though its names are known: it
    rules nothing out.
    """
    match tree:
        case ast.UnaryOp(op=ast.Not()):
            return possible(tree.operand, names, wanted=not wanted)
        case ast.BoolOp():
            parts = [possible(each, names, wanted=wanted) for each in tree.values]
            known = [each for each in parts if each is not None]
            needs_all = isinstance(tree.op, ast.And) is wanted
            if not known or (not needs_all and len(known) < len(parts)):
                return None
            return known[0] if len(known) == 1 else ast.BoolOp(ast.And() if needs_all else ast.Or(), known)
        case _:
            nodes = list(ast.walk(tree))
            said = all(each.id in names for each in nodes if isinstance(each, ast.Name))
            if not said or any(isinstance(each, ast.BinOp | ast.Call) for each in nodes):
                return None
            plain: ast.expr = _FromValues().visit(deepcopy(tree))
            return plain if wanted else ast.UnaryOp(ast.Not(), plain)


def needed(tree: ast.expr, *, wanted: bool = True) -> frozenset[str]:
    """Return the names without which ``tree`` never comes to ``wanted``."""
    match tree:
        case ast.UnaryOp(op=ast.Not()):
            return needed(tree.operand, wanted=not wanted)
        case ast.BoolOp():
            parts = [needed(each, wanted=wanted) for each in tree.values]
            needs_all = isinstance(tree.op, ast.And) is wanted
            return frozenset.union(*parts) if needs_all else frozenset.intersection(*parts)
        case ast.Compare() if len(tree.ops) > 1 and not wanted:
            return frozenset()  # one of its comparisons decides
        case _:
            nodes = [each for each in ast.walk(tree) if isinstance(each, ast.Name | ast.Call)]
            called = {id(each.func) for each in nodes if isinstance(each, ast.Call)}
            return frozenset(each.id for each in nodes if isinstance(each, ast.Name) and id(each) not in called)


def _compiled(body: ast.expr, verdicts: dict[str, object]) -> Callable[[Values, Held, int], Any]:
    parameters = [ast.arg(name) for name in (_VALUES, _HELD, _AWAKE)]
    arguments = ast.arguments(posonlyargs=[], args=parameters, kwonlyargs=[], kw_defaults=[], defaults=[])
    tree = ast.fix_missing_locations(ast.Expression(ast.Lambda(arguments, body)))
    asked: Callable[[Values, Held, int], Any] = eval(compile(tree, "<conditions>", "eval"), verdicts)  # noqa: S307 -- names, literals, comparisons: plain
    return asked


def _was_said(name: str) -> ast.expr:
    """Return what asks whether anything is held of ``name``, which the reading lacks."""
    return ast.Compare(ast.Constant(name), [ast.In()], [ast.Attribute(_name(_HELD), "older", ast.Load())])


def _name(word: str) -> ast.Name:
    return ast.Name(word, ast.Load())
