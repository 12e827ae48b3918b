"""``hub dead-letters retry``: what was not understood is taken again, once a profile is mended or a device there."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from hub.engine.again import Retaken
from hub.journal.files import connect
from hub.journal.letter_rows import Found, Wanted, letters_behind
from hub.journal.letters import RETRY, named
from hub.journal.neighbours import state_path
from hub.model.effects import Effects
from hub.model.records import Control, Record
from hub.model.values import Scalar
from hub.replay.present import present
from hub.sinks.control import Request
from hub.ui.desk.desk import AsJson, Desk, desk_of
from hub.ui.desk.reply import Actor, ask, tell
from hub.ui.desk.whose import heard_by, names_of
from hub.ui.printing import say_done

WAIT = timedelta(seconds=60)


def retry(
    context: typer.Context,
    *,
    code: Annotated[str, typer.Option(help="Only with this code.")] = "",
    device: Annotated[
        str, typer.Option(metavar="SITE/ID", help="Only of this device; @SOURCE/NAME as pending lists it.")
    ] = "",
    since: Annotated[str | None, typer.Option(help="Only what came since then: 1h, 2d …")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would become of them.")] = False,
    actor: Actor,
    as_json: AsJson = False,
) -> None:
    """Take dead letters again, the oldest first: a profile was mended (`hub rules apply`), or a device registered.

    What is understood now is stored at its own time and judged as late: it sends no commands, and what is more than a
    day old is only stored. It is no dead letter any more; what is still not understood stays one, with its new reason.
    """
    desk = desk_of(context)
    desk, called = asyncio.run(_named(desk, device)) if device else (desk, "")
    wanted = Wanted(code=code, device=device, called=called, since=0 if since is None else desk.ago(since))
    taken, refused, why = 0, 0, Counter[str]()
    for some in _tried(desk, wanted) if dry_run else _taken(desk, wanted, actor, as_json=as_json):
        taken += some.taken
        refused += some.refused
        why.update(some.why)
    would_be = "would be " if dry_run else ""
    said = f"{would_be}taken again {taken}, still dead letters {refused}"
    zh = f"{'将' if dry_run else '已'}重新处理 {taken} 条，仍无法理解 {refused} 条"
    codes = [f"  {name}: {count}" for name, count in sorted(why.items())]
    document = {"taken": taken, "refused": refused, "why": why, "dry_run": dry_run}
    say_done("\n".join([f"{said} / {zh}", *codes]), document, as_json=as_json)


async def _named(desk: Desk, device: str) -> tuple[Desk, str]:
    """Return the desk that hears ``device``, and what its network calls it: its letters had no other name before."""
    desk = await heard_by(desk, device)
    async with desk.registry() as registry:
        known = dict(map(names_of, await registry.devices()))
    return desk, known.get(device, "")


def _taken(desk: Desk, wanted: Wanted, actor: str, *, as_json: bool) -> Iterator[Retaken]:
    """Ask the hub for some after the other; what was asked for once is not asked for again, however it ended."""
    while True:
        args: Mapping[str, Scalar] = msgspec.to_builtins(wanted)
        reply = asyncio.run(ask(desk, Request(actor=actor, verb=RETRY, args=args, expires_in=WAIT), wait=WAIT))
        if not reply.ok:
            tell(reply, as_json=as_json)
        found = msgspec.json.decode(reply.detail, type=Retaken)
        yield found
        if not found.more:
            return
        wanted = msgspec.structs.replace(wanted, after=found.last)


def _tried(desk: Desk, wanted: Wanted) -> Iterator[Retaken]:
    """Let a copy of the engine as it is now take them."""
    engine, path = present(desk.here.files_dir).engine, state_path(desk.here.files_dir)
    more = True
    while more:
        found = _read(path, wanted)
        clock = engine.state.clock
        at, letters = clock.received_at, named(found, set())
        control = Control(f"{2**63}-{found.last}", str(found.last), "", RETRY, at, found.args, letters)
        effects: Effects = engine.apply(Record(clock.position + 1, clock.t + 1, at, control, letters))
        yield msgspec.json.decode(effects.replies[0].detail, type=Retaken)
        wanted, more = msgspec.structs.replace(wanted, after=found.last), found.more


def _read(path: Path, wanted: Wanted) -> Found:
    with closing(connect(path, read_only=True)) as connection:
        return letters_behind(connection, wanted, path)
