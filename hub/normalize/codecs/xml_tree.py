"""Payloads of XML: texts by the local names of their elements; namespaces are ignored, a DOCTYPE is refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from xml.parsers.expat import ExpatError, ParserCreate  # documents with a DOCTYPE are refused below

from hub.errors import ConfigError, PoisonError
from hub.normalize.codecs.codec import Decode, DecodeMany, Row, Unread
from hub.normalize.limits import MAX_DEPTH, MAX_ELEMENTS
from hub.normalize.payload import Payload
from hub.normalize.places import Place

_DECLARED = re.compile(rb"""<\?xml[^>]{0,80}encoding=["']([A-Za-z0-9._-]+)["']""")
_CHARSETS = {
    **dict.fromkeys((b"utf-8", b"utf8", b"us-ascii", b"ascii"), "utf-8"),
    **dict.fromkeys((b"gb2312", b"gbk", b"cp936", b"gb18030"), "gb18030"),
    **dict.fromkeys((b"iso-8859-1", b"latin-1", b"latin1"), "latin-1"),
    b"windows-1252": "cp1252",
    b"big5": "big5",
}
"""Those that devices declare. Python knows more than is good for us: it keeps each name that it was ever asked for,
however long, and reads punycode in the square of the time: 3 s for 240 kB."""
_MOST_TAGS = 8 * MAX_ELEMENTS


class _Node:
    """One element on the way to what the profile asks for; ``slot`` where its text goes, -1 for nowhere."""

    __slots__ = ("attributes", "children", "is_record", "slot")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.attributes: list[tuple[str, int]] = []
        self.slot = -1
        self.is_record = False


def compile_xml(_payload: Payload, places: Sequence[Place], _unread: Unread) -> Decode:
    """Prepare decoding; paths begin below the root, and of an element that stands twice the first counts.

    PoisonErrors are ``bad_xml``, ``doctype``, ``too_deep`` and ``too_many_elements``. An empty element is absent.
    """
    root = _Node()
    for slot, place in enumerate(places):
        _grow(root, _steps(place), slot)
    width = len(places)
    return lambda data: _Walk(root, width).read(data)[0]


def compile_xml_each(
    payload: Payload, outside: Sequence[Place], places: Sequence[Place], _unread: Unread
) -> DecodeMany:
    """Prepare decoding of elements of which each is a record, below the path ``each``."""
    root, width = _Node(), len(outside) + len(places)
    for slot, place in enumerate(outside):
        _grow(root, _steps(place), slot)
    each = _steps(payload.each or "")
    record = _grow(root, each, -1)
    record.is_record = True
    for slot, place in enumerate(places, len(outside)):
        _grow(record, _steps(place), slot)
    first = len(outside)
    return lambda data: _Walk(root, width).read(data, first)


def _steps(place: Place) -> list[str]:
    steps = place.strip("/").split("/") if isinstance(place, str) else []
    if not steps or not all(steps):
        raise ConfigError("bad_place", f"{place!r} is no path of XML", hint="write path: Outer/inner", place=place)
    return steps


def _grow(node: _Node, steps: Sequence[str], slot: int) -> _Node:
    for index, step in enumerate(steps):
        if step.startswith("@") and index == len(steps) - 1:
            node.attributes.append((step[1:], slot))
            return node
        node = node.children.setdefault(step, _Node())
    if slot >= 0:
        node.slot = slot
    return node


class _Walk:
    """One document on its way through expat."""

    __slots__ = ("_above", "_into", "_node", "_records", "_root", "_row", "_texts")

    def __init__(self, root: _Node, width: int) -> None:
        self._row: list[object] = [None] * width
        self._records: list[list[object]] = []
        self._into = self._row
        self._above: list[_Node | None] = []
        self._node: _Node | None = None
        self._root = root
        self._texts: list[str] = []

    def read(self, data: bytes, first: int = 0) -> Sequence[Row]:
        """Return a row per record, or one; what stands before ``first`` is common to all."""
        if data.count(b"<") > _MOST_TAGS:
            raise PoisonError("too_many_elements", f"more than {_MOST_TAGS} tags")
        walk_through(data, self._start, self._end, self._texts)
        common = self._row[:first]
        return [common + record[first:] for record in self._records] or (self._row,)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        above, node = self._above, self._node
        above.append(node)
        if node is not None:
            found = node.children.get(name)
            node = node.children.get(name.rpartition(":")[2]) if found is None and ":" in name else found
        elif len(above) == 1:
            node = self._root
        elif len(above) > MAX_DEPTH:
            raise PoisonError("too_deep", f"more than {MAX_DEPTH} levels")
        self._node = node
        if node is not None:
            self._texts.clear()
            if node.is_record or node.attributes:
                self._begin(node, attributes)

    def _begin(self, node: _Node, attributes: dict[str, str]) -> None:
        if node.is_record:
            self._into = [None] * len(self._row)
            self._records.append(self._into)
        for attribute, slot in node.attributes:
            self._into[slot] = attributes.get(attribute)

    def _end(self, _name: str) -> None:
        node = self._node
        if node is not None:
            slot = node.slot
            if slot >= 0 and self._into[slot] is None:
                self._into[slot] = "".join(self._texts).strip() or None
            if node.is_record:
                self._into = self._row
            self._texts.clear()
        self._node = self._above.pop()


def walk_through(
    data: bytes, start: Callable[[str, dict[str, str]], None], end: Callable[[str], None], texts: list[str]
) -> None:
    """Tell of each element of a document that it begins and ends, and add what stands in between to ``texts``.

    PoisonError ``bad_xml``, ``doctype``.
    """
    parser = ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = texts.append
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = _refuse_doctype
    try:
        parser.Parse(_as_utf8(data), True)  # noqa: FBT003 -- expat takes it by position
    except ExpatError as error:
        raise PoisonError("bad_xml", str(error)) from None


def _refuse_doctype(*_declared: object) -> None:
    raise PoisonError("doctype", "documents that declare a type or entities are refused")


def _as_utf8(data: bytes) -> bytes:
    """Return the document in UTF-8: expat knows no Chinese charset by itself."""
    declared = _DECLARED.match(data)
    name = b"utf-8" if declared is None else declared[1].lower()
    charset = _CHARSETS.get(name)
    if charset == "utf-8":
        return data
    try:
        if charset is not None:
            return data.decode(charset).encode()
    except UnicodeError:
        pass
    raise PoisonError("bad_xml", f"its declared charset {name[:40].decode()!r} does not read it")
