"""``hub sites``: the communities of the registry."""

from __future__ import annotations

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
from hub.registry.registry import Registry
from hub.ui.cli import sites_remove
from hub.ui.desk.desk import AsJson, Desk, desk_of
from hub.ui.printing import say_done, say_listing
from hub.ui.words import label_of, title

app = typer.Typer()
app.command("remove")(sites_remove.remove)


@app.command("list")
def list_sites(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List the sites."""
    sites, names = desk_of(context).in_registry(_read)
    say_listing(
        map(asdict, sites),
        ("site", "name", "time zone", "partition", "code", "in"),
        (
            (site.id, " / ".join(site.label.values()), site.zone, site.partition, site.code, _around(site, names))
            for site in sites
        ),
        empty="no sites",
        as_json=as_json,
    )


@app.command()
def add(
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
    """Add a site; the hub of its partition takes it up within 6 seconds."""
    desk = desk_of(context)
    wanted = Site(id=site, zone=zone, partition=partition or "", code=code, label=label_of(en, zh))
    noun = desk.in_registry(lambda registry: _add(desk, registry, wanted), begins=True)
    here = partitions_of(desk.settings)
    if noun.partition not in here:
        typer.echo(f"this machine runs {', '.join(here)}: another one must run {noun.partition}", err=True)
    beside = f" to partition {noun.partition}" if len(here) > 1 else ""
    say_done(f"added {site}{beside}", asdict(noun), as_json=as_json)


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
    facts = {LONGITUDE: longitude, LATITUDE: latitude}
    desk_of(context).in_registry(lambda registry: _locate(registry, site, facts))
    say_done(f"{site} lies at {longitude} {latitude}", {"site": site, **facts}, as_json=as_json)


@app.command("code")
def set_code(context: typer.Context, site: str, code: str, *, as_json: AsJson = False) -> None:
    """Say which community a site is: 12 digits of the statistics bureau, of which 6 are the city and 9 the street."""
    desk_of(context).in_registry(lambda registry: registry.set_site_code(site, code))
    say_done(f"{site} is {code}", {"site": site, "code": code}, as_json=as_json)


def _around(site: Site, names: Mapping[str, Mapping[str, str]]) -> str:
    """Return the city and street that a site lies in, as people call them."""
    return " › ".join(title(code, names.get(code, {})) for code in addresses.around(site.code)) if site.code else ""


async def _locate(registry: Registry, site: str, facts: Mapping[str, float]) -> None:
    for name, value in facts.items():
        await set_fact(registry, (site, site), name, value)


async def _read(registry: Registry) -> tuple[list[Site], dict[str, dict[str, str]]]:
    return await registry.sites(), {each.code: each.label for each in await registry.divisions()}


async def _add(desk: Desk, registry: Registry, site: Site) -> Site:
    """Add ``site``, to a partition that it need not name; it stays there."""
    if not site.partition:
        of_site = {each.id: each.partition for each in await registry.sites()}
        devices = Counter(of_site[device.site] for device in await registry.devices())
        site = replace(site, partition=emptiest(partitions_of(desk.settings), Counter(of_site.values()), devices))
    await registry.add_site(site)
    return site
