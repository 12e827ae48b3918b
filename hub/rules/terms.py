"""The terms of a condition: its parts between ``and``, ``or`` and ``not``, what each read and came to; pure."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import NamedTuple

from hub.model.values import Scalar
from hub.rules.expression import compile_expression
from hub.rules.held import Held
from hub.rules.intervals import Between
from hub.rules.states import CompiledRule


class Seen(NamedTuple):
    """What is known of a name: its value and how old that is (ns); no age: nobody ever said it, or it is an input.

    ``by`` is the key of who said it. Older than ``stale_after`` is unknown.
    """

    name: str
    value: Scalar | Between | None = None
    age: int | None = None
    stale_after: int | None = None
    by: str = ""
    is_input: bool = False

    @property
    def is_stale(self) -> bool:
        """True when a rule takes it for unknown because of its age."""
        return self.age is not None and self.stale_after is not None and self.age > self.stale_after

    @property
    def is_unknown(self) -> bool:
        """True when a rule knows nothing of it."""
        return self.value is None or self.is_stale


class Term(NamedTuple):
    """One term: the word of the rule in which it stands, its text, its answer (None: unknown), what it read."""

    word: str
    text: str
    verdict: bool | None
    seen: tuple[Seen, ...]


class Condition(NamedTuple):
    """A whole expression of a rule and its terms."""

    word: str
    text: str
    verdict: bool | None
    terms: tuple[Term, ...]


Look = Callable[[str], Seen]


def conditions(rule: CompiledRule, look: Look, held: Held, awake: int) -> dict[str, Condition]:
    """Return every condition of ``rule`` by its word, as it is for what is ``held`` at engine time ``awake``."""
    return {word: _condition(rule, word, text, look, held, awake) for word, text in _texts(rule)}


def _texts(rule: CompiledRule) -> Iterator[tuple[str, str]]:
    words, clear = rule.rule, rule.rule.clear
    found = [("when", words.when)]
    if not words.is_momentary:  # there it is about what is said with the moment, which is over
        found.append(("unless", words.unless))
    if clear is not None:
        found += [("clear.when", clear.when), ("clear.refuse_while", clear.refuse_while)]
    found += [(f"ladder.{index}.when", step.when) for index, step in enumerate(words.ladder)]
    yield from ((word, text) for word, text in found if text is not None)


def _condition(  # noqa: PLR0913, PLR0917 -- where, what and when
    rule: CompiledRule, word: str, text: str, look: Look, held: Held, awake: int
) -> Condition:
    def answer(part: str) -> tuple[bool | None, frozenset[str]]:
        compiled = compile_expression(part, rule.scope.names, rule.lists, may_be_constant=True)
        return compiled.verdict(held, awake), compiled.names

    terms = []
    for part in parts(text):
        verdict, names = answer(part)
        terms.append(Term(word, part, verdict, tuple(look(name) for name in sorted(names))))
    return Condition(word, text, answer(text)[0], tuple(terms))


def parts(text: str) -> list[str]:
    """Return what stands between ``and``, ``or`` and ``not`` in ``text``, as it is written there."""
    source = text.strip()
    return [
        ast.get_source_segment(source, node) or ast.unparse(node)
        for node in _leaves(ast.parse(source, mode="eval").body)
    ]


def _leaves(node: ast.expr) -> Iterator[ast.expr]:
    match node:
        case ast.BoolOp():
            for value in node.values:
                yield from _leaves(value)
        case ast.UnaryOp(op=ast.Not()):
            yield from _leaves(node.operand)
        case _:
            yield node
