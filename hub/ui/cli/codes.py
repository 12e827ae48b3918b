"""``hub codes``: which person, household, vehicle, device and place belong together, and since when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, date, datetime
from typing import Annotated

import typer

from hub.errors import ConfigError
from hub.registry import codes
from hub.registry.code_kinds import HOUSEHOLD, PERSON, Found, Kinds, Link, new_reference
from hub.registry.registry import Registry
from hub.ui.desk.desk import AsJson, Desk, desk_of
from hub.ui.desk.personal import Reason, Unmask, veil_of
from hub.ui.printing import say_done, say_json, say_listing

app = typer.Typer()

Code = Annotated[str, typer.Argument(metavar="CODE", help="plate:鲁B12345, household:…, person:…, place:SITE/ID …")]
At = Annotated[str, typer.Option(help="A day, such as 2026-03-01; else today.")]


@app.command()
def new(
    context: typer.Context,
    kind: Annotated[str, typer.Argument(help=f"{PERSON} or {HOUSEHOLD}, or another kind of reference.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Make a reference for a person or a household that says nothing of them; who it is is written elsewhere."""
    code = kinds_of(desk_of(context)).read(new_reference(kind))
    say_done(code, {"code": code}, as_json=as_json)


@app.command()
def link(
    context: typer.Context,
    code: Code,
    others: Annotated[list[str], typer.Argument(metavar="CODE...", help="What belongs to it.")],
    *,
    begins: Annotated[str, typer.Option("--from", help="The first day; else always.")] = "",
    ends: Annotated[str, typer.Option("--until", help="The last day.")] = "",
    as_json: AsJson = False,
) -> None:
    """Say that codes belong together."""
    desk = desk_of(context)
    kinds = kinds_of(desk)
    span = {"begins": _day(begins).isoformat() if begins else "", "ends": _day(ends).isoformat() if ends else ""}
    links = [Link(one=kinds.read(code), other=kinds.read(other), **span) for other in others]
    desk.in_registry(lambda registry: codes.put_links(registry, kinds, links))
    _tell(kinds, links, "linked", as_json=as_json)


@app.command()
def unlink(context: typer.Context, code: Code, other: Code, *, at: At = "", as_json: AsJson = False) -> None:
    """Say that two codes belong together no more from a day on; until then they did."""
    desk = desk_of(context)
    kinds = kinds_of(desk)
    pair, day = (kinds.read(code), kinds.read(other)), _day(at, desk)
    ended = desk.in_registry(lambda registry: codes.end_links(registry, kinds, pair, day))
    _tell(kinds, ended, "unlinked", as_json=as_json)


@app.command()
def resolve(
    context: typer.Context,
    code: Code,
    *,
    at: At = "",
    steps: Annotated[int, typer.Option(min=1, help="So far at most.")] = 4,
    unmask: Unmask = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Find what a code leads to: plate → household → dwelling → detector. The audit tells who asked."""
    desk = desk_of(context)
    kinds = kinds_of(desk)
    start = kinds.read(code)
    is_whole = veil_of(desk, "code", kinds.shown(start), unmask=unmask, reason=reason).is_lifted
    look = None if is_whole else ("code.resolved", kinds.shown(start), reason)
    day = _day(at, desk)
    found = desk.in_registry(lambda registry: _resolve(registry, start, day, steps, look))
    if not is_whole:
        found = [replace(each, code=kinds.shown(each.code), via=kinds.shown(each.via)) for each in found]
    say_listing(
        map(asdict, found),
        ("code", "steps", "via", "from", "until"),
        ((each.code, str(each.steps), each.via, each.begins, each.ends) for each in found),
        empty="it leads to nothing",
        as_json=as_json,
    )


@app.command("move-in")
def move_in(
    context: typer.Context,
    household: Code,
    others: Annotated[list[str], typer.Argument(metavar="CODE...", help="The dwelling, then persons and vehicles.")],
    *,
    at: At = "",
    as_json: AsJson = False,
) -> None:
    """Let a household live somewhere from a day on."""
    desk = desk_of(context)
    kinds = kinds_of(desk)
    who, read, day = kinds.read(household), [kinds.read(each) for each in others], _day(at, desk)
    links = desk.in_registry(lambda registry: codes.move_in(registry, kinds, who, read, day))
    _tell(kinds, links, "linked", as_json=as_json)


@app.command("move-out")
def move_out(context: typer.Context, household: Code, *, at: At = "", as_json: AsJson = False) -> None:
    """Let a household live there no more from a day on; its consents (care_watch) end with it."""
    desk = desk_of(context)
    kinds = kinds_of(desk)
    who, day = kinds.read(household), _day(at, desk)
    ended, facts = desk.in_registry(lambda registry: codes.move_out(registry, kinds, who, day))
    if as_json:
        say_json({"unlinked": [asdict(each) for each in _masked(kinds, ended)], "facts_ended": facts})
        return
    _tell(kinds, ended, "unlinked", as_json=False)
    for fact in facts:
        typer.echo(f"ended with it: {fact}")


@app.command()
def forget(context: typer.Context, code: Code, *, as_json: AsJson = False) -> None:
    """Remove every link of a code, past ones too, as a person may ask."""
    desk = desk_of(context)
    kinds = kinds_of(desk)
    one = kinds.read(code)
    count = desk.in_registry(lambda registry: codes.forget(registry, kinds, one))
    say_done(f"removed {count} links", {"removed": count}, as_json=as_json)


def kinds_of(desk: Desk) -> Kinds:
    """Return the kinds of codes of this installation."""
    return Kinds(desk.settings.codes.kinds)


def _day(text: str, desk: Desk | None = None) -> date:
    if not text and desk is not None:
        return datetime.fromtimestamp(desk.clock.wall_ns() // 1_000_000_000, UTC).astimezone().date()
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ConfigError("option_invalid", f"{text!r} is no day", hint="such as 2026-03-01") from error


def _masked(kinds: Kinds, links: Sequence[Link]) -> list[Link]:
    return [replace(each, one=kinds.shown(each.one), other=kinds.shown(each.other)) for each in links]


def _tell(kinds: Kinds, links: Sequence[Link], what: str, *, as_json: bool) -> None:
    shown = _masked(kinds, links)
    if as_json:
        say_json([asdict(each) for each in shown])
        return
    for each in shown:
        typer.echo(f"{what} {each.one} and {each.other} {each.begins}/{each.ends}".removesuffix(" /"))


async def _resolve(
    registry: Registry, code: str, day: date, steps: int, look: tuple[str, str, str] | None
) -> list[Found]:
    if look is not None:
        await registry.look(*look)
    return await codes.resolve(registry, code, day, most_steps=steps)
