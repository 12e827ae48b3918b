"""What the tests inside a rule cover: a word is covered when some test fails once it is taken away; pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from enum import StrEnum
from typing import NamedTuple

import orjson
from typing_extensions import override

from hub.rules.rule import Rule, write_rule
from hub.rules.settling import asked_of

_SHORT, _LONG, _MANY = "1ms", "365d", 1_000
_PARAM, _STANDS = re.compile(r"\$([a-z][a-z0-9_]*)"), re.compile(r"\bparam__([a-z][a-z0-9_]*)")

Path = tuple[str | int, ...]
Words = dict[str, object]


class Grain(StrEnum):
    """How fine a point is: a whole word of the rule, or a detail of one: a bound, one operand of a condition."""

    WORD = "word"
    DETAIL = "detail"


class Point(NamedTuple):
    """Something that tests should show. ``weakened`` is the rule without it; or ``shown`` is what some test expects."""

    path: Path
    grain: Grain
    weakened: Rule | None = None
    shown: str = ""
    what: str = ""

    @property
    def name(self) -> str:
        """Return it in a word: ``raised``, ``ladder.0``, ``when: tamper``."""
        where = ".".join(str(step) for step in self.path)
        return self.shown or (f"{where}: {self.what}" if self.what else where)


def points_of(rule: Rule, *, details: bool = True) -> list[Point]:
    """Return every point of ``rule``, whole words first; what cannot be left out is none."""
    words = orjson.loads(write_rule(rule))
    shown = [Point(("raise",), Grain.WORD, shown="raised" if rule.is_alarm else "occurred")]
    if rule.is_alarm:
        shown.append(Point(("clear",) if rule.clear else ("raise",), Grain.WORD, shown="cleared"))
    found = [*_changes(words, _WHOLE, Grain.WORD)]
    if details:
        found += [*_changes(words, _DETAILS, Grain.DETAIL), *_operands(words)]
    return [*shown, *(point for change in found if (point := _point(rule, words, change)) is not None)]


class _Change(NamedTuple):
    path: Path
    grain: Grain
    weaken: Callable[[Words, Path], None]
    what: str = ""


def _point(rule: Rule, words: Words, change: _Change) -> Point | None:
    weaker = deepcopy(words)
    change.weaken(weaker, change.path)
    try:
        weakened = Rule.model_validate_json(orjson.dumps(asked_of(weaker)))
    except ValueError:
        return None
    weakened = weakened.model_copy(update={"tests": rule.tests})
    if weakened.model_dump() == rule.model_dump():
        return None  # it says only what holds anyway
    return Point(change.path, change.grain, weakened=weakened, what=change.what)


# ------------------------------------------------------------------------------------------------------ words, details

Weaken = Callable[[Words, Path], None]


def _gone(words: Words, path: Path) -> None:
    del _at(words, path[:-1])[path[-1]]  # type: ignore[attr-defined] # the path was found there


def _becomes(value: object) -> Weaken:
    def weaken(words: Words, path: Path) -> None:
        _at(words, path[:-1])[path[-1]] = value  # type: ignore[index] # the path was found there

    return weaken


def _unconfirmed(words: Words, _: Path) -> None:
    del words["confirm"]
    if "while_pending" in words:
        words["for"] = _SHORT  # else nothing would ever be pending


def _clear_at_once(words: Words, _: Path) -> None:
    """Let it clear when its own condition is over, or for a signal at the next word."""
    clear = _mapping(words["clear"])
    if "when" in words:
        words["clear"] = {word: said for word, said in clear.items() if word != "when"}
    else:
        words["clear"] = {**clear, "when": f"({clear['when']}) or True"}


def _by_itself(words: Words, _: Path) -> None:
    del words["clear"]


def _momentary(words: Words, path: Path) -> None:
    action = _at(words, path[:-1])
    for word in ("until", "at_most"):
        action.pop(word, None)  # type: ignore[attr-defined] # the path was found there


_WHOLE: Mapping[Path, Weaken] = {
    ("unless",): _gone, ("where",): _gone, ("for",): _becomes(_SHORT), ("absent_for",): _becomes(_SHORT),
    ("confirm",): _unconfirmed, ("count",): _gone, ("without",): _gone, ("schedule",): _gone, ("counting",): _gone,
    ("while_pending", "*"): _gone, ("do", "*"): _gone, ("ladder", "*"): _gone, ("remind",): _gone,
    ("escalate", "*"): _gone, ("inhibit",): _gone, ("clear", "by"): _by_itself, ("clear", "role"): _gone,
    ("clear", "refuse_while"): _gone, ("clear", "when"): _clear_at_once, ("clear", "for"): _gone,
    ("clear", "absent_for"): _becomes(_SHORT), ("inputs", "*", "unless"): _gone,
    ("on_missing",): _gone,
}  # fmt: skip
_DETAILS: Mapping[Path, Weaken] = {
    ("confirm", "of"): _becomes(_MANY), ("confirm", "within"): _becomes(_LONG), ("count", "within"): _becomes(_LONG),
    ("without", "within"): _becomes(_LONG), ("without", "settle"): _becomes(_SHORT),
    ("count", "distinct"): _gone, ("inhibit", "wait"): _gone, ("inputs", "*", "fresh"): _gone,
    ("remind", "until"): _gone, ("escalate", "*", "until"): _gone,
    ("inhibit", "settle"): _becomes(_SHORT), ("inputs", "*", "within"): _becomes(_LONG),
    ("ladder", "*", "when"): _gone, ("ladder", "*", "after"): _gone,
    ("do", "*", "at_most"): _gone, ("do", "*", "until"): _momentary,
}  # fmt: skip
_EXPRESSIONS: Sequence[Path] = (
    ("when",), ("unless",), ("where",), ("clear", "when"), ("clear", "refuse_while"),
    ("ladder", "*", "when"), ("inputs", "*", "where"),
)  # fmt: skip
"""Where each word stands (``*``: each of a list or mapping), and what it is without it."""


def _changes(words: Words, table: Mapping[Path, Weaken], grain: Grain) -> Iterator[_Change]:
    for pattern, weaken in table.items():
        for path in _found(words, pattern):
            yield _Change(path, grain, weaken)


def _found(words: object, pattern: Path) -> Iterator[Path]:
    if not pattern:
        yield ()
        return
    head, rest = pattern[0], pattern[1:]
    if head == "*":
        steps: Iterable[str | int] = words if isinstance(words, dict) else range(len(_list(words)))
    else:
        steps = [head] if head in _mapping(words) else []
    for step in steps:
        for path in _found(words[step], rest):  # type: ignore[index] # it was found there
            yield (step, *path)


# ------------------------------------------------------------------------------------------------------------ operands


def _operands(words: Words) -> Iterator[_Change]:
    """Yield each operand of every ``and`` and ``or``: without it the condition is true, or false, too often."""
    for path in (path for pattern in _EXPRESSIONS for path in _found(words, pattern)):
        for operand, weaker in _weaker(str(_at(words, path))):
            yield _Change(path, Grain.DETAIL, _becomes(weaker), operand)


def _weaker(text: str) -> Iterator[tuple[str, str]]:
    """Yield (operand, the text without it) for every operand in ``text``."""
    tree = ast.parse(_PARAM.sub(r"param__\1", text.strip()), mode="eval")
    for node in ast.walk(tree):
        if not isinstance(node, ast.BoolOp):
            continue
        operands = list(node.values)
        for index, operand in enumerate(operands):
            node.values = operands[:index] + operands[index + 1 :]
            yield _written(operand), _written(_single(tree))
        node.values = operands


def _single(tree: ast.Expression) -> ast.AST:
    """Return a copy in which an ``and`` or ``or`` of one operand is that operand."""

    class Folded(ast.NodeTransformer):
        @override
        def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
            self.generic_visit(node)
            return node.values[0] if len(node.values) == 1 else node

    return Folded().visit(deepcopy(tree))  # type: ignore[no-any-return] # ast says Any


def _written(node: ast.AST) -> str:
    return _STANDS.sub(r"$\1", ast.unparse(node))


def _at(words: object, path: Path) -> object:
    for step in path:
        words = words[step]  # type: ignore[index] # the path was found there
    return words


def _mapping(words: object) -> Mapping[str, object]:
    return words if isinstance(words, dict) else {}


def _list(words: object) -> list[object]:
    return words if isinstance(words, list) else []
