"""What the rim notices about itself, as notes for the journal: each becomes an event of the hub's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from hub.model.records import Control
from hub.sinks.retention import Lagging


class Counts(Protocol):
    """The part of a session's counts that is looked at."""

    @property
    def sys_dropped(self) -> int | None: ...


class Reports:
    """Turns notices into control records without an entry (hub/engine/orders.py)."""

    def __init__(self, note: Callable[[Control], None]) -> None:
        self._note = note
        self._dropped = 0

    def tail_lost(self, also: Callable[[], None], expected: int, found: int) -> None:
        """Report that Redis has forgotten records that it had confirmed, and tell ``also``, which wrote others."""
        also()
        self._report("stream_tail_lost", {"expected": expected, "found": found})

    def group_lags(self, lagging: Lagging) -> None:
        """Report that a consumer group owes too much: trimming goes on without it."""
        facts = {"stream": lagging.stream, "group": lagging.group, "owed": lagging.owed, "kept_from": lagging.kept_from}
        self._report("consumer_group_lagging", facts)

    def look_for_drops(self, counts: Sequence[Counts]) -> None:
        """Report what the broker says that it dropped, once per rise: it is gone for good."""
        dropped = max(each.sys_dropped or 0 for each in counts)
        if dropped > self._dropped:
            self._report("broker_dropped_messages", {"dropped": dropped - self._dropped})
        self._dropped = dropped

    def _report(self, name: str, data: Mapping[str, int | str]) -> None:
        self._note(Control("", "", "hub", "report", 0, {"name": name, **data}))
