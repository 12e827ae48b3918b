"""``hub sources``: the foreign networks that devices are in."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from hub.config import Settings, packaged
from hub.normalize.networks.load import load_networks
from hub.normalize.networks.network import SourceRow
from hub.normalize.networks.routing import Router, compile_router
from hub.normalize.networks.source import CompiledSource
from hub.registry.nouns import Source
from hub.registry.registry import Registry
from hub.ui.cli.desk import AsJson, Desk, desk_of, pairs_of
from hub.ui.printing import say_json, say_table
from hub.ui.words import details

app = typer.Typer(help="Foreign networks: ChirpStack, Zigbee2MQTT, uhppoted, topics of your own.")


@app.command("list")
def list_sources(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List the sources and the topics that are theirs."""
    desk = desk_of(context)
    found = asyncio.run(_read(desk))
    filters = {source.id: compiled(desk.settings, source).filters for source in found}
    if as_json:
        say_json([{**asdict(source), "filters": filters[source.id]} for source in found])
        return
    say_table(
        ("source", "network", "partition", "params", "topics"),
        (
            (source.id, source.network, source.partition, details(source.params), "\n".join(filters[source.id]))
            for source in found
        ),
        empty="no sources",
    )


@app.command()
def add(  # noqa: PLR0913 -- each is a word of the command line
    context: typer.Context,
    source: str,
    *,
    network: Annotated[str, typer.Option(help="What sort of network it is; else as the source is called.")] = "",
    partition: Annotated[str | None, typer.Option(help="Else the partition of these settings.")] = None,
    param: Annotated[list[str] | None, typer.Option(help="name=value of its network; may be repeated.")] = None,
    as_json: AsJson = False,
) -> None:
    """Add a source; the devices of its partition's sites can then be in it."""
    desk = desk_of(context)
    noun = Source(
        id=source,
        network=network or source,
        partition=partition or desk.settings.partition,
        params=pairs_of(param or ()),
    )
    asyncio.run(_add(desk, noun))
    if as_json:
        say_json(asdict(noun))
    else:
        typer.echo(f"added {source}")


@app.command()
def remove(context: typer.Context, source: str) -> None:
    """Forget a source that no device is in any more."""
    asyncio.run(_remove(desk_of(context), source))
    typer.echo(f"removed {source}")


def compiled(settings: Settings, source: Source) -> CompiledSource:
    """Return a source at work. Raises ConfigError."""
    return _router(settings, [source]).sources[source.id]


def _router(settings: Settings, sources: Sequence[Source]) -> Router:
    overlay = [] if settings.profiles_dir is None else [settings.profiles_dir]
    networks = load_networks([packaged("device_profiles"), *overlay])
    return compile_router([SourceRow(source.id, source.network, source.params) for source in sources], networks)


async def _read(desk: Desk) -> list[Source]:
    async with Registry(desk.settings.registry_url()) as registry:
        return await registry.sources()


async def _add(desk: Desk, source: Source) -> None:
    async with Registry(desk.settings.registry_url()) as registry:
        others = [each for each in await registry.sources() if each.id != source.id]
        _router(desk.settings, [*(each for each in others if each.partition == source.partition), source])
        await registry.add_source(source)


async def _remove(desk: Desk, source: str) -> None:
    async with Registry(desk.settings.registry_url()) as registry:
        await registry.remove_source(source)
