"""Journal and state file opened together: whether they fit, so that nothing that was acted on may be missing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import structlog

from hub.errors import CorruptError
from hub.journal.journal import Journal
from hub.journal.records import Decode
from hub.journal.state_file import Saved, StateFile

log = structlog.get_logger(__name__)


class Pair(NamedTuple):
    """The two files of a partition, and what the state file holds."""

    journal: Journal
    state_file: StateFile
    saved: Saved


def journal_path(directory: Path) -> Path:
    """Return where the journal of a data directory lies."""
    return directory / "journal.sqlite"


def state_path(directory: Path) -> Path:
    """Return where the state file of a data directory lies."""
    return directory / "state.sqlite"


@asynccontextmanager
async def opened(directory: Path, partition: str, decode: Decode) -> AsyncIterator[Pair]:
    """Open both files; the first time they are made.

    CorruptError when one is damaged, missing beside the other, or does not belong to it: ``missing_file``,
    ``journal_shortened``, ``journal_behind_state``, ``journal_begins_late``, ``foreign_state`` … Only the state may be
    missing, beside a journal that nothing was trimmed from: then it is made again from record 1.
    """
    state = state_path(directory)
    journal = Journal(journal_path(directory), partition, decode, must_exist=state.exists())
    async with journal:
        had_state = state.exists()
        async with StateFile(state, journal.id, must_exist=not journal.is_whole) as state_file:
            saved = await state_file.load()
            check_fit(saved, journal, directory)
            await journal.count_untrimmed(saved.position)
            if not had_state and journal.first <= journal.last:
                log.warning("state_rebuilt", records=journal.last - journal.first + 1)
            yield Pair(journal, state_file, saved)


def check_fit(saved: Saved, journal: Journal, directory: Path) -> None:
    """CorruptError unless the journal goes on where the state stands."""
    if saved.position > journal.last:
        raise CorruptError(
            "journal_behind_state",
            f"the state has seen record {saved.position}, the journal ends at {journal.last}",
            file=str(directory),
            hint="acknowledged records are gone: restore the journal from a backup, or `hub journal repair`",
        )
    if journal.after(saved.position) < journal.first:
        raise CorruptError(
            "journal_begins_late",
            f"the state ends at record {saved.position}, the journal begins at {journal.first}",
            file=str(directory),
            hint="restore both files from the same backup",
        )
