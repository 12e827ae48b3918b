"""``hub divisions``: what the cities, streets and communities around the sites are called, by their standard codes."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated

import typer

from hub.registry.addresses import level_of
from hub.registry.nouns import Division
from hub.ui.cli.desk import AsJson, Desk, desk_of
from hub.ui.printing import say_json, say_table
from hub.ui.words import title

app = typer.Typer()

Code = Annotated[str, typer.Argument(help="6 digits: a city or district (GB/T 2260); 9: a street; 12: a community.")]


@app.command("set")
def set_division(
    context: typer.Context,
    code: Code,
    *,
    en: Annotated[str, typer.Option(help="Its English name.")] = "",
    zh: Annotated[str, typer.Option(help="Its Chinese name.")] = "",
    as_json: AsJson = False,
) -> None:
    """Say what a code stands for."""
    label = {language: text for language, text in (("en", en), ("zh", zh)) if text}
    division = Division(code=code, label=label)
    asyncio.run(_set(desk_of(context), division))
    if as_json:
        say_json(asdict(division))
    else:
        typer.echo(f"{code} is {title(code, label)}")


@app.command("list")
def list_divisions(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List what codes stand for."""
    found = asyncio.run(_read(desk_of(context)))
    if as_json:
        say_json([{**asdict(each), "level": level_of(each.code)} for each in found])
        return
    rows = ((each.code, level_of(each.code), title("", each.label)) for each in found)
    say_table(("code", "level", "name"), rows, empty="no divisions")


async def _set(desk: Desk, division: Division) -> None:
    async with desk.registry() as registry:
        await registry.set_division(division)


async def _read(desk: Desk) -> list[Division]:
    async with desk.registry() as registry:
        return await registry.divisions()
