"""``hub sources``: the foreign networks that devices are in."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import Annotated

import msgspec
import typer

from hub.config.settings import Settings
from hub.engine.rows import Document
from hub.errors import ConfigError
from hub.journal.files import read_rows
from hub.journal.neighbours import state_path
from hub.keeping import router_of
from hub.normalize.networks.directory import DIRECTORY, DirectoryDocument
from hub.normalize.networks.source import CompiledSource
from hub.registry import network_credentials
from hub.registry.credentials import Secret
from hub.registry.nouns import Source
from hub.registry.registry import Registry
from hub.ui.cli import devices_credentials
from hub.ui.desk.desk import AsJson, Desk, desk_of, pairs_of
from hub.ui.printing import say_done, say_json, say_listing, say_table
from hub.ui.words import details

app = typer.Typer()


@app.command("list")
def list_sources(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List the sources and the topics that are theirs."""
    desk = desk_of(context)
    found = desk.in_registry(Registry.sources)
    filters = {source.id: compiled(desk.settings, source).filters for source in found}
    downlinks = {source.id: _downlinks(compiled(desk.settings, source)) for source in found}
    say_listing(
        ({**asdict(each), "filters": filters[each.id], "downlinks": downlinks[each.id]} for each in found),
        ("source", "network", "partition", "params", "is heard on", "is told on"),
        (
            (
                source.id,
                source.network,
                source.partition,
                details(source.params),
                "\n".join(filters[source.id]),
                "\n".join(downlinks[source.id]),
            )
            for source in found
        ),
        empty="no sources",
        as_json=as_json,
    )


@app.command()
def add(
    context: typer.Context,
    source: str,
    *,
    network: Annotated[str, typer.Option(help="What sort of network it is; else as the source is called.")] = "",
    partition: Annotated[str | None, typer.Option(help="Else the partition of these settings.")] = None,
    param: Annotated[list[str] | None, typer.Option(help="name=value of its network; may be repeated.")] = None,
    with_credentials: Annotated[
        bool, typer.Option("--credentials", help="Make the secret by which the network comes to our broker.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Add a source; the devices of its partition's sites can then be in it.

    With --credentials its network server or gateway is a user of the broker that the hub keeps: it may say what the hub
    hears of it, and hears what it is told. The secret is shown once. It is for one connection: of two that come with it
    each throws the other out, so devices or gateways that publish themselves are each a source, or devices of the hub.
    """
    desk = desk_of(context)
    noun = Source(
        id=source,
        network=network or source,
        partition=partition or desk.here.partition,
        params=pairs_of(param or ()),
    )
    desk.in_registry(lambda registry: _add(desk, registry, noun))
    made = [_new_secret(desk, source, timedelta())] if with_credentials else []
    told = [devices_credentials.access(desk.settings, each) for each in made]
    say_done(f"added {source}", {**asdict(noun), "credentials": told}, as_json=as_json)
    if not as_json:
        devices_credentials.show(made, desk.settings, qr=False, as_json=False)
    if made:
        devices_credentials.tell_broker(desk)


@app.command()
def rotate(
    context: typer.Context, source: str, *, overlap: devices_credentials.Overlap = "24h", as_json: AsJson = False
) -> None:
    """Make the next secret of a source's network server or gateway; the first one, where it has none.

    While both work, the new secret belongs to another user with the same topics (`hub devices rotate` says why).
    """
    desk = desk_of(context)
    made = _new_secret(desk, source, devices_credentials.span_of(overlap))
    devices_credentials.show([made], desk.settings, qr=False, as_json=as_json)
    devices_credentials.tell_broker(desk)


@app.command()
def revoke(
    context: typer.Context, source: str, *, reason: Annotated[str, typer.Option(help="Why; for the audit.")] = ""
) -> None:
    """Take from a source's network server or gateway what lets it in; if it is connected, cut it off."""
    desk = desk_of(context)
    user = desk.in_registry(lambda registry: _shut_out(desk, registry, source, reason))
    typer.echo(f"revoked {user} / 已吊销")


@app.command()
def remove(context: typer.Context, source: str) -> None:
    """Forget a source that no device is in any more."""
    desk = desk_of(context)
    desk.in_registry(lambda registry: registry.remove_source(source))
    typer.echo(f"removed {source}")  # it is, whether or not the broker can be told now
    devices_credentials.tell_broker(desk)


@app.command()
def directory(context: typer.Context, source: str, *, as_json: AsJson = False) -> None:
    """Show what a source says of its devices: what each became, and what was left out and why."""
    desk = desk_of(context)
    found = _directory(desk, source)
    if as_json:
        say_json(msgspec.to_builtins(found))
        return
    say_table(
        ("device", "address", "kind", "profile", "model"),
        (
            (each.name, each.address, each.kind, each.profile, f"{each.vendor} {each.model}".strip())
            for each in found.devices
        ),
        empty="no devices that we have a kind for",
    )
    if found.unmapped:
        say_table(
            ("device", "value", "code", "why it was left out"),
            ((each.device, each.path, each.code, each.reason) for each in found.unmapped),
            empty="",
        )


def _directory(desk: Desk, source: str) -> DirectoryDocument:
    """Return what the hub made of a directory, as its last checkpoint has it: at most half a minute ago."""
    path = state_path(desk.here.files_dir)
    key = f"document/{DIRECTORY}{source}"
    rows = read_rows(path, "SELECT body FROM entries WHERE key = ?", (key,)) if path.exists() else []
    if not rows:
        hint = "it comes with the source's first directory, and is shown from the next checkpoint on"
        raise ConfigError("no_directory", f"nothing is known of what source {source!r} says", hint=hint)
    body = msgspec.msgpack.decode(rows[0][0], type=Document).body
    return msgspec.json.decode(body, type=DirectoryDocument)


def compiled(settings: Settings, source: Source) -> CompiledSource:
    """Return a source at work. Raises ConfigError."""
    return router_of(settings, [source]).sources[source.id]


def _downlinks(source: CompiledSource) -> tuple[str, ...]:
    return () if source.downlink is None else source.downlink.filters


def _new_secret(desk: Desk, source: str, overlap: timedelta) -> Secret:
    return desk.in_registry(lambda registry: network_credentials.rotate_source(registry, source, overlap))


async def _shut_out(desk: Desk, registry: Registry, source: str, reason: str) -> str:
    user = await network_credentials.revoke_source(registry, source, reason)
    await devices_credentials.cut_off(desk, registry, user)
    return user


async def _add(desk: Desk, registry: Registry, source: Source) -> None:
    others = [each for each in await registry.sources() if each.id != source.id]
    router_of(desk.settings, [*(each for each in others if each.partition == source.partition), source])
    await registry.add_source(source)
