"""``hub alarms seal``: the dossiers that nobody has asked for yet, while the journal still holds their proof."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import structlog
import typer

from hub.durations import nanoseconds
from hub.errors import UnavailableError
from hub.journal.room import LOW_BYTES, free_bytes
from hub.model.effects import AlarmState, Event, Transition
from hub.model.values import Severity
from hub.partitions import partitions_of
from hub.registry import audit
from hub.registry.audit import Note
from hub.registry.author import Author, os_user
from hub.registry.registry import Registry
from hub.registry.whole import write_whole
from hub.sinks.stream_readers import read_alarms
from hub.sinks.streams import DOMAINS
from hub.ui.atlas import Atlas
from hub.ui.cli.alarms_dossier import MOST, dossier_of
from hub.ui.desk.desk import EXIT_FAILED, AsJson, Desk, as_duration, desk_of
from hub.ui.desk.personal import masking
from hub.ui.dossiers import FOLDER, opened
from hub.ui.history import MOST as PAGE
from hub.ui.history import History, Wanted, is_lowered, story
from hub.ui.printing import say_done
from hub.ui.process.signals import end_with
from hub.ui.progress import Stopwatch
from hub.veil import Veil

GRAVE = (Severity.CRITICAL, Severity.HIGH)
SETTLED = timedelta(minutes=15)
"""By then messages are delivered, commands have ended, and the audit knows what was answered."""
LONG = timedelta(days=1)
PASS_SECONDS = 300.0
"""What is left of a pass is for the next one: whoever waits for it need not wait for ever."""
ONE_SECONDS = 1_200.0
"""What takes longer is tried once more after all others."""
WHOLE, OPEN = "jsonl", "open.jsonl"
SEALED = "alarm.sealed"
OVERLAP_NS = 60_000_000_000

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """One dossier that is missing: of the alarm that ``raised`` began, because of what was at ``since`` (wall ns)."""

    raised: Event
    since: int
    suffix: str = WHOLE

    @property
    def file(self) -> str:
        """Return the name of its file; an alarm is sealed as it stands, open or lower, and when it is over."""
        return f"{self.raised.id}.{self.suffix}"


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
    settled = desk.clock.wall_ns() - nanoseconds(as_duration(after) if after else min(SETTLED, age / 4))
    since = max(0, desk.ago(back) if back else desk.clock.wall_ns() - nanoseconds(age))
    due, until = asyncio.run(_due(desk, since, settled))
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
        if due.file not in desk.in_registry(lambda registry: _known(registry, due.raised.time)):
            done.removed += _make_room(desk, len(data))
            write_whole(home / FOLDER / due.file, data.decode())
            whole = opened(data)
            after = {"file": due.file, "digest": whole.digest, "sealed_by": whole.public_key, "proven": found.is_proven}
            note = Note(what=SEALED, subject=f"alarm/{alarm}", after=after)
            author = Author(os_user=os_user(), actor=desk.actor)
            desk.in_registry(lambda registry: registry.note(note, author))
    return found.is_proven


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


async def _known(registry: Registry, since: int) -> set[object]:
    """Return which files were sealed since then."""
    async with registry.transaction() as connection:
        lines = await audit.lines(connection, since=since, what=SEALED, limit=MOST)
    return {(line.after or {}).get("file") for line in lines}


def _make_room(desk: Desk, size: int) -> int:
    """Let the oldest dossiers go for one of ``size`` bytes; UnavailableError when the journal will want that room."""
    _look_for_room(desk, size)
    kept = sorted((desk.settings.data_dir / FOLDER).glob("*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
    left, removed = sum(path.stat().st_size for path in kept) + size - desk.settings.retention.dossiers, 0
    for path in kept:
        if left <= 0:
            break
        left -= path.stat().st_size
        path.unlink(missing_ok=True)
        removed += 1
    return removed


def _look_for_room(desk: Desk, size: int = 0) -> None:
    if free_bytes(desk.settings.data_dir) < 2 * LOW_BYTES + size:
        raise UnavailableError("disk_full", "what room is left is the journal's")


async def _story(desk: Desk, raised: Event) -> list[Event]:
    async with desk.redis() as link:
        return await story(History(desk, link, await Atlas.open(desk)), raised)


async def _due(desk: Desk, since: int, settled: int) -> tuple[list[Due], int]:
    """Return what is to be sealed, the oldest first, and up to when that is all of it."""
    async with desk.registry() as registry:
        mine = {site.id for site in await registry.sites() if site.partition in partitions_of(desk.settings)}
    async with desk.redis() as link:
        history = History(desk, link, await Atlas.open(desk))
        told = await _grave(history, since, settled)
        until = min(settled, told[-1].time) if len(told) >= MOST else settled
        real = [each for each in told if each.site in mine and each.rule and not (each.test or each.drill)]
        found = [each async for each in _over(history, real, until)]
        for alarm in await read_alarms(link, sorted(mine)):
            if alarm.severity in GRAVE and alarm.is_real:
                found += [each async for each in _long_open(history, alarm, desk, settled)]
    async with desk.registry() as registry:
        known = await _known(registry, min((each.raised.time for each in found), default=0))
    return sorted((each for each in found if each.file not in known), key=lambda each: each.since), until


async def _grave(history: History, since: int, settled: int) -> list[Event]:
    """Return what happened of grave alarms, the first ``MOST`` or so; Redis stands still for a large page.

    What Redis was given only now, because it was away, nobody was told yet: it is not settled, however old it is.
    """
    others = tuple(each for each in DOMAINS if each != "command")  # how commands end is in the dossier of their alarm
    limit, wanted = PAGE, Wanted(domains=others, severities=GRAVE, lowered_from=GRAVE)
    while True:
        told = await history.find(wanted, since=since, limit=limit, written_by=settled)
        if len(told) < limit or limit >= MOST:
            return told
        limit *= 2


async def _over(history: History, told: Sequence[Event], until: int) -> AsyncIterator[Due]:
    raised: dict[tuple[str, str], Event] = {}
    for each in told:
        about = each.rule, each.key
        if each.transition is Transition.RAISED:
            raised[about] = each
        elif each.time > until:
            continue
        elif each.transition is Transition.OCCURRED:
            yield Due(raised=each, since=each.time)
        elif each.transition is Transition.CLEARED or is_lowered(each, GRAVE):
            first = raised.pop(about, None) or next(iter(await story(history, each)), each)
            suffix = WHOLE if each.transition is Transition.CLEARED else OPEN
            yield Due(raised=first, since=each.time, suffix=suffix)


async def _long_open(history: History, alarm: AlarmState, desk: Desk, settled: int) -> AsyncIterator[Due]:
    """Yield an alarm that has been open so long that its proof would go before its end comes."""
    long = alarm.since + nanoseconds(min(LONG, desk.settings.retention.age / 4))
    if long <= desk.clock.wall_ns():
        about, since = Wanted(rule=alarm.rule, key=alarm.key), alarm.since - OVERLAP_NS
        found = await history.find(about, since=since, limit=PAGE, written_by=settled)
        for each in found:
            if each.id == alarm.id:
                yield Due(raised=each, since=long, suffix=OPEN)
