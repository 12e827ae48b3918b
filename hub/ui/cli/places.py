"""``hub places``: buildings, dwellings, elevators and gates, and what holds there."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from hub.errors import ConfigError
from hub.model.values import PlaceType, Scalar
from hub.registry import circumstances
from hub.registry.nouns import Place
from hub.registry.registry import Registry
from hub.ui.cli import devices_imports, places_geometry
from hub.ui.cli.lists import For, From, Until, validity_of
from hub.ui.desk.desk import AsJson, Desk, desk_of, pairs_of
from hub.ui.desk.whose import of_site
from hub.ui.fitness import fact_problems
from hub.ui.printing import say_done, say_json, say_listing, say_table
from hub.ui.words import details, label_of, title

app = typer.Typer()
app.command("import")(devices_imports.import_places)
app.command("export")(devices_imports.export_places)
app.command("locate")(places_geometry.locate)

Fact = Annotated[str, typer.Argument(metavar="FACT", help="away, care_watch, escape_door, or what a rule calls it.")]


@app.command()
def add(
    context: typer.Context,
    site: str,
    place: str,
    *,
    type_: Annotated[PlaceType, typer.Option("--type", help="What it is.")],
    parent: Annotated[str, typer.Option(help="The place that it lies in; else the site.")] = "",
    en: Annotated[str, typer.Option(help="Its English name.")] = "",
    zh: Annotated[str, typer.Option(help="Its Chinese name.")] = "",
    as_json: AsJson = False,
) -> None:
    """Add a place."""
    noun = Place(site=site, id=place, type=type_, parent="" if parent == site else parent, label=label_of(en, zh))
    desk_of(context).in_registry(lambda registry: registry.add_places([noun]))
    say_done(f"added {site}/{place}", asdict(noun), as_json=as_json)


@app.command("list")
def list_places(
    context: typer.Context,
    *,
    site: Annotated[str | None, typer.Option(help="Only of this site.")] = None,
    type_: Annotated[PlaceType | None, typer.Option("--type", help="Only of this type.")] = None,
    as_json: AsJson = False,
) -> None:
    """List places."""
    found = [place for place in of_site(desk_of(context), Registry.places, site) if type_ in {None, place.type}]
    say_listing(
        map(asdict, found),
        ("site", "place", "type", "in", "name", "code", "facts"),
        (
            (
                place.site,
                place.id,
                place.type.value,
                place.parent or place.site,
                title("", place.label),
                place.code,
                details(place.facts),
            )
            for place in found
        ),
        empty="no places",
        as_json=as_json,
    )


@app.command()
def show(context: typer.Context, site: str, place: str, *, as_json: AsJson = False) -> None:
    """Show a place with its facts, since and until when they hold, and who agreed."""
    noun = desk_of(context).in_registry(lambda registry: circumstances.read_place(registry, (site, place)))
    if as_json:
        say_json(asdict(noun))
        return
    plain = [
        *(("type", noun.type.value), ("in", noun.parent or noun.site), ("name", title("", noun.label))),
        *(("code", noun.code), *((name, str(value)) for name, value in places_geometry.shown(noun).items())),
    ]
    facts = [(name, str(value), noun.consents.get(name, "")) for name, value in noun.facts.items()]
    say_table(("what", "is", "consent"), [*((*each, "") for each in plain), *facts])


@app.command("set-fact")
def set_fact(
    context: typer.Context,
    site: str,
    place: str,
    fact: Fact,
    value: Annotated[str, typer.Argument(metavar="VALUE", help="true, false, or something else.")] = "",
    *,
    begins: From = "",
    ends: Until = "",
    span: For = "",
    consent: Annotated[str, typer.Option(help="Who agreed, and where that is written; care_watch needs it.")] = "",
    as_json: AsJson = False,
) -> None:
    """Say what holds at a place: always, or from when until when. Rules for what is below it read it too."""
    desk = desk_of(context)
    said = _said(value, validity_of(desk, begins, ends, span))
    _check(desk, fact, said)
    noun = desk.in_registry(lambda registry: circumstances.set_fact(registry, (site, place), fact, said, consent))
    say_done(f"{site}/{place}: {details(noun.facts)}", asdict(noun), as_json=as_json)


@app.command("clear-fact")
def clear_fact(context: typer.Context, site: str, place: str, fact: Fact, *, as_json: AsJson = False) -> None:
    """Say it no more."""
    noun = desk_of(context).in_registry(lambda registry: circumstances.clear_fact(registry, (site, place), fact))
    say_done(f"{site}/{place}: {details(noun.facts) or 'no facts'}", asdict(noun), as_json=as_json)


def _said(value: str, valid: str) -> Scalar:
    if not valid:
        return pairs_of([f"x={value or 'true'}"])["x"]
    if value not in {"", "true"}:
        raise ConfigError("option_invalid", "what holds for a time is true: leave out the value")
    return valid


def _check(desk: Desk, fact: str, said: Scalar) -> None:
    """ConfigError ``fact_invalid`` when rules ask whether it is so, and this is no answer: the hub would refuse it."""
    for _, text in fact_problems(desk.settings, [{fact: said}]):
        raise ConfigError("fact_invalid", text, hint="give true, false, or --from and --until")
