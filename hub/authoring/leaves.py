"""The leaves of a document: every value of JSON, XML, pairs or a form, with its path; for people who look at it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl

import msgspec

from hub.errors import PoisonError
from hub.normalize.codecs.pairs import Splitter
from hub.normalize.codecs.xml_tree import walk_through
from hub.normalize.limits import MANY_KEYS, MAX_DEPTH, check_json
from hub.normalize.payload import Format, Payload
from hub.normalize.places import path_steps, path_text


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value of a document; ``steps`` lead to it within its record (when it is in one), ``path`` from the top."""

    path: str
    raw: object
    steps: tuple[str, ...]
    record: int | None = None


def leaves_of(payload: Payload, data: bytes) -> Sequence[Leaf]:
    """Return the leaves of a document in their order; PoisonError for what cannot be opened."""
    match payload.format:
        case Format.XML:
            return _xml_leaves(payload, data)
        case Format.TEXT | Format.FORM:
            return _pair_leaves(payload, data)
        case _:
            return _json_leaves(payload, data)


def _json_leaves(payload: Payload, data: bytes) -> list[Leaf]:
    check_json(data, MANY_KEYS)
    try:
        document = msgspec.json.decode(data.decode(errors="replace"))  # the codec skips what no profile asks for
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PoisonError("bad_json", str(error)) from None
    each = path_steps(payload.each) if payload.each else None
    return [
        Leaf(path_text(steps), raw, steps[len(each) + 1 :], int(steps[len(each)]))
        if each is not None and steps[: len(each)] == each and len(steps) > len(each) and steps[len(each)].isdigit()
        else Leaf(path_text(steps), raw, steps)
        for steps, raw in _flat(document, ())
    ]


def _flat(value: object, steps: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], object]]:
    match value:
        case dict() if value:
            for key, inner in value.items():
                yield from _flat(inner, (*steps, str(key)))
        case list() if value:
            for index, inner in enumerate(value):
                yield from _flat(inner, (*steps, str(index)))
        case _:
            yield steps, value


def _pair_leaves(payload: Payload, data: bytes) -> list[Leaf]:
    try:
        text = data.decode("utf-8" if payload.format is Format.FORM else payload.charset)
    except UnicodeDecodeError:
        raise PoisonError("bad_text", f"not {payload.charset}") from None
    if payload.format is Format.FORM:
        return [Leaf(key, value, (key,)) for key, value in parse_qsl(text, True, encoding=payload.charset)]  # noqa: FBT003 -- keep blanks
    split = Splitter(payload)
    if payload.lines is None:
        return [Leaf(key, value, (key,)) for key, value in split(text).items()]
    lines = [line for line in text.split(payload.lines) if line.strip()]
    pairs = [(number, pair) for number, line in enumerate(lines) for pair in split(line).items()]
    return [Leaf(f"{number + 1}: {key}", value, (key,), number) for number, (key, value) in pairs]


def _xml_leaves(payload: Payload, data: bytes) -> list[Leaf]:
    each = tuple(payload.each.strip("/").split("/")) if payload.each else None
    walk = _XmlWalk(each)
    walk_through(data, walk.start, walk.end, walk.texts)
    return walk.leaves


class _XmlWalk:
    """Every element without elements in it, and every attribute; of siblings called the same the later are numbered."""

    def __init__(self, each: tuple[str, ...] | None) -> None:
        self.leaves: list[Leaf] = []
        self.texts: list[str] = []
        self._each = each
        self._record: int | None = None
        self._records = 0
        self._steps: list[str] = []
        self._titles: list[str] = []
        self._seen: list[dict[str, int]] = [{}]
        self._is_leaf = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._steps) > MAX_DEPTH:
            raise PoisonError("too_deep", f"more than {MAX_DEPTH} levels")
        step = name.rpartition(":")[2]
        count = self._seen[-1][step] = self._seen[-1].get(step, 0) + 1
        self._steps.append(step)
        self._titles.append(step if count == 1 else f"{step}[{count}]")
        self._seen.append({})
        if self._each is not None and tuple(self._steps[1:]) == self._each:
            self._record, self._records = self._records, self._records + 1
        for attribute, value in attributes.items():
            self._add(value, f"@{attribute}")
        self.texts.clear()
        self._is_leaf = True

    def end(self, _name: str) -> None:
        if self._is_leaf:
            self._add("".join(self.texts).strip() or None)
        if self._each is not None and tuple(self._steps[1:]) == self._each:
            self._record = None
        for stack in (self._steps, self._titles, self._seen):
            stack.pop()
        self._is_leaf = False

    def _add(self, raw: object, *last: str) -> None:
        steps, titles = (*self._steps[1:], *last), (*self._titles[1:], *last)
        if self._record is not None and self._each is not None:
            steps = steps[len(self._each) :]
        self.leaves.append(Leaf("/".join(titles), raw, steps, self._record))
