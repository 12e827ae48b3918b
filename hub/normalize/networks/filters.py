"""Topic filters with holes: what to subscribe to, what a topic says, and whether two can mean the same topic."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from hub.errors import ConfigError

ANY, REST = "+", "#"
HOLE = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_LEVEL = r"[^/]+"
_SPECIAL = frozenset("+#{}")


class TopicFilter:
    """A filter such as ``application/+/device/{device}/event/up``; a hole is one whole level, and is named.

    ``text`` is what is subscribed to, ``names`` the holes. A hole that ``params`` fill is no hole any more; ``+`` as
    its value leaves it open. Raises ConfigError ``bad_filter``.
    """

    def __init__(self, words: str, params: Mapping[str, object]) -> None:
        filled = fill(words, params)
        levels = filled.split("/")
        self.text = HOLE.sub(ANY, filled)
        self.names = tuple(HOLE.findall(filled))
        problem = _problem(levels, self.names)
        if problem:
            hint = "levels between slashes; {device} and + are one whole level, # all that follow"
            raise ConfigError("bad_filter", f"{words!r}: {problem}", hint=hint)
        self._match = re.compile(_expression(levels)).fullmatch

    def read(self, topic: str) -> Mapping[str, str] | None:
        """Return what stands in the holes; None for a topic that the filter does not mean."""
        found = self._match(topic)
        return None if found is None else found.groupdict()


def fill(words: str, params: Mapping[str, object]) -> str:
    """Return ``words`` with every hole filled that ``params`` know and do not leave open."""

    def value(hole: re.Match[str]) -> str:
        known = params.get(hole[1], ANY)
        return hole[0] if known == ANY else str(known)

    return HOLE.sub(value, words)


def _problem(levels: Sequence[str], names: Sequence[str]) -> str:
    odd = [
        level for level in levels if level not in {ANY, REST} and not HOLE.fullmatch(level) and set(level) & _SPECIAL
    ]
    if odd:
        return f"{odd[0]!r} is no level"
    if REST in levels[:-1]:
        return "# is the last level"
    if len(set(names)) < len(names):
        return "a hole stands in it twice"
    if levels[0][:1] == "$":
        return "what begins with $ is the broker's own"
    return "it has an empty level" if "" in levels else ""


def _expression(levels: Sequence[str]) -> str:
    # A wildcard at the first level does not stand for what begins with $ (MQTT 5, 4.7.2).
    guard = r"(?!\$)" if levels[0] in {ANY, REST} or HOLE.fullmatch(levels[0]) else ""
    parts = []
    for index, level in enumerate(levels):
        slash = "/" if index else ""
        hole = HOLE.fullmatch(level)
        if level == REST:
            parts.append(f"(?:{slash}.*)?")
        elif hole is not None:
            parts.append(f"{slash}(?P<{hole[1]}>{_LEVEL})")
        else:
            parts.append(slash + ("[^/]*" if level == ANY else re.escape(level)))
    return f"(?s:{guard}{''.join(parts)})"


def matches(filter_text: str, topic: str) -> bool:
    """Return whether a plain filter means ``topic`` (MQTT 5, 4.7)."""
    return re.fullmatch(_expression(filter_text.split("/")), topic) is not None


def overlap(one: str, other: str) -> bool:
    """Return whether there is a topic that both filters mean: it would be heard twice."""
    a, b = one.split("/"), other.split("/")
    if {a[0], b[0]} & {ANY, REST} and any(level[:1] == "$" for level in (a[0], b[0])):
        return False
    for left, right in zip(a, b, strict=False):
        if REST in {left, right}:
            return True
        if left != right and ANY not in {left, right}:
            return False
    longer = a if len(a) > len(b) else b
    return len(a) == len(b) or longer[min(len(a), len(b)) :] == [REST]
