"""What the rim notices about itself, as notes for the journal: each becomes an event of the hub's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Protocol

from hub.clock import Clock
from hub.model.records import Control
from hub.sinks.retention import Gone, Lagging


class Counts(Protocol):
    """The part of a session's counts that is looked at."""

    @property
    def sys_dropped(self) -> int | None: ...


class Reports:
    """Turns notices into control records without an entry (hub/engine/orders.py).

    ``tails_lost`` counts how often Redis had forgotten something; ``forgot_at`` (monotonic ns) is when it was found the
    last time, ``forgotten`` what.
    """

    def __init__(self, note: Callable[[Control], None], clock: Clock) -> None:
        self.tails_lost = 0
        self.forgot_at: int | None = None
        self.forgotten = ""
        self._note = note
        self._clock = clock
        self._dropped: int | None = None

    def tail_lost(self, others: Sequence[Callable[[], None]], expected: int, found: int) -> None:
        """Report that Redis has forgotten records that it had confirmed, and tell ``others``, who know more of it."""
        for tell in others:
            tell()
        self.tails_lost += 1
        self.forgot_at = self._clock.monotonic_ns()
        self.forgotten = f"what records {found + 1} to {expected} came to"
        self._report("stream_tail_lost", {"expected": expected, "found": found})

    def of_group(self, found: Lagging | Gone) -> None:
        """Report a consumer group that owes too much, trimming goes on without it; or that is gone."""
        match found:
            case Lagging():
                self._report("consumer_group_lagging", asdict(found))
            case Gone():
                self._report("consumer_group_lost", asdict(found))

    def look_for_drops(self, counts: Sequence[Counts]) -> None:
        """Report how many messages the broker says that it dropped: what of that is news the engine knows."""
        totals = [each.sys_dropped for each in counts if each.sys_dropped is not None]
        if totals and max(totals) != self._dropped:
            self._dropped = max(totals)
            self._report("broker_dropped_messages", {"total": self._dropped})

    def _report(self, name: str, data: Mapping[str, int | str]) -> None:
        self._note(Control("", "", "hub", "report", 0, {"name": name, **data}))
