"""``hub journal``: what was heard, a damaged journal mended, another journal's place taken."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from hub.bridge.frames import decode_packets
from hub.config.settings import Settings
from hub.errors import ConfigError
from hub.journal.files import Lock
from hub.journal.neighbours import journal_path, opened
from hub.journal.outbox import STREAMS
from hub.journal.readings import read_last
from hub.journal.repair import Cut, repair
from hub.model.records import (
    Batch,
    Control,
    Outcome,
    Record,
    Revision,
    SessionCaughtUp,
    SessionConnected,
    SessionLost,
    Started,
    Tick,
)
from hub.sinks.ownership import Claim
from hub.sinks.ownership import adopt as adopt_cursor
from hub.ui.desk.desk import MOST_ROWS, AsJson, Desk, desk_of
from hub.ui.desk.personal import Reason, Unmask, veil_of
from hub.ui.printing import say_json, say_table
from hub.ui.words import details, moment
from hub.veil import Veil

app = typer.Typer()

TOPICS_SHOWN = 3


@app.command()
def show(
    context: typer.Context,
    *,
    last: Annotated[int, typer.Option(min=1, max=MOST_ROWS, help="How many.")] = 20,
    unmask: Unmask = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Show the last records, of a running or a stopped hub; what people asked for, with what is personal masked."""
    desk = desk_of(context)
    path = journal_path(desk.here.files_dir)
    if not path.exists():
        raise ConfigError("journal_missing", "no hub has worked in this data_dir yet", file=str(path))
    veil = veil_of(desk, "journal", f"journal/{desk.here.partition}", unmask=unmask, reason=reason)
    records = read_last(path, last, decode_packets)
    if as_json:
        say_json([_document(record, veil) for record in records])
        return
    say_table(
        ("record", "time", "what"),
        ((str(record.position), moment(record.received_at), sentence(record, veil)) for record in records),
        empty="an empty journal",
    )


@app.command("repair")
def repair_journal(
    context: typer.Context,
    directory: Annotated[Path | None, typer.Argument(metavar="DIR", help="Else data_dir of the settings.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Cut a damaged journal at the damage, so that a stopped hub can go on; the file as it was stays beside it."""
    settings = desk_of(context).here
    done = repair(directory or settings.files_dir, settings.partition, decode_packets)
    if as_json:
        say_json(msgspec.to_builtins(done, enc_hook=str))
        return
    kept = "no record" if done.kept is None else f"records {done.kept[0]} to {done.kept[1]}"
    if done.damaged is None:
        typer.echo(f"the journal is whole: {kept}")
        return
    for cut in done.cuts:
        typer.echo(cut_sentence(cut))
    typer.echo(f"kept: {kept}; the next one is record {done.next_position}")
    typer.echo(f"the file as it was: {done.damaged}")


@app.command()
def adopt(
    context: typer.Context,
    partition: Annotated[str, typer.Argument(help="Which one; to be sure, also where there is one.")] = "",
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Go on with this journal where another one (or more of this one) delivered to Redis; the hub must be stopped."""
    desk = desk_of(context)
    settings = (desk.at(partition) if partition else desk).here
    if not yes:
        typer.confirm("Only this journal will deliver to that Redis. Is the other one gone for good?", abort=True)
    above, passed_over = asyncio.run(_adopt(desk, settings))
    typer.echo(f"adopted: the next record is {above + 1}")
    if passed_over:
        typer.echo(f"{passed_over} records wait below that; their events count as delivered and will not be sent")


async def _adopt(desk: Desk, settings: Settings) -> tuple[int, int]:
    """Return the position above which records start, and how many records below it are not delivered."""
    with Lock(settings.files_dir):
        async with opened(settings.files_dir, settings.partition, decode_packets) as (journal, state_file, saved):
            claim = Claim(
                partition=settings.partition,
                journal=journal.id,
                host=socket.gethostname(),
                epoch_hint=saved.epoch,
                journal_end=journal.last,
            )
            async with desk.redis() as link:
                above = await adopt_cursor(link, claim)
            unapplied = max(0, min(above, journal.last) - max(saved.position, journal.first - 1))
            waiting = await state_file.count_owed(STREAMS.sink, above)
            await journal.start_above(above)
            return journal.last, unapplied + waiting


def sentence(record: Record, veil: Veil) -> str:  # noqa: C901, PLR0911 -- one arm for each kind of record
    """Return what a record says, in words, as people may see it."""
    match record.body:
        case Batch(session=session, connection=connection, settled=settled):
            counts = Counter(message.topic for message in record.messages).most_common()
            topics = ", ".join(f"{topic} ×{count}" for topic, count in counts[:TOPICS_SHOWN])
            more = f" and {len(counts) - TOPICS_SHOWN} topics more" if len(counts) > TOPICS_SHOWN else ""
            return f"{len(record.messages)} messages on {session}/{connection} (settled {settled}): {topics}{more}"
        case Tick():
            return "tick"
        case Started(version=version, sessions=sessions):
            return f"hub {version} started with the sessions {', '.join(sessions)}"
        case SessionConnected(session=session, connection=connection, session_present=present):
            return f"{session}/{connection} connected, the broker {'kept' if present else 'had lost'} its session"
        case SessionLost(session=session, connection=connection, reason=reason):
            return f"{session}/{connection} lost: {reason}"
        case SessionCaughtUp(session=session, connection=connection):
            return f"{session}/{connection} caught up"
        case Revision(code=code, put=put, removed=removed):
            return f"revision by hub {code}: {len(put)} documents put, {len(removed)} removed"
        case Control(verb=verb, actor=actor, args=args, letters=letters):
            these = f" of {len(letters)} dead letters" if letters else ""
            return f"{actor} asks: {verb}{these} {details(veil.data(args))}".rstrip()
        case Outcome(command=command, kind=kind, detail=detail):
            return f"command {command} {kind}{f': {veil.text(detail)}' if detail else ''}"


def cut_sentence(cut: Cut) -> str:
    """Return what was cut, in words."""
    count = cut.last - cut.first + 1
    span = f", received {moment(cut.received_from)} to {moment(cut.received_to)}" if cut.readable else ""
    meaning = (
        "the state holds their effects; trace and replay miss them"
        if cut.is_applied
        else "they had not been applied: their messages are lost to the hub"
    )
    return (
        f"cut: records {cut.first} to {cut.last}: {cut.readable} of {count} can be read,"
        f" with {cut.messages} messages{span}; {meaning}"
    )


def _document(record: Record, veil: Veil) -> object:
    body = msgspec.to_builtins(record.body)
    if isinstance(record.body, Batch):
        body["packets"] = len(record.body.packets)
        body["messages"] = [[message.topic, len(message.payload)] for message in record.messages]
    elif isinstance(record.body, Control):
        body["letters"] = [letter.number for letter in record.body.letters]
    body = {name: veil.document(said, name) for name, said in body.items()}
    return {"position": record.position, "t": record.t, "received_at": record.received_at, **body}
