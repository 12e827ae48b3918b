"""The veil: what is personal by the kinds, or looks like a plate, masked so that people know it again, not learn it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

import msgspec

from hub.catalogue import Kind
from hub.model.effects import AlarmState, Event
from hub.model.heard import Reading
from hub.model.values import Scalar

# With the dot or blank that people write after the letter, and the word that ends a plate of a trailer or of police.
_PLATE = re.compile(r"[\u4e00-\u9fff][A-Z][\s·•.\-]?[A-Z0-9]{4,5}[A-Z0-9挂学警港澳]")
_PLATE_TAIL, _SHORT = 3, 5
_LONG_NUMBER = 100_000
_COMPARES = re.compile(r"[=!<>]=|[<>]|\bin\b")
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_SAY_NOBODY = {"", "none", "unknown"}

HIDDEN = "***"

Noun = TypeVar("Noun", Event, AlarmState)
Other = TypeVar("Other")


def masked(value: str) -> str:
    """Return a plate (鲁B12**5), a card number or a reference (00***7) with its middle hidden."""
    if _PLATE.fullmatch(value):
        return f"{value[:-_PLATE_TAIL]}**{value[-1]}"
    return f"{value[:1]}***" if len(value) < _SHORT else f"{value[:2]}***{value[-1]}"


def masked_plates(text: str) -> str:
    """Return a text with every plate of the mainland in it masked."""
    return _PLATE.sub(lambda found: masked(found[0]), text)


class Veil:
    """Masks what ``kinds`` call personal, under whatever name of theirs it comes; ``lifted`` shows all as it is."""

    def __init__(self, kinds: Iterable[Kind], *, lifted: bool = False) -> None:
        self.is_lifted = lifted
        self._names = frozenset[str]()
        self._kinds: dict[str, frozenset[str]] = {}
        self.learn(kinds)

    def learn(self, kinds: Iterable[Kind]) -> None:
        """Mask also what ``kinds`` call personal; what was masked before stays so."""
        for kind in kinds:
            self._names |= kind.personal
            self._kinds[kind.kind] = self._kinds.get(kind.kind, frozenset()).union(name for name, _ in kind.scalars())

    def hides(self, kind: str | None) -> bool:
        """Return whether a payload of a kind is not to be seen: it may tell of persons, as may one of no known kind."""
        return not self.is_lifted and (kind not in self._kinds or not self._names.isdisjoint(self._kinds[kind]))

    def scalar(self, name: str, said: Scalar) -> Scalar:
        """Return what is said under a name (``plate``, or a rule's ``plate_reader__plate``) as it may be seen."""
        if self.is_lifted:
            return said
        if self._is_personal(name):
            return _masked(said)
        return masked_plates(said) if isinstance(said, str) else said

    def value(self, name: str, said: Other) -> Other | Scalar:
        """Return the same of what a rule knows, which may also be nothing, or something between two numbers."""
        if isinstance(said, bool | int | float | str):
            return self.scalar(name, said)
        return said if said is None or self.is_lifted or not self._is_personal(name) else HIDDEN

    def data(self, said: Mapping[str, Scalar]) -> dict[str, Scalar]:
        """Return values by name as they may be seen."""
        return {name: self.scalar(name, each) for name, each in said.items()}

    def told(self, noun: Noun) -> Noun:
        """Return an event or alarm as it may be seen; what stands in its key is a pseudonym already."""
        key = noun.key.replace("#", "/").split("/")
        data = {name: said if said in key else self.scalar(name, said) for name, said in noun.data.items()}
        return msgspec.structs.replace(noun, data=data)

    def reading(self, reading: Reading) -> Reading:
        """Return what a message came to as it may be seen; its identity may be made of what is personal."""
        if self.is_lifted:
            return reading
        signals = [msgspec.structs.replace(each, data=self.data(each.data)) for each in reading.signals]
        return msgspec.structs.replace(reading, values=self.data(reading.values), signals=signals, identity=None)

    def text(self, said: str) -> str:
        """Return a text of a rule as it may be seen: ``plate == '鲁B12345'`` names somebody, as do plates anywhere."""
        if self.is_lifted:
            return said
        if "'" in said or '"' in said:
            said = self._without_literals(said)
        return masked_plates(said)

    def document(self, said: object, name: str = "") -> object:
        """Return plain JSON, such as the words of a rule, as it may be seen; ``name`` is the one it stands under."""
        match said:
            case dict():
                return {each: self.document(inside, each) for each, inside in said.items()}
            case list() | tuple():
                return [self.document(inside, name) for inside in said]
            case str() if not self._is_personal(name):
                return self.text(said)
            case bool() | int() | float() | str():
                return self.scalar(name, said)
            case _:
                return said

    def _is_personal(self, name: str) -> bool:
        return name.rpartition("__")[2] in self._names

    def _without_literals(self, text: str) -> str:
        """Return an expression in which what a personal name is compared with is masked."""
        if not any(name in text for name in self._names):
            return text
        source = f"({text}\n)"
        try:
            tree = ast.parse(source.replace("$", "_"), mode="eval")
        except (SyntaxError, ValueError):  # not an expression, or several in one text
            return _QUOTED.sub(repr(HIDDEN), text) if _COMPARES.search(text) else text
        begins = [0]
        for line in source.encode().splitlines(keepends=True):
            begins.append(begins[-1] + len(line))
        body = source.encode()
        found = {(each.end_lineno or 1, each.end_col_offset or 0): each for each in self._compared(tree)}
        for (line_number, column), each in sorted(found.items(), reverse=True):  # from the end: what is before stays
            begin, end = begins[each.lineno - 1] + each.col_offset, begins[line_number - 1] + column
            body = body[:begin] + repr(masked(str(each.value))).encode() + body[end:]
        return body.decode()[1:-2]

    def _compared(self, tree: ast.AST) -> Iterator[ast.Constant]:
        """Yield the texts that stand in comparisons with a personal name; names of lists are none."""
        for node in ast.walk(tree):
            sides = [node.left, *node.comparators] if isinstance(node, ast.Compare) else []
            parts = [part for side in sides if not isinstance(side, ast.Call) for part in ast.walk(side)]
            if any(isinstance(part, ast.Name) and self._is_personal(part.id) for part in parts):
                yield from (
                    part
                    for part in parts
                    if isinstance(part, ast.Constant) and isinstance(part.value, str) and part.value not in _SAY_NOBODY
                )


def _masked(said: Scalar) -> str:
    """Return what is personal, masked: of a number nothing is left, unless it is long, as those of cards are."""
    if isinstance(said, str):
        return masked(said)
    return masked(str(said)) if isinstance(said, int) and abs(said) >= _LONG_NUMBER else HIDDEN
