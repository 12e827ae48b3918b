"""``hub rules replay`` and ``hub profiles replay``: what was heard, under other rules and profiles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from hub.errors import ConfigError
from hub.model.values import Scalar
from hub.replay.beginning import Fidelity, beginning, checkpoints
from hub.replay.difference import Comparison, Difference, Told
from hub.replay.lockstep import Lockstep, Pair
from hub.replay.points import Points, Tally
from hub.replay.recording import RecordingTape
from hub.replay.tape import Tape, tape_of
from hub.revisions.files import profile_layers, read_yaml, rule_layers
from hub.ui.desk.desk import AsJson, Desk, desk_of
from hub.ui.desk.personal import Reason, Unmask, veil_of
from hub.ui.printing import say_json, say_table
from hub.ui.progress import Pace, Stopwatch, bar
from hub.ui.words import moment
from hub.veil import Veil

From = Annotated[str | None, typer.Option("--from", help="So long ago (2h, 3d) or a moment (2026-11-22T14:00).")]
To = Annotated[str | None, typer.Option("--to", help="As --from; else to the end.")]
RulesDir = Annotated[Path | None, typer.Option("--rules", help="A directory in place of rules_dir.")]
ProfilesDir = Annotated[Path | None, typer.Option("--profiles", help="A directory in place of profiles_dir.")]
Recording = Annotated[Path | None, typer.Option("--recording", help="A file of `hub record`; else the journal.")]

APPROXIMATE = (
    "the journal has lost its front to retention: both sides begin with what the checkpoint knows of devices and"
    " rules, and with no memory of what was heard before"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to be compared."""

    since: str | None
    until: str | None
    rules: Path | None
    profiles: Path | None
    recording: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What a comparison ran over."""

    pace: Pace
    fidelity: Fidelity
    is_cut: bool

    def document(self) -> dict[str, object]:
        """Return the same for programs."""
        factor, fidelity = round(self.pace.factor, 1), self.fidelity.value
        return {**asdict(self.pace), "factor": factor, "state": fidelity, "recording_cut": self.is_cut}

    def say(self) -> None:
        """Print the same for people."""
        typer.echo(self.pace.sentence)
        if self.fidelity is Fidelity.APPROXIMATE:
            typer.echo(APPROXIMATE)
        if self.is_cut:
            typer.echo("the recording ends in the middle of a frame; what is before it was used")


def replay_rules(
    context: typer.Context,
    *,
    since: From = None,
    until: To = None,
    rules: RulesDir = None,
    profiles: ProfilesDir = None,
    recording: Recording = None,
    as_json: AsJson = False,
) -> None:
    """Apply what was heard to the rules as they are on disk (or in DIR), and show which events would differ."""
    desk = desk_of(context)
    wish = Wish(since=since, until=until, rules=rules, profiles=profiles, recording=recording)
    comparison = Comparison()
    ran = _run(desk, wish, comparison.take)
    found = comparison.differences()
    if as_json:
        say_json({**ran.document(), "same": comparison.same, "differences": [_document(each) for each in found]})
        return
    ran.say()
    typer.echo(f"{comparison.same} events and commands are the same, {len(found)} differ")
    if found:
        say_table(("", "event", "", "about", "was", "would be", "record"), (_row(each) for each in found))


def replay_profiles(
    context: typer.Context,
    *,
    since: From = None,
    until: To = None,
    profiles: ProfilesDir = None,
    recording: Recording = None,
    unmask: Unmask = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Decode what was heard by the profiles as they are on disk (or in DIR), and show which values would differ.

    Nothing is written: what is stored stays as it is.
    """
    desk = desk_of(context)
    wish = Wish(since=since, until=until, rules=None, profiles=profiles, recording=recording)
    veil = veil_of(desk, "telemetry", "telemetry/replay", unmask=unmask, reason=reason)
    points = Points()
    ran = _run(desk, wish, points.take)
    tallies = {place: veiled(veil, place[1], tally) for place, tally in sorted(points.tallies.items())}
    if as_json:
        say_json(
            {
                **ran.document(),
                "properties": [
                    {"kind": kind, "property": name, **asdict(tally)} for (kind, name), tally in tallies.items()
                ],
                "dead_letters": {
                    "before": points.letters,
                    "understood": points.understood,
                    "refused": points.refused,
                },
            }
        )
        return
    ran.say()
    say_table(
        ("kind", "property", "same", "changed", "appeared", "vanished", "such as"),
        (
            (kind, name, *map(str, (tally.same, tally.changed, tally.appeared, tally.vanished)), _example(tally))
            for (kind, name), tally in tallies.items()
            if tally.differs
        ),
        empty=f"every value of {len(points.tallies)} properties would be the same",
    )
    typer.echo(f"dead letters: {points.understood} would be understood, {points.refused} would be new")
    for letter in points.refusals:
        typer.echo(f"  new: {letter.topic}: {letter.code}: {veil.text(letter.detail)}")


def veiled(veil: Veil, name: str, tally: Tally) -> Tally:
    """Return what would become of a property as people may see it."""
    shown = [
        replace(each, was=veil.value(name, each.was), would_be=veil.value(name, each.would_be))
        for each in tally.examples
    ]
    return replace(tally, examples=shown)


def _run(desk: Desk, wish: Wish, take: Callable[[Pair], None]) -> Ran:
    settings = desk.here if wish.recording is None else desk.settings
    profiles, rules = wish.profiles or settings.profiles_dir, wish.rules or settings.rules_dir
    wanted = read_yaml(profile_layers(_there(profiles)), rule_layers(rules))
    is_journal = wish.recording is None
    tape: Tape = tape_of(settings.files_dir) if wish.recording is None else RecordingTape(wish.recording)
    after = tape.first - 1 if wish.since is None else tape.before(as_moment(desk, wish.since))
    last = tape.last if wish.until is None else tape.before(as_moment(desk, wish.until))
    begin = beginning(tape, checkpoints(settings.files_dir, tape)(after + 1) if is_journal else None, after + 1)
    watch = Stopwatch(desk.clock)
    with bar("replaying", tape.begins_at, tape.ends_at) as progress:
        steps = Lockstep(tape, begin, wanted, after, last, progress)
        began = 0.0
        for pair in steps:
            began = began or watch.seconds
            take(pair)
    heard = (steps.last_at - steps.first_at) / 1e9
    pace = Pace(records=steps.records, messages=steps.messages, heard_seconds=heard, seconds=watch.seconds - began)
    return Ran(pace=pace, fidelity=begin.fidelity, is_cut=isinstance(tape, RecordingTape) and tape.is_cut)


def as_moment(desk: Desk, text: str) -> int:
    """Return wall ns of a moment of this machine's clock, or of so long ago; ConfigError ``moment_invalid``."""
    try:
        return int(datetime.fromisoformat(text).astimezone().timestamp() * 1e9)
    except (ValueError, OverflowError):
        pass
    try:
        return desk.ago(text)
    except ConfigError as error:
        raise ConfigError(
            "moment_invalid", f"{text!r} is neither a duration nor a moment", hint="2h, 3d or 2026-11-22T14:00"
        ) from error


def _there(path: Path | None) -> Path | None:
    if path is not None and not path.is_dir():
        raise ConfigError("missing_directory", "there is no such directory", file=str(path))
    return path


def _document(each: Difference) -> dict[str, object]:
    return {
        "change": each.change.value,
        "was": None if each.was is None else asdict(each.was),
        "would_be": None if each.would_be is None else asdict(each.would_be),
    }


def _row(each: Difference) -> tuple[str, ...]:
    told = each.told
    return (
        each.change.value, told.name, told.transition, told.key, _side(each.was), _side(each.would_be),
        str(told.cause[0]),
    )  # fmt: skip


def _side(told: Told | None) -> str:
    if told is None:
        return "–"
    return f"{moment(told.time)} {told.severity or ''}{' late' if told.late else ''}".rstrip()


def _example(tally: Tally) -> str:
    first = tally.examples[0]
    return f"{first.device} {moment(first.time)}: {_value(first.was)} → {_value(first.would_be)}"


def _value(value: Scalar | None) -> str:
    return "–" if value is None else str(value)
