"""``hub alarms``: what is active now, why, and what people do about it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec
import typer

from hub.model.effects import AlarmState, Reply
from hub.model.values import SEVERITY_RANKS, Scalar
from hub.sinks.control import Request
from hub.sinks.stream_readers import read_alarms
from hub.ui.atlas import Atlas
from hub.ui.cli import alarms_dossier, alarms_seal
from hub.ui.cli.alarms_show import Key, Which, chosen, name_of, show
from hub.ui.desk.desk import AsJson, Desk, desk_of
from hub.ui.desk.personal import Reason, Unmask, veil_of
from hub.ui.desk.reply import Actor, ask, tell
from hub.ui.printing import say_json, say_table
from hub.ui.words import SHOWN_ID, marks, moment, since, title

app = typer.Typer()
app.command("show")(show)
app.command("dossier")(alarms_dossier.dossier)
app.command("verify")(alarms_dossier.verify)
app.command("seal")(alarms_seal.seal)


@app.command("list")
def list_alarms(
    context: typer.Context,
    *,
    site: Annotated[list[str] | None, typer.Option(help="Only these sites.")] = None,
    also_tried: Annotated[bool, typer.Option("--all", help="Also what was raised in tests and drills.")] = False,
    unmask: Unmask = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """List what is active, the worst and oldest first; what is only tried comes last. JSON holds all of it."""
    desk = desk_of(context)
    veil = veil_of(desk, "alarm", "alarm/list", unmask=unmask, reason=reason)
    atlas, found = asyncio.run(_read(desk, site))
    alarms = [veil.told(alarm) for alarm in found]
    if as_json:
        say_json([msgspec.to_builtins(alarm) for alarm in alarms])
        return
    now = desk.clock.wall_ns()
    tried = sum(not alarm.is_real for alarm in alarms)
    say_table(
        ("id", "severity", "alarm", "where", "since", "for", "acknowledged by", "shelved until", "rule"),
        (
            (
                alarm.id[:SHOWN_ID],
                alarm.severity.value,
                title(alarm.name, alarm.label) + marks(alarm),
                atlas.place(alarm),
                moment(alarm.since),
                since(alarm.since, now),
                alarm.acknowledged_by or "",
                f"{moment(alarm.shelved_until)} by {alarm.shelved_by}".removesuffix(" by ")
                if alarm.shelved_until
                else "",
                alarm.rule,
            )
            for alarm in alarms[: len(alarms) if also_tried else len(alarms) - tried]
        ),
        empty="no active alarms",
    )
    if tried and not also_tried:
        typer.echo(
            f"and {tried} of tests and drills: --all shows them, `hub test list` and `hub drill list` until when"
        )


@app.command()
def ack(context: typer.Context, which: Which, key: Key = None, *, actor: Actor, as_json: AsJson = False) -> None:
    """Acknowledge an alarm: somebody has seen it. It stays active until it is cleared."""
    tell(asyncio.run(_ask(desk_of(context), (which, key), actor, "ack", {})), as_json=as_json)


@app.command()
def clear(
    context: typer.Context,
    which: Which,
    key: Key = None,
    *,
    role: Annotated[str, typer.Option(help="In which role, where the rule asks for one: security …")] = "",
    reason: Annotated[str, typer.Option(help="Why it is over, where no device can say so any more.")] = "",
    actor: Actor,
    as_json: AsJson = False,
) -> None:
    """Clear an alarm that only a person ends (`clear: {by: operator}`), once its cause is gone.

    Or, with a reason, one of which no device says any more whether it is over: it is silent, or has no word for that.
    """
    args = {word: said for word, said in (("role", role), ("reason", reason)) if said}
    tell(asyncio.run(_ask(desk_of(context), (which, key), actor, "clear", args)), as_json=as_json)


@app.command()
def comment(
    context: typer.Context,
    which: Which,
    text: str,
    *,
    key: Annotated[str | None, typer.Option(help="With a rule: site/device or site/device#part.")] = None,
    actor: Actor,
    as_json: AsJson = False,
) -> None:
    """Say something about an active alarm; it becomes part of its history."""
    tell(asyncio.run(_ask(desk_of(context), (which, key), actor, "comment", {"text": text})), as_json=as_json)


@app.command()
def shelve(
    context: typer.Context,
    which: Which,
    key: Key = None,
    *,
    span: Annotated[str, typer.Option("--for", help="So long: 30m, 8h …; 0s takes it back.")],
    actor: Actor,
    as_json: AsJson = False,
) -> None:
    """Put an active alarm away for a while: it stays active, and comes back by itself.

    Nobody is reminded of it, also when it is cleared and raised again meanwhile; what it commands goes on.
    """
    tell(asyncio.run(_ask(desk_of(context), (which, key), actor, "shelve", {"for": span})), as_json=as_json)


def worst_first(alarms: Sequence[AlarmState]) -> list[AlarmState]:
    """Return alarms by severity, then by age; those of tests and drills after all others."""
    return sorted(alarms, key=lambda alarm: (not alarm.is_real, SEVERITY_RANKS[alarm.severity], alarm.since))


async def _read(desk: Desk, sites: Sequence[str] | None) -> tuple[Atlas, list[AlarmState]]:
    atlas = await Atlas.open(desk)
    atlas.refuse_unknown(sites or ())
    async with desk.redis() as link:
        return atlas, worst_first(await read_alarms(link, sites or None))


async def _ask(desk: Desk, name: tuple[str, str | None], actor: str, verb: str, args: Mapping[str, Scalar]) -> Reply:
    async with desk.redis() as link:
        which, key = name
        rule, key = (which, key) if key is not None else name_of(chosen(await read_alarms(link), which))
    request = Request(actor=actor, verb=verb, args={"rule": rule, "key": key, **args})
    return await ask(desk, request, site=key.partition("/")[0])
