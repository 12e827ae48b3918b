"""``hub alarms seal``: the dossiers that nobody has asked for yet, while the journal still holds their proof."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import structlog
import typer

from hub.errors import UnavailableError
from hub.journal.room import LOW_BYTES, free_bytes
from hub.model.effects import Event
from hub.registry.audit import Note, Values
from hub.registry.author import Author, os_user
from hub.ui.atlas import Atlas
from hub.ui.cli.alarms_dossier import dossier_of
from hub.ui.desk.desk import EXIT_FAILED, AsJson, Desk, desk_of
from hub.ui.desk.personal import masking
from hub.ui.dossiers import FOLDER, opened
from hub.ui.due import SEALED, Due, all_due, sealed_since
from hub.ui.history import History, story
from hub.ui.printing import say_done
from hub.ui.process.signals import end_with
from hub.ui.progress import Stopwatch
from hub.veil import Veil
from hub.whole import write_whole

SETTLED = timedelta(minutes=15)
"""By then messages are delivered, commands have ended, and the audit knows what was answered."""
PASS_SECONDS = 300.0
"""What is left of a pass is for the next one: whoever waits for it need not wait for ever."""
REMOVED = "alarm.removed"
ONE_SECONDS = 1_200.0
"""What takes longer is tried once more after all others."""

log = structlog.get_logger(__name__)


@dataclass(slots=True, kw_only=True)
class Pass:
    """What a pass came to; ``behind`` (ns): all that was over for so long is sealed."""

    behind: int
    sealed: int = 0
    unproven: int = 0
    removed: int = 0
    waiting: int = 0
    error: str = ""
    failed: list[str] = field(default_factory=list)


def seal(
    context: typer.Context,
    *,
    back: Annotated[str, typer.Option(help="How far: what is no longer in the journal has no proof.")] = "",
    after: Annotated[str, typer.Option(help="How long one must be over: 15m, or a quarter of retention.age.")] = "",
    last: Annotated[list[str] | None, typer.Option(help="Which failed before: the others come first.")] = None,
    of: Annotated[int, typer.Option(help="Whose process it is, and ends with.", hidden=True)] = 0,
    as_json: AsJson = False,
) -> None:
    """Seal the dossier of each critical or high alarm that is over for a quarter of an hour, lower, or open for a day.

    `hub run` does it every ten minutes. They lie in the folder dossiers of the data directory, masked, as
    `hub alarms dossier` writes them; the audit keeps the digest of each. What is sealed already stays as it is.
    """
    if of:
        end_with(of)
    desk, watch = desk_of(context), Stopwatch(desk_of(context).clock)
    age = desk.settings.retention.age
    settled = desk.ago(after or min(SETTLED, age / 4))
    due, until = asyncio.run(all_due(desk, desk.ago(back or age), settled))
    veil, done = masking(desk), Pass(behind=desk.clock.wall_ns() - until)
    turns = {alarm: turn for turn, alarm in enumerate(last or (), 1)}
    for each in sorted(due, key=lambda each: turns.get(each.raised.id, 0)):
        if watch.seconds > PASS_SECONDS:
            done.waiting += 1
        else:
            _try(desk, veil, each, done)
        if done.waiting:
            done.behind = max(done.behind, desk.clock.wall_ns() - each.since)
    document = {name: getattr(done, name) for name in Pass.__slots__}
    say_done(f"{done.sealed} sealed / 已封存, {done.waiting} waiting / 待封存 {done.error}", document, as_json=as_json)
    if done.error:
        raise typer.Exit(EXIT_FAILED)


def _try(desk: Desk, veil: Veil, due: Due, done: Pass) -> None:
    try:
        is_proven = _seal(desk, veil, due, done)
    except Exception as error:  # noqa: BLE001 -- one alarm must not keep the others from their proof; it is told
        log.warning("dossier_not_sealed", alarm=due.raised.id, reason=repr(error))
        done.waiting, done.error = done.waiting + 1, f"{due.raised.id}: {error}"
        done.failed.append(due.raised.id)
        return
    done.sealed += 1
    done.unproven += not is_proven


def _seal(desk: Desk, veil: Veil, due: Due, done: Pass) -> bool:
    """Seal one dossier and return whether its alarm is proven; what the audit does not know yet is done anew."""
    alarm, home = due.raised.id, desk.settings.data_dir
    _look_for_room(desk)
    story = asyncio.run(_story(desk, due.raised))
    found, data = dossier_of(desk, veil, due.raised, story, within=ONE_SECONDS)
    with _alone(home / FOLDER):
        if due.file not in desk.in_registry(lambda registry: sealed_since(registry, due.raised.time)):
            done.removed += _make_room(desk, len(data))
            write_whole(home / FOLDER / due.file, data.decode())
            whole = opened(data)
            after = {"file": due.file, "digest": whole.digest, "sealed_by": whole.public_key, "proven": found.is_proven}
            _note(desk, SEALED, alarm, after)
    return found.is_proven


def _note(desk: Desk, what: str, alarm: str, after: Values) -> None:
    note = Note(what=what, subject=f"alarm/{alarm}", after=after)
    author = Author(os_user=os_user(), actor=desk.actor)
    desk.in_registry(lambda registry: registry.note(note, author))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process write at a time, so that the audit knows one digest of each file; what a kill left goes."""
    folder.mkdir(exist_ok=True, mode=0o700)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        for draft in folder.glob(".*.jsonl.*"):
            draft.unlink()
        yield
    finally:
        os.close(descriptor)


def _make_room(desk: Desk, size: int) -> int:
    """Let the oldest dossiers go for one of ``size`` bytes; UnavailableError when the journal will want that room.

    The audit says so first: one that somebody took away must not look the same.
    """
    _look_for_room(desk, size)
    kept = sorted((desk.settings.data_dir / FOLDER).glob("*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
    left, removed = sum(path.stat().st_size for path in kept) + size - desk.settings.retention.dossiers, 0
    for path in kept:
        if left <= 0:
            break
        left -= path.stat().st_size
        _note(desk, REMOVED, path.name.partition(".")[0], {"file": path.name, "why": "retention.dossiers"})
        path.unlink(missing_ok=True)
        removed += 1
    return removed


def _look_for_room(desk: Desk, size: int = 0) -> None:
    if free_bytes(desk.settings.data_dir) < 2 * LOW_BYTES + size:
        raise UnavailableError("disk_full", "what room is left is the journal's")


async def _story(desk: Desk, raised: Event) -> list[Event]:
    async with desk.redis() as link:
        return await story(History(desk, link, await Atlas.open(desk)), raised)
