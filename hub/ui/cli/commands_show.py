"""``hub commands list`` and ``show``: what was wanted of devices, who wanted it, and what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Annotated

import msgspec
import typer

from hub.commands.shown import ASKS, MILLION, STATES, Listing, Shown, StepShown
from hub.errors import ConfigError
from hub.model.effects import Event
from hub.model.values import Scalar
from hub.sinks.control import Request
from hub.ui.atlas import Atlas
from hub.ui.desk.desk import AsJson, Desk, desk_of
from hub.ui.desk.personal import Reason, Unmask, veil_of
from hub.ui.desk.reply import Actor, ask
from hub.ui.history import MOST, History, Wanted
from hub.ui.printing import say_json, say_listing, say_table
from hub.ui.words import details, moment, since
from hub.veil import Veil

COLUMNS = ("id", "command", "where", "state", "since", "for", "by", "priority", "said")

Site = Annotated[str, typer.Option("--site", help="Only this site.")]


def list_commands(
    context: typer.Context,
    *,
    site: Site = "",
    device: Annotated[str, typer.Option(help="Only this device.")] = "",
    state: Annotated[list[str] | None, typer.Option(help="open, holds, waits, failed …; may be repeated.")] = None,
    from_: Annotated[str | None, typer.Option("--since", help="Also what ended since then: 1h, 2d …")] = None,
    actor: Actor,
    unmask: Unmask = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """List what is open and what ended within the last ten minutes, the newest first; a hold is one line."""
    desk = desk_of(context)
    veil = veil_of(desk, "command", "command/list", unmask=unmask, reason=reason)
    unknown = sorted({*(state or ())} - STATES - {"open"})
    if unknown:
        raise ConfigError(
            "state_unknown", f"no command is {', '.join(unknown)}", hint=f"open, {', '.join(sorted(STATES))}"
        )
    words = {"site": site, "device": device, "state": ",".join(state or ())}
    asked: dict[str, Scalar] = {word: said for word, said in words.items() if said}
    found, left_off = asyncio.run(_list(desk, actor, asked, None if from_ is None else desk.ago(from_)))
    found = [_veiled(veil, each) for each in found]
    if left_off:
        typer.echo(f"and {left_off} more: --site, --device or --state narrow it down", err=True)
    now = desk.clock.wall_ns()
    rows = (_row(each, now) for each in found)
    say_listing(map(document, found), COLUMNS, rows, empty="no commands", as_json=as_json)


def show(
    context: typer.Context,
    which: Annotated[str, typer.Argument(metavar="ID", help="The beginning of its id.")],
    *,
    site: Site = "",
    actor: Actor,
    unmask: Unmask = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Show one command, also one long over: who or which rule caused it, its hold, each step with its moment."""
    desk = desk_of(context)
    veil = veil_of(desk, "command", f"command/{which}", unmask=unmask, reason=reason)
    found = [_veiled(veil, each) for each in asyncio.run(_find(desk, actor, which, site))]
    one = _chosen(found, which)
    sent = [each for each in found if each is not one] if one.is_hold else []
    if as_json:
        say_json({**document(one), "sent": [document(each) for each in sent]})
        return
    typer.echo(f"{one.command} {_where(one)}  {one.state}{' (drill)' if one.drill else ''}  {one.detail}".rstrip())
    typer.echo(f"id {one.id}  by {one.cause}, with priority {one.priority}  {details(one.args)}".rstrip())
    typer.echo(_hold_of(one))
    say_table(("time", "after", "step", "said"), _steps(one))
    if sent:
        typer.echo()
        say_table(COLUMNS, (_row(each, desk.clock.wall_ns()) for each in sent))


def document(each: Shown) -> dict[str, object]:
    """Return a command as programs read it, with the words that are left out where they say nothing."""
    return {"part": "", "args": {}, "detail": "", "drill": False, "hold": None, **msgspec.to_builtins(each)}


# ------------------------------------------------------------------------------------------------- where they come from


async def _list(desk: Desk, actor: str, asked: dict[str, Scalar], since: int | None) -> tuple[list[Shown], int]:
    found, left_off = await _open(desk, actor, asked)
    if since is not None:
        states = set(str(asked.get("state", "")).split(",")) - {""}
        known = {each.id for each in found}
        told = await _told(desk, Wanted(
            domains=("command",), places=tuple(str(asked[word]) for word in ("site",) if word in asked),
            devices=tuple(str(asked[word]) for word in ("device",) if word in asked),
        ), since)  # fmt: skip
        found += [each for each in told if each.id not in known and (not states or each.state in states)]
    return found, left_off


async def _find(desk: Desk, actor: str, which: str, site: str) -> list[Shown]:
    """Return the commands whose id begins with ``which``: of the hub's memory, else of the events."""
    found, _ = await _open(desk, actor, {"id": which, **({"site": site} if site else {})})
    if found:
        return found
    return [each for each in await _told(desk, Wanted(domains=("command",)), None) if each.id.startswith(which)]


async def _open(desk: Desk, actor: str, asked: dict[str, Scalar]) -> tuple[list[Shown], int]:
    """Ask the hub of the partition that a site is in, or of every partition."""
    site = str(asked.get("site", ""))
    if site:
        (await Atlas.open(desk)).refuse_unknown([site])
    found: list[Shown] = []
    left_off = 0
    for each in [desk] if site else desk.each():
        reply = await ask(each, Request(actor=actor, verb=ASKS, args=asked), site=site)
        listing = msgspec.json.decode(reply.detail, type=Listing)
        found += listing.commands
        left_off += listing.left_off
    return sorted(found, key=lambda each: -each.began_at), left_off


async def _told(desk: Desk, wanted: Wanted, since: int | None) -> list[Shown]:
    """Return commands that have ended by the last event that tells of each, the newest first."""
    async with desk.redis() as link:
        history = History(desk, link, await Atlas.open(desk))
        events = await history.find(wanted, since=since, limit=MOST)
    last = {str(event.data["id"]): event for event in events if "accepted_at" in event.data}
    return [_of_event(event) for event in reversed(last.values())]


def _of_event(event: Event) -> Shown:
    data = event.data
    accepted = int(data["accepted_at"])
    steps = [step.rpartition(" ") for step in str(data.get("steps", "")).split(", ") if step]
    said = str(data.get("detail", ""))
    return Shown(
        id=str(data["id"]), site=event.site, device=event.device, part=event.part, command=str(data["command"]),
        priority=str(data.get("priority", "")), cause=event.rule, state=event.name.removeprefix("command."),
        detail=said, drill=event.drill,
        steps=[
            StepShown("accepted", accepted),
            *(
                StepShown(what, accepted + int(after), said if number == len(steps) else "")
                for number, (what, _, after) in enumerate(steps, 1)
            ),
        ],
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------------- how they look


def _chosen(found: Sequence[Shown], which: str) -> Shown:
    """Return the one command of an id, or of its beginning; a hold stands for all that it sends."""
    exact = [each for each in found if each.id == which]
    holds = [each for each in found if each.is_hold]
    names = {each.id if each.hold is None else each.hold.id for each in found}
    if len(names) == 1:
        return (holds or exact or list(found))[0]
    if len(exact) == 1:
        return exact[0]
    code = "command_ambiguous" if found else "command_unknown"
    message = f"{len(names) or 'no'} commands have an id that begins with {which!r}"
    raise ConfigError(code, message, hint="`hub commands list --since 1d` shows them")


def _veiled(veil: Veil, each: Shown) -> Shown:
    return msgspec.structs.replace(each, args=veil.data(each.args))


def _where(each: Shown) -> str:
    return f"{each.site}/{each.device}#{each.part}" if each.part else f"{each.site}/{each.device}"


def _row(each: Shown, now: int) -> tuple[str, ...]:
    last = each.steps[-1].at * MILLION
    took = since(each.began_at * MILLION, now if each.is_open else last)
    state = f"{each.state} (drill)" if each.drill else each.state
    began = moment(each.began_at * MILLION)
    return each.id, each.command, _where(each), state, began, took, each.cause, each.priority, each.detail


def _hold_of(each: Shown) -> str:
    hold = each.hold
    if hold is None:
        until = f"worth sending until {moment(each.expires_at * MILLION)}" if each.expires_at else "it is long over"
        return f"no hold: {until}"
    words = [f"hold {hold.id} {hold.standing}"]
    words += [f"lapses {moment(hold.lapses_at * MILLION)} unless renewed"] if hold.lapses_at else []
    words += [f"ends {moment(hold.ends_at * MILLION)} at the latest"] if hold.ends_at else []
    words += [f"undone by {hold.release}"] if hold.release else []
    words += [f"tried in vain {hold.tries} times"] if hold.tries else []
    words += [f"tried again {moment(hold.again_at * MILLION)}"] if hold.again_at else []
    return ", ".join(words + ([f"barred: {hold.barred}"] if hold.barred else []))


def _steps(each: Shown) -> Iterable[tuple[str, ...]]:
    for step in each.steps:
        yield moment(step.at * MILLION), f"{step.at - each.began_at} ms", step.what, step.detail
