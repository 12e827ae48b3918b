"""Which questions a broker has not answered though it answered pings behind them, and for how long."""

from __future__ import annotations

from collections import deque

ANSWER_SECONDS = 20.0
"""How long an answer may take that a ping sent behind its request has overtaken: a broker may hold it back until it has
our acks of a whole window. Behind a backlog answers and pings wait alike, for minutes."""
UNANSWERED = "no_suback: the broker answers pings, but not what was asked before them"
"""Why a connection is left. As long as SUBSCRIBE is unanswered nobody can tell whether all is heard that should be."""


class Overtaken:
    """The questions of one connection, by number, and its pings in the order in which both were written.

    ``is_waiting``: something is unanswered, so a ping behind it would tell.
    """

    def __init__(self) -> None:
        self._asked: set[int] = set()
        self._pings: deque[frozenset[int]] = deque()
        self._waited: dict[int, float] = {}

    @property
    def is_waiting(self) -> bool:
        return bool(self._asked)

    def asked(self, number: int) -> None:
        """Note a question."""
        self._asked.add(number)

    def answered(self, number: int) -> None:
        """Note its answer."""
        self._asked.discard(number)
        self._waited.pop(number, None)

    def pinged(self) -> None:
        """Note that a ping was written behind what has been asked so far."""
        self._pings.append(frozenset(self._asked))

    def ponged(self) -> None:
        """Note the answer to the oldest ping: what was asked before it should have been answered before it."""
        for number in self._pings.popleft() & self._asked if self._pings else ():
            self._waited.setdefault(number, 0.0)

    def listened(self, seconds: float) -> bool:
        """Note that answers could be heard for ``seconds`` more; return whether one is overdue."""
        self._waited = {number: waited + seconds for number, waited in self._waited.items()}
        return max(self._waited.values(), default=0.0) > ANSWER_SECONDS
