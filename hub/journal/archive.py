"""Archived checkpoints: the state as it was now and then, so that what was long ago is done again from nearby."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import structlog

from hub.clock import Clock
from hub.durations import nanoseconds
from hub.journal.files import sync_path
from hub.journal.neighbours import state_path
from hub.journal.room import LOW_BYTES, free_bytes

LOOK_SECONDS = 60.0
DAY_NS = 86_400_000_000_000

log = structlog.get_logger(__name__)


class Archived(NamedTuple):
    """One archived checkpoint: the state behind record ``position``, copied at ``at`` (wall ns)."""

    position: int
    at: int
    path: Path

    @property
    def size(self) -> int:
        """Return its bytes on disk."""
        return self.path.stat().st_size


def archive_path(directory: Path) -> Path:
    """Return where the archived checkpoints of a data directory lie."""
    return directory / "checkpoints"


def archived(directory: Path) -> list[Archived]:
    """Return the archived checkpoints of a data directory in the order of records."""
    found = []
    for path in archive_path(directory).glob("*-*.sqlite"):
        position, _, at = path.stem.partition("-")
        if position.isdecimal() and at.isdecimal():
            found.append(Archived(int(position), int(at), path))
    return sorted(found)


class Archive:
    """Copies the state file's checkpoint every so often, and lets go of old copies; the hub goes on meanwhile.

    A copy is an SQLite file with the state file's tables ``meta`` and ``entries``. Of the last day all are kept, of
    each day before it the first, none whose records the journal has trimmed, and no more than ``limit_bytes``.
    """

    def __init__(self, directory: Path, *, every: timedelta, limit_bytes: int) -> None:
        self._directory = directory
        self._every_ns = nanoseconds(every)
        self._limit_bytes = limit_bytes

    async def run(self, clock: Clock, first: Callable[[], int]) -> None:
        """Keep the archive until cancelled; ``first`` is the first record that the journal holds."""
        while True:
            await clock.sleep(LOOK_SECONDS)
            try:
                await asyncio.to_thread(self.keep, clock.wall_ns(), first())
            except (OSError, sqlite3.DatabaseError) as error:
                log.warning("checkpoint_not_archived", reason=str(error))

    def keep(self, now: int, first: int) -> None:
        """Copy the checkpoint when that is due at wall time ``now``, and let go of what is not needed."""
        newest = archived(self._directory)[-1:]  # by its record: a clock may have been ahead
        if not newest or abs(now - newest[0].at) >= self._every_ns:
            self._copy(now)
        self._thin(now, first)

    def _copy(self, now: int) -> None:
        state, folder = state_path(self._directory), archive_path(self._directory)
        if not state.exists() or free_bytes(state) < LOW_BYTES + state.stat().st_size:
            return
        folder.mkdir(exist_ok=True, mode=0o700)
        draft = folder / "draft"
        draft.unlink(missing_ok=True)
        position = _copied(state, draft)
        if position and position not in {each.position for each in archived(self._directory)}:
            _settle(draft, folder / f"{position:020}-{now}.sqlite")
        else:
            draft.unlink()

    def _thin(self, now: int, first: int) -> None:
        kept: list[Archived] = []
        days: set[int] = set()
        for each in archived(self._directory):
            is_old, day = each.at < now - DAY_NS, each.at // DAY_NS
            if each.position < first - 1 or (is_old and day in days):
                each.path.unlink()
            else:
                days.add(day)
                kept.append(each)
        for each in _beyond(kept, self._limit_bytes):
            each.path.unlink()


def _beyond(kept: Sequence[Archived], limit: int) -> list[Archived]:
    """Return the oldest of them, until the others lie within ``limit`` bytes."""
    over = sum(each.size for each in kept) - limit
    found: list[Archived] = []
    for each in kept:
        if over <= 0:
            break
        over -= each.size
        found.append(each)
    return found


def _copied(state: Path, draft: Path) -> int:
    """Copy the checkpoint of ``state`` as it is at one moment; return its position. SQLite does it without our lock."""
    with closing(
        sqlite3.connect(f"{draft.absolute().as_uri()}?mode=rwc", uri=True, isolation_level=None)
    ) as connection:
        connection.execute("PRAGMA journal_mode=OFF")
        connection.execute("PRAGMA synchronous=OFF")  # it is no checkpoint before its name says so
        connection.execute("ATTACH ? AS live", (f"{state.absolute().as_uri()}?mode=ro",))
        connection.execute("BEGIN")
        connection.execute("CREATE TABLE meta AS SELECT * FROM live.meta")
        connection.execute("CREATE TABLE entries AS SELECT * FROM live.entries")
        connection.execute("COMMIT")
        return int(connection.execute("SELECT value FROM meta WHERE name = 'position'").fetchone()[0])


def _settle(draft: Path, path: Path) -> None:
    draft.chmod(0o600)
    sync_path(draft)
    draft.rename(path)
    sync_path(path.parent)
