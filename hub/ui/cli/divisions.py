"""``hub divisions``: what the cities, streets and communities around the sites are called, by their standard codes."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from hub.registry.addresses import level_of
from hub.registry.nouns import Division
from hub.registry.registry import Registry
from hub.ui.desk.desk import AsJson, desk_of
from hub.ui.printing import say_done, say_listing
from hub.ui.words import label_of, title

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
    division = Division(code=code, label=label_of(en, zh))
    desk_of(context).in_registry(lambda registry: registry.set_division(division))
    say_done(f"{code} is {title(code, division.label)}", asdict(division), as_json=as_json)


@app.command("list")
def list_divisions(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List what codes stand for."""
    found = desk_of(context).in_registry(Registry.divisions)
    say_listing(
        ({**asdict(each), "level": level_of(each.code)} for each in found),
        ("code", "level", "name"),
        ((each.code, level_of(each.code), title("", each.label)) for each in found),
        empty="no divisions",
        as_json=as_json,
    )
