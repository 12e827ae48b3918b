"""Whether journal and state fit together: nothing that was acted on may be missing."""

from __future__ import annotations

from pathlib import Path

from hub.errors import CorruptError
from hub.journal.journal import Journal
from hub.journal.state_file import Saved


def check_neighbours(saved: Saved, journal: Journal, directory: Path) -> None:
    """CorruptError ``journal_behind_state`` or ``journal_begins_late`` when records are missing between the two."""
    if saved.position > journal.last:
        raise CorruptError(
            "journal_behind_state",
            f"the state has seen record {saved.position}, the journal ends at {journal.last}",
            file=str(directory),
            hint="records that were acknowledged are gone; restore the journal from a backup",
        )
    if saved.position + 1 < journal.first:
        raise CorruptError(
            "journal_begins_late",
            f"the state ends at record {saved.position}, the journal begins at {journal.first}",
            file=str(directory),
        )
