"""``hub sites``: the communities of the registry."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Annotated

import typer

from hub.city.chart import LATITUDE, LONGITUDE
from hub.partitions import emptiest, partitions_of
from hub.registry import addresses
from hub.registry.circumstances import set_fact
from hub.registry.nouns import Site
from hub.ui.cli.desk import AsJson, Desk, desk_of
from hub.ui.printing import say_json, say_table
from hub.ui.words import title

app = typer.Typer()


@app.command("list")
def list_sites(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List the sites."""
    sites, names = asyncio.run(_read(desk_of(context)))
    if as_json:
        say_json([asdict(site) for site in sites])
        return
    say_table(
        ("site", "name", "time zone", "partition", "code", "in"),
        (
            (site.id, " / ".join(site.label.values()), site.zone, site.partition, site.code, _around(site, names))
            for site in sites
        ),
        empty="no sites",
    )


@app.command()
def add(  # noqa: PLR0913 -- each is a word of the command line
    context: typer.Context,
    site: str,
    *,
    zone: Annotated[str, typer.Option(help="An IANA time zone.")] = "Asia/Shanghai",
    partition: Annotated[str | None, typer.Option(help="Else the one with the fewest devices.")] = None,
    code: Annotated[str, typer.Option(help="12 digits: the community's code of the statistics bureau.")] = "",
    en: Annotated[str, typer.Option(help="Its English name.")] = "",
    zh: Annotated[str, typer.Option(help="Its Chinese name.")] = "",
    as_json: AsJson = False,
) -> None:
    """Add a site; the hub of its partition takes it up within 5 seconds."""
    desk = desk_of(context)
    label = {language: text for language, text in (("en", en), ("zh", zh)) if text}
    noun = asyncio.run(_add(desk, Site(id=site, zone=zone, partition=partition or "", code=code, label=label)))
    here = partitions_of(desk.settings)
    if noun.partition not in here:
        typer.echo(f"this machine runs {', '.join(here)}: another one must run {noun.partition}", err=True)
    if as_json:
        say_json(asdict(noun))
    else:
        beside = f" to partition {noun.partition}" if len(here) > 1 else ""
        typer.echo(f"added {site}{beside}")


@app.command()
def locate(
    context: typer.Context,
    site: str,
    longitude: Annotated[float, typer.Argument(min=-180, max=180)],
    latitude: Annotated[float, typer.Argument(min=-90, max=90)],
    *,
    as_json: AsJson = False,
) -> None:
    """Say where a site lies, in degrees (before a negative one: --), so that the city knows what is far."""
    asyncio.run(_locate(desk_of(context), site, {LONGITUDE: longitude, LATITUDE: latitude}))
    if as_json:
        say_json({"site": site, LONGITUDE: longitude, LATITUDE: latitude})
    else:
        typer.echo(f"{site} lies at {longitude} {latitude}")


@app.command("code")
def set_code(context: typer.Context, site: str, code: str, *, as_json: AsJson = False) -> None:
    """Say which community a site is: 12 digits of the statistics bureau, of which 6 are the city and 9 the street."""
    asyncio.run(_set_code(desk_of(context), site, code))
    if as_json:
        say_json({"site": site, "code": code})
    else:
        typer.echo(f"{site} is {code}")


def _around(site: Site, names: Mapping[str, Mapping[str, str]]) -> str:
    """Return the city and street that a site lies in, as people call them."""
    return " › ".join(title(code, names.get(code, {})) for code in addresses.around(site.code)) if site.code else ""


async def _set_code(desk: Desk, site: str, code: str) -> None:
    async with desk.registry() as registry:
        await registry.set_site_code(site, code)


async def _locate(desk: Desk, site: str, facts: Mapping[str, float]) -> None:
    async with desk.registry() as registry:
        for name, value in facts.items():
            await set_fact(registry, (site, site), name, value)


async def _read(desk: Desk) -> tuple[list[Site], dict[str, dict[str, str]]]:
    async with desk.registry() as registry:
        return await registry.sites(), {each.code: each.label for each in await registry.divisions()}


async def _add(desk: Desk, site: Site) -> Site:
    """Add ``site``, to a partition that it need not name; it stays there."""
    async with desk.registry() as registry:
        if not site.partition:
            of_site = {each.id: each.partition for each in await registry.sites()}
            devices = Counter(of_site[device.site] for device in await registry.devices())
            site = replace(site, partition=emptiest(partitions_of(desk.settings), Counter(of_site.values()), devices))
        await registry.add_site(site)
    return site
