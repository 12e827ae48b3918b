"""Whether an expression makes sense: units that fit, numbers that can be, whether it is ever true or false; pure."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from hub.catalogue import Said
from hub.model.values import Scalar
from hub.rules.expression import Name, ValueType, compile_expression
from hub.rules.held import Held

MOST = 5_000
"""How many combinations of values are tried."""
OUT_OF_RANGE = "out_of_range"
_LIST = re.compile(r"list\(\s*['\"]([^'\"]*)['\"]\s*\)")
_LISTED, _OTHER = "\0listed", "\0other"
_RESTING = "normal"


class Fact(NamedTuple):
    """What is known of a name before any device speaks: its type, unit, range, and words."""

    type: ValueType
    unit: str | None = None
    range: tuple[float, float] | None = None
    words: frozenset[str] = frozenset()


def fact_of(name: Name, properties: Sequence[Said]) -> Fact:
    """Return what is known of a name that stands for ``properties``: units that differ are none, ranges are joined."""
    units = {each.unit for each in properties}
    ranges = [each.range for each in properties]
    known = [each for each in ranges if each is not None]
    widest = (min(low for low, _ in known), max(high for _, high in known)) if known and None not in ranges else None
    return Fact(name.type, units.pop() if len(units) == 1 else None, widest, name.allowed)


# ------------------------------------------------------------------------------------------------- units and numbers


def oddities(text: str, facts: Mapping[str, Fact]) -> Iterator[tuple[str, str]]:
    """Yield (code, message) for each comparison and sum in ``text`` of what cannot be compared or added."""
    tree = ast.parse(text.strip(), mode="eval")
    for node in ast.walk(tree):
        match node:
            case ast.Compare():
                sides = [node.left, *node.comparators]
                for left, right in itertools.pairwise(sides):
                    yield from _mismatch(left, right, facts)
                    yield from (*_impossible(left, right, facts), *_impossible(right, left, facts))
            case ast.BinOp(op=ast.Add() | ast.Sub()):
                yield from _mismatch(node.left, node.right, facts)
            case _:
                pass


def _mismatch(left: ast.expr, right: ast.expr, facts: Mapping[str, Fact]) -> Iterator[tuple[str, str]]:
    one, other = _unit(left, facts), _unit(right, facts)
    if one is not None and other is not None and one != other:
        said = f"{ast.unparse(left)} is in {one}, {ast.unparse(right)} in {other}"
        yield "unit_mismatch", said


def _unit(node: ast.expr, facts: Mapping[str, Fact]) -> str | None:
    match node:
        case ast.Name():
            return facts[node.id].unit if node.id in facts else None
        case ast.BinOp(op=ast.Add() | ast.Sub()):
            return _unit(node.left, facts) or _unit(node.right, facts)
        case ast.UnaryOp():
            return _unit(node.operand, facts)
        case ast.Call(args=[first, *_]):
            return _unit(first, facts)
        case _:
            return None


def _impossible(name: ast.expr, value: ast.expr, facts: Mapping[str, Fact]) -> Iterator[tuple[str, str]]:
    known = facts.get(name.id) if isinstance(name, ast.Name) else None
    number = _number(value)
    if known is not None and known.range is not None and number is not None:
        low, high = known.range
        if not low <= number <= high:
            unit = f" {known.unit}" if known.unit not in {None, "1"} else ""
            yield OUT_OF_RANGE, f"{ast.unparse(name)} is {low:.12g} to {high:.12g}{unit}, never {number:.12g}"


def _number(node: ast.expr) -> float | None:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return float(number)
        case ast.UnaryOp(op=ast.USub()):
            positive = _number(node.operand)
            return None if positive is None else -positive
        case _:
            return None


# ----------------------------------------------------------------------------------------------------- ever true, false


def answers(text: str, names: Mapping[str, Name], facts: Mapping[str, Fact]) -> set[bool] | None:
    """Return what ``text`` comes to over every kind of value that its names can have; None: too many to try."""
    lists = {name: frozenset({_LISTED}) for name in _LIST.findall(text)}
    compiled = compile_expression(text, names, lists, may_be_constant=True)
    used = sorted(compiled.names)
    constants = _constants(text)
    choices = [_choices(facts[name], constants) for name in used]
    count = 1
    for each in choices:
        count *= len(each)
    if count > MOST:
        return None
    found = set()
    for values in itertools.product(*choices):
        verdict = compiled.verdict(Held(values=dict(zip(used, values, strict=True))), 0)
        found.add(bool(verdict))
        if len(found) > 1:
            break
    return found


def is_true_at_rest(text: str, names: Mapping[str, Name], facts: Mapping[str, Fact]) -> bool:
    """Return whether ``text`` is true while nothing but what is normal is said, however truths are meant."""
    lists = dict.fromkeys(_LIST.findall(text), frozenset[Scalar]())
    compiled = compile_expression(text, names, lists, may_be_constant=True)
    normal: dict[str, Scalar] = {name: _RESTING for name in compiled.names if _RESTING in facts[name].words}
    truths = [name for name in sorted(compiled.names) if facts[name].type is ValueType.BOOL]
    if 2 ** len(truths) > MOST:
        return False
    return all(
        compiled.verdict(Held(values={**normal, **dict(zip(truths, values, strict=True))}), 0) is True
        for values in itertools.product((False, True), repeat=len(truths))
    )


def _constants(text: str) -> list[Scalar]:
    tree = ast.parse(text.strip(), mode="eval")
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str | int | float)
    ]


def _choices(fact: Fact, constants: Sequence[Scalar]) -> list[Scalar]:
    match fact.type:
        case ValueType.BOOL:
            return [False, True]
        case ValueType.TEXT:
            words = fact.words or {each for each in constants if isinstance(each, str)} | {_LISTED, _OTHER}
            return sorted(words)
        case ValueType.NUMBER:
            low, high = fact.range or (float("-inf"), float("inf"))
            numbers = [float(each) for each in constants if not isinstance(each, str | bool)] or [0.0]
            ends = [end for end in (low, high) if abs(end) != float("inf")]
            near = {each for number in numbers for each in (number - 1, number, number + 1, -number)}
            return sorted({each for each in near if low <= each <= high} | set(ends)) or [0.0]
