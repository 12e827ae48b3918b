"""An outlet: a channel as its courier has it: what waits for it, whether it is left alone, and how it fares."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from hub.outward.lanes import Lanes
from hub.outward.parcel import Answer, State, Verdict

RETRIED = "retried"


@dataclass
class Outlet:
    """A channel: what waits for it; and until when it is left alone, after how many failures on end.

    Moments are monotonic here, also those of slips: a clock that somebody sets back would hold everything up.
    ``outcomes`` counts attempts by what became of them; ``delivered_at`` is wall ns, 0 before the first; since
    ``refusing_since`` nothing was taken, though it was tried (None: the last one was), ``refused`` of them for good.
    """

    lanes: Lanes = field(default_factory=Lanes)
    away: int = 0
    failures: int = 0
    closed_until: int = 0
    side_by_side: int = 1
    outcomes: Counter[str] = field(default_factory=Counter)
    delivered_at: int = 0
    refusing_since: int | None = None
    refused: int = 0
    said: str = ""

    @property
    def is_full(self) -> bool:
        """Whether nobody else may leave: after a failure one alone tries whether it goes again."""
        return self.away >= (1 if self.failures else self.side_by_side)

    def note(self, state: State, answer: Answer, wall: int, now: int) -> None:
        """Remember how an attempt came out, at ``wall`` and ``now`` (monotonic)."""
        self.outcomes[RETRIED if state is State.WAITING else state.value] += 1
        if answer.verdict is Verdict.TAKEN:
            self.delivered_at, self.refusing_since, self.refused, self.said = wall, None, 0, ""
            return
        self.refusing_since = now if self.refusing_since is None else self.refusing_since
        self.refused += state is State.DEAD
        self.said = answer.text
