"""Answers to requests: what was done is known by its id, then by its expiry, so that nothing is done twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hub.model.effects import Reply
from hub.model.records import Control

if TYPE_CHECKING:
    from hub.engine.moment import Moment

ANSWER_NS = 300_000_000_000
"""So long an answer is known at least; no request may expire later."""
MAX_ANSWERS = 10_000
AHEAD_NS = 86_400_000_000_000
"""What a clock that was ahead by more has noted refuses nothing: else nobody could ask before that day comes."""


class Answers(msgspec.Struct):
    """Answers to control entries by id with the engine time they are kept until, and when those requests expire.

    ``forgotten`` is the latest expiry of a request whose answer is not known any more. One that the stream may have
    given before, and that expires no later, is not done: it may be one of them, whatever any clock says.
    """

    by_id: dict[str, tuple[int, Reply]] = {}
    expiries: dict[str, int] = {}
    forgotten: int = 0
    newest: str = "0-0"  # of the control stream: the highest taken

    def forget(self, moment: Moment) -> None:
        """Forget some that are old, and that their own expiry refuses from now on."""
        expiries, t, at = self.expiries, moment.t, moment.at
        for old in [key for key, (until, _) in self.by_id.items() if until < t and expiries.get(key, 0) < at][:100]:
            del self.by_id[old]
            self.forgotten = max(self.forgotten, expiries.pop(old, 0))

    def keep(self, control: Control, reply: Reply, moment: Moment) -> None:
        """Keep what ``control`` was answered, if there is room."""
        expires_at = min(control.expires_at, moment.at + ANSWER_NS)  # one that is later was refused
        if len(self.by_id) < MAX_ANSWERS:
            self.by_id[control.id] = (moment.t + ANSWER_NS, reply)
            self.expiries[control.id] = expires_at
        else:
            self.forgotten = max(self.forgotten, expires_at)
