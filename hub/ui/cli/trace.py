"""``hub trace``: the proof of an event, from the journal's bytes to the answers of devices."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Annotated

import msgspec
import orjson
import typer
from rich.table import Table
from rich.text import Text

from hub.authoring.trace import Trace
from hub.durations import write_duration
from hub.errors import ConfigError, UnavailableError
from hub.model.effects import Event
from hub.model.records import Record
from hub.replay.beginning import Fidelity, checkpoints
from hub.replay.evidence import Cause, Evidence, gather
from hub.replay.tape import tape_of
from hub.replay.witnesses import Term
from hub.rules.rule import write_rule
from hub.rules.sentence import sentence as rule_sentence
from hub.ui.atlas import Atlas
from hub.ui.cli.journal import sentence as record_sentence
from hub.ui.cli.trace_city import is_of_city, tell_comparison
from hub.ui.desk.desk import EXIT_FAILED, AsJson, Desk, desk_of
from hub.ui.desk.personal import LEFT_OUT, Reason, Unmask, as_seen, veil_of
from hub.ui.desk.whose import desk_for
from hub.ui.history import History, story
from hub.ui.printing import console_of, say_json, say_table
from hub.ui.profiles.dump import document, dump, spoken
from hub.ui.progress import Stopwatch, bar
from hub.ui.words import SHOWN_ID, details, marks, moment, title
from hub.veil import Veil


def trace(
    context: typer.Context,
    event: Annotated[str, typer.Argument(help="The beginning of its id, or of an alarm's.")],
    *,
    unmask: Unmask = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Prove an event: what was heard, which bytes became which values, what the rule saw, what came of it.

    It is done again from the nearest saved state or the journal's beginning; exit 1 when that does not bring the same.
    """
    desk = desk_of(context)
    veil = veil_of(desk, "event", f"event/{event}", unmask=unmask, reason=reason)
    atlas, it, after = asyncio.run(find(desk, event))
    if is_of_city(it):
        tell_comparison(desk, atlas, veil.told(it), veil, as_json=as_json)
        return
    found = again(desk, veil, it)
    it, after = veil.told(it), [veil.told(each) for each in after]
    if as_json:
        say_json({**document_of(veil, it, found), "story": [msgspec.to_builtins(each) for each in after]})
    else:
        _say(atlas, veil, it, found, after)
    if not found.is_proven:
        raise typer.Exit(EXIT_FAILED)


def again(desk: Desk, veil: Veil, it: Event, *, within: float = math.inf) -> Evidence:
    """Do again what led to an event of a site; return it as people may see it. UnavailableError when it takes long."""
    files = asyncio.run(desk_for(desk, it.site)).here.files_dir
    tape = tape_of(files)
    watch = Stopwatch(desk.clock)
    with bar("doing it again", tape.begins_at, max(tape.begins_at + 1, min(it.time, tape.ends_at))) as progress:

        def bounded(record: Record) -> None:
            progress(record)
            if watch.seconds > within:
                raise UnavailableError("too_long", f"doing it again took more than {within:.0f} s")

        return _veiled(veil, gather(tape, checkpoints(files, tape), it, bounded))


def _veiled(veil: Veil, found: Evidence) -> Evidence:
    """Return what doing it again came to as people may see it; the bytes of its causes are left to who prints them."""
    return replace(
        found,
        again=None if found.again is None else veil.told(found.again),
        terms=[replace(term, value=veil.scalar(term.name, term.value)) for term in found.terms],
        rule=None if found.rule is None else as_seen(veil, found.rule),
    )


async def find(desk: Desk, prefix: str) -> tuple[Atlas, Event, list[Event]]:
    """Return the event whose id begins so, and what belongs to its alarm; ConfigError ``event_unknown`` and such."""
    atlas = await Atlas.open(desk)
    async with desk.redis() as link:
        history = History(desk, link, atlas)
        found = await history.by_id(prefix)
        if len({event.id for event in found}) != 1:
            code = "event_ambiguous" if found else "event_unknown"
            message = f"{len(found)} events have an id that begins with {prefix!r}"
            raise ConfigError(code, message, hint="`hub events list` shows them")
        return atlas, found[0], await story(history, found[0])


def verdict(found: Evidence) -> str:
    """Return what doing it again came to, in words."""
    if found.again is None:
        return f"not proven: {found.why}"
    approximate = (
        "" if found.fidelity is Fidelity.EXACT else "; the journal has lost its front, the state before it is not known"
    )
    if found.differences:
        return f"differs: done again, it has another {', '.join(found.differences)}{approximate}"
    return f"proven: {found.records:,} records done again brought the same event{approximate}"


def _say(atlas: Atlas, veil: Veil, it: Event, found: Evidence, after: Sequence[Event]) -> None:
    typer.echo(
        f"{moment(it.time)} {it.severity} {title(it.name, it.label)} {it.transition}{marks(it)}  {atlas.place(it)}"
    )
    typer.echo(f"id {it.id}  rule {it.rule} {it.rule_version}".rstrip())
    typer.echo(verdict(found))
    for word in found.differences:
        typer.echo(f"  {word}: was {getattr(it, word)}, again {getattr(found.again, word)}")
    for cause in found.causes:
        _say_cause(cause, veil)
    if found.rule is not None:
        typer.echo(f"\nthe rule: {rule_sentence(found.rule)}")
    if found.terms:
        words = ("term", "value", "said by", "came before", "quality", "from record")
        say_table(words, (_term(term) for term in found.terms))
    elif it.data:
        typer.echo(f"what the event says it knew: {details(it.data)}")
    typer.echo("\nwhat came of it")
    say_table(
        ("time", "event", "", "who or what", "id"),
        ((moment(e.time), title(e.name, e.label), e.transition.value, details(e.data), e.id[:SHOWN_ID]) for e in after),
        empty="nothing else",
    )


def _say_cause(cause: Cause, veil: Veil) -> None:
    position, index = cause.place
    typer.echo()
    if cause.record is None:
        typer.echo(f"record {position}, message {index}: {cause.why}")
    elif cause.message is None:
        typer.echo(f"record {position}, {moment(cause.record.received_at)}: {record_sentence(cause.record, veil)}")
    else:
        received = moment(cause.record.received_at + index)
        size = len(cause.message.payload)
        typer.echo(f"record {position}, message {index}, {received}: {cause.message.topic}, {size} bytes")
        for part in _payload(cause, veil):
            console_of(lambda: False).print(part)
        for reading in () if cause.decoded is None else cause.decoded.readings:
            typer.echo(f"  {spoken(veil.reading(reading))}")


def _payload(cause: Cause, veil: Veil) -> Iterator[str | Text | Table]:
    """Yield the bytes of a message and what they became, or why they are not to be seen."""
    if veil.hides(cause.kind):
        yield f"  {LEFT_OUT}"
    elif cause.decoded is not None:
        yield from dump(cause.decoded)
    elif cause.message is not None:
        yield f"  {cause.message.payload.hex(' ')}"
    if cause.decoded is None:
        yield f"  {cause.why}"


def _term(term: Term) -> tuple[str, ...]:
    place = "" if term.place is None else f"{term.place[0]}, message {term.place[1]}"
    if not term.key:
        return term.name, str(term.value), "the rule's input", "", "", ""
    stale = " (stale: unknown to the rule)" if term.is_stale else ""
    return term.name, str(term.value), term.key, f"{_span(term.age)}{stale}", term.quality.value, place


def _span(nanoseconds: int) -> str:
    return write_duration(timedelta(milliseconds=nanoseconds // 1_000_000))


def document_of(veil: Veil, it: Event, found: Evidence) -> dict[str, object]:
    """Return the proof of an event for programs."""
    plain = msgspec.to_builtins
    return {
        "event": plain(it),
        "proven": found.is_proven,
        "verdict": verdict(found),
        "state": found.fidelity.value,
        "again": plain(found.again),
        "differences": list(found.differences),
        "causes": [_cause_document(cause, veil) for cause in found.causes],
        "terms": [
            {
                "name": term.name,
                "value": term.value,
                "key": term.key,
                "measured_at": term.measured_at,
                "age_ns": term.age,
                "quality": term.quality.value,
                "stale": term.is_stale,
                "cause": term.place,
            }
            for term in found.terms
        ],
        "rule": None if found.rule is None else orjson.loads(write_rule(found.rule)),
    }


def _cause_document(cause: Cause, veil: Veil) -> dict[str, object]:
    record, message = cause.record, cause.message
    is_hidden = message is not None and veil.hides(cause.kind)
    return {
        "record": cause.place[0],
        "message": cause.place[1],
        "received_at": None if record is None else record.received_at + (cause.place[1] if message else 0),
        "what": cause.why if record is None else record_sentence(record, veil),
        "topic": None if message is None else message.topic,
        "payload": None if message is None or is_hidden else message.payload.hex(),
        "payload_bytes": None if message is None else len(message.payload),
        "left_out": is_hidden,
        "decoded": _decoded(cause.decoded, veil, is_hidden=is_hidden),
        "why": cause.why,
    }


def _decoded(seen: Trace | None, veil: Veil, *, is_hidden: bool) -> dict[str, object] | None:
    if seen is None:
        return None
    if not is_hidden:
        return document(seen)
    return document(replace(seen, readings=[veil.reading(each) for each in seen.readings], sections=(), marks=()))
