"""Repair of a damaged journal: what the hub can go on with into a new file, and exactly what was cut."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from hub.end_mark import EndMark
from hub.errors import ConfigError
from hub.journal.damaged import Damaged, Survey
from hub.journal.files import Lock, connect, expected_tables, sync_path, translate
from hub.journal.gaps import Gap, Gaps, write_gap
from hub.journal.journal import SCHEMA, VERSION
from hub.journal.neighbours import journal_path, state_path
from hub.journal.readings import Progress, read_progress
from hub.journal.records import Decode

SIDES = ("", "-wal", "-shm")
FRESH = ".repaired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Records ``first`` to ``last`` are not in the new file; ``readable`` of them hold ``messages``, heard in between.

    ``is_applied``: the engine's state holds their effects, so that only trace and replay miss them.
    """

    first: int
    last: int
    is_applied: bool
    readable: int
    messages: int
    received_from: int
    received_to: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """``kept`` is (first, last), None for nothing; ``damaged`` is the file as it was, None when nothing was wrong.

    ``next_position`` is above every position that was ever given, so that no cursor takes a new record for an old one.
    """

    kept: tuple[int, int] | None
    cuts: list[Cut]
    next_position: int
    damaged: Path | None


class _Whole(NamedTuple):
    """What must be written: identity, and the run of records."""

    meta: dict[str, str]
    first: int
    last: int


def repair(directory: Path, partition: str, decode: Decode) -> Repair:
    """Make the journal in ``directory`` one that the hub can go on with; no hub may run there.

    Kept are the whole records that go on from the state without a hole, and those before them as far back as they are
    whole. ConfigError, and nothing is changed: nothing is there, it belongs to another partition or state, or the state
    cannot be read (without it nobody knows what has been applied).
    """
    path = journal_path(directory)
    mark = EndMark(path.with_suffix(".end"))
    if not (path.exists() or mark.path.exists() or state_path(directory).exists()):
        raise ConfigError("journal_missing", "no hub has worked in this directory", file=str(directory))
    with Lock(directory), closing(mark):
        _take_back(path)
        progress = read_progress(state_path(directory))
        with closing(Damaged(path, decode)) as damaged:
            survey = _survey(damaged, progress, mark)
            meta = {"id": _identity(damaged, progress, mark, path), "partition": partition, "version": VERSION}
            whole = _Whole(meta, *survey.kept())
            report = _report(survey, whole)
            if not report.cuts and _is_sound(damaged, meta):
                return report
            aside = _aside(path)
            fresh = Path(f"{aside}{FRESH}")
            _write(fresh, damaged, survey, whole)
        _move(path, aside, SIDES)
        fresh.rename(path)
        sync_path(directory)
        mark.write(meta["id"], survey.highest)
    return Repair(kept=report.kept, cuts=report.cuts, next_position=report.next_position, damaged=aside)


def _survey(damaged: Damaged, progress: Progress, mark: EndMark) -> Survey:
    gaps = damaged.gaps() or Gaps()
    _, marked = mark.read() or ("", 0)
    survey = Survey(progress.position, max(marked, progress.highest, gaps.last.beyond - 1), gaps)
    survey.look(damaged)
    return survey


def _identity(damaged: Damaged, progress: Progress, mark: EndMark, path: Path) -> str:
    """Return the journal's id as two of its files say it, or the only one that says one."""
    said = [word for word in (progress.journal, damaged.meta().get("id"), (mark.read() or ("", 0))[0]) if word]
    if not said:
        raise ConfigError("journal_unknown", "no file says which journal this was", file=str(path))
    most = max(said, key=said.count)
    if progress.journal not in {"", most} or (len(said) > 1 and said.count(most) == 1):
        raise ConfigError("foreign_state", f"journal and state do not belong together: {said}", file=str(path))
    return most


def _is_sound(damaged: Damaged, meta: dict[str, str]) -> bool:
    """Return whether what lies around the records is right."""
    is_ours = damaged.meta() == meta and damaged.gaps() is not None
    return is_ours and damaged.tables() == expected_tables(SCHEMA)


def _report(survey: Survey, whole: _Whole) -> Repair:
    runs = ((survey.first, whole.first - 1, True), (whole.last + 1, survey.highest, False))
    cuts = [_cut(survey, first, last, is_applied=is_applied) for first, last, is_applied in runs if first <= last]
    kept = (whole.first, whole.last) if whole.first <= whole.last else None
    return Repair(kept=kept, cuts=cuts, next_position=survey.highest + 1, damaged=None)


def _cut(survey: Survey, first: int, last: int, *, is_applied: bool) -> Cut:
    seen = [record for record in survey.seen if first <= record.position <= last]
    return Cut(
        first=first,
        last=last,
        is_applied=is_applied,
        readable=len(seen),
        messages=sum(record.messages for record in seen),
        received_from=seen[0].received_at if seen else 0,
        received_to=seen[-1].received_at if seen else 0,
    )


def _write(path: Path, damaged: Damaged, survey: Survey, whole: _Whole) -> None:
    for side in SIDES:
        Path(f"{path}{side}").unlink(missing_ok=True)
    try:
        with closing(connect(path)) as connection:
            connection.executescript(f"BEGIN IMMEDIATE; {SCHEMA}")
            connection.executemany("INSERT INTO meta VALUES (?, ?)", whole.meta.items())
            connection.executemany("INSERT INTO bodies VALUES (?, ?, ?)", damaged.bodies())
            rows = (row for row, record in damaged.records(whole.last) if whole.first <= record.position <= whole.last)
            connection.executemany("INSERT INTO records VALUES (?, ?, ?, ?, ?)", rows)
            for gap in _gaps(survey, whole):
                write_gap(connection, gap)
            connection.execute("COMMIT")
    except sqlite3.DatabaseError as error:
        raise translate(error, path) from error
    path.chmod(0o600)


def _gaps(survey: Survey, whole: _Whole) -> Iterator[Gap]:
    yield from (gap for gap in survey.gaps if gap.beyond <= whole.last + 1)
    if whole.last < survey.highest or whole.first > whole.last > 0:
        # With no record left the gap says where the journal stood.
        yield Gap(min(whole.last + 1, survey.highest), survey.highest + 1, survey.t, survey.received_at)


def _aside(path: Path) -> Path:
    """Return the name that the damaged file is to have."""
    names = (f"{path}.damaged{'' if number == 1 else f'-{number}'}" for number in range(1, 1_000))
    return next(Path(name) for name in names if not Path(name).exists())


def _take_back(path: Path) -> None:
    """Undo what a repair began that was killed before its new file had the name of the damaged one.

    Else there would be no journal, and the next repair begin an empty one.
    """
    for fresh in path.parent.glob(f"{path.name}.damaged*{FRESH}"):
        aside = fresh.with_suffix("")
        if aside.exists() and not path.exists():
            _move(aside, path, reversed(SIDES))
        fresh.unlink()


def _move(source: Path, target: Path, sides: Iterable[str]) -> None:
    """Rename a file with its WAL. The file goes first and comes back last: without its WAL it would look whole."""
    for side in sides:
        if Path(f"{source}{side}").exists():
            Path(f"{source}{side}").rename(f"{target}{side}")
