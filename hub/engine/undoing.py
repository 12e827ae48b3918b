"""What commands and leases were like before a step of a rule, so that one that fails leaves nothing of them behind."""

from __future__ import annotations

from copy import copy

from hub.commands.arbitration import Claim


class Undo:
    """Remembers, from a mark until it is kept or taken, each claim as it was: None of one that there was not yet."""

    def __init__(self) -> None:
        self._is_marked = False
        self._before: dict[str, Claim | None] = {}

    def mark(self) -> None:
        """Begin to remember; steps are not nested."""
        self._is_marked = True
        self._before = {}

    def note(self, entry: str, claim: Claim | None) -> None:
        """Say that a claim, by the key of its entry, is about to change or to come."""
        if self._is_marked and entry not in self._before:
            self._before[entry] = copy(claim)

    def take(self) -> dict[str, Claim | None]:
        """Return what was remembered, newest first, and forget it: after a step that is done, or to undo one."""
        found, self._before, self._is_marked = self._before, {}, False
        return dict(reversed(found.items())) if found else found
