"""``hub twin``: what a device reports, what is desired of it, and what differs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Annotated

import msgspec
import typer

from hub.errors import ConfigError
from hub.model.effects import Twin
from hub.model.values import Scalar
from hub.sinks.control import Request
from hub.sinks.stream_readers import read_twins
from hub.ui.desk.desk import AsJson, Desk, desk_of, pairs_of
from hub.ui.desk.personal import Reason, Unmask, veil_of
from hub.ui.desk.reply import Actor, ask, tell_each
from hub.ui.printing import say_json, say_table
from hub.ui.words import since
from hub.veil import Veil

app = typer.Typer()

COLUMNS = ("part", "property", "reported", "measured", "quality", "desired", "state", "for", "by", "said")

Device = Annotated[str, typer.Argument(help="site/device, or its name where only one site has it; #PART narrows down.")]
Part = Annotated[str, typer.Option(help="A door, a lane …: door-1")]
Why = Annotated[str, typer.Option("--reason", help="Why; everybody who sees it will ask.")]


@app.command()
def show(
    context: typer.Context,
    device: Device,
    *,
    part: Part = "",
    unmask: Unmask = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Show what a device reported last, part by part, beside what is desired of it; what differs comes first."""
    desk = desk_of(context)
    veil = veil_of(desk, "twin", f"twin/{device}", unmask=unmask, reason=reason)
    twins = [_veiled(veil, twin) for twin in asyncio.run(_read(desk, device, part))]
    if as_json:
        say_json([{"desired": {}, **msgspec.to_builtins(twin)} for twin in twins])
        return
    now = desk.clock.wall_ns()
    for twin in twins[:1]:
        heard = f"heard {since(twin.heard_at, now)} ago" if twin.heard_at else "never heard"
        typer.echo(f"{twin.kind} {twin.site}/{twin.name.partition('#')[0]}: {twin.availability}, {heard}")
    rows = sorted((row for twin in twins for row in _rows(twin, now)), key=lambda row: (not row[0], row[1]))
    say_table(COLUMNS, (row[1] for row in rows))


@app.command("set")
def desire(
    context: typer.Context,
    device: Device,
    wanted: Annotated[list[str], typer.Argument(metavar="PROPERTY=VALUE...", help="PROPERTY= wants nothing of it.")],
    *,
    part: Part = "",
    reason: Why,
    actor: Actor,
    as_json: AsJson = False,
) -> None:
    """Want a property to have a value from now on: what makes it so is sent, also when the device comes back.

    It gives way to every command and hold, and to interlocks; whoever has something else done overrules it. JSON: the
    answer to each property by its name.
    """
    values = [_value(said) for said in wanted]
    site, name, part = asyncio.run(_whose(desk_of(context), device, part))
    whose: dict[str, Scalar] = {"site": site, "device": name, "part": part, "reason": reason}
    requests = [Request(actor=actor, verb="desire", args={**whose, **value}) for value in values]
    replies = [asyncio.run(ask(desk_of(context), request, site=site)) for request in requests]
    tell_each({str(value["name"]): reply for value, reply in zip(values, replies, strict=True)}, as_json=as_json)


@app.command()
def unset(
    context: typer.Context,
    device: Device,
    properties: Annotated[list[str], typer.Argument(metavar="PROPERTY...")],
    *,
    part: Part = "",
    reason: Why,
    actor: Actor,
    as_json: AsJson = False,
) -> None:
    """No longer want anything of a property; nothing is sent."""
    wanted = [f"{name}=" for name in properties]
    desire(context, device, wanted, part=part, reason=reason, actor=actor, as_json=as_json)


def _value(said: str) -> dict[str, Scalar]:
    name, sign, value = said.partition("=")
    if sign and not value:
        return {"name": name}
    ((name, found),) = pairs_of([said]).items()
    return {"name": name, "value": found}


async def _whose(desk: Desk, device: str, part: str) -> tuple[str, str, str]:
    """Return site, device and part of what was named; ConfigError for what is not one device."""
    name, _, own = device.partition("#")
    site, slash, rest = name.rpartition("/")
    if not slash:
        async with desk.registry() as registry:
            sites = [each.site for each in await registry.devices() if each.id == name]
        if len(sites) != 1:
            code = "device_ambiguous" if sites else "device_unknown"
            there = f"in {', '.join(sorted(sites))}" if sites else "in no site"
            raise ConfigError(code, f"there is a {name!r} {there}", hint="say site/device: hub devices list shows them")
        site = sites[0]
    return site, rest, part or own


async def _read(desk: Desk, device: str, part: str) -> list[Twin]:
    """Return the twins of a device, part by part; ConfigError where Redis knows none."""
    site, name, part = await _whose(desk, device, part)
    async with desk.redis() as link:
        found = [twin for twin in await read_twins(link, site) if twin.name.partition("#")[0] == name]
    if not found:
        hint = (
            "either it has said nothing and nothing is desired of it, or Redis was emptied and no hub runs that shows"
            " it again: hub devices list shows whether it is there, hub status whether its hub is at work"
        )
        raise ConfigError("twin_unknown", f"there is no twin of {site}/{name}", hint=hint)
    found = [twin for twin in found if not part or twin.name == f"{name}#{part}"]
    if not found:
        raise ConfigError("part_unknown", f"{site}/{name} has no part {part!r}", hint=f"hub twin show {site}/{name}")
    return found


def _veiled(veil: Veil, twin: Twin) -> Twin:
    reported = {name: (veil.scalar(name, value), at, how) for name, (value, at, how) in twin.reported.items()}
    desired = {
        name: msgspec.structs.replace(
            each, value=veil.scalar(name, each.value), reason=str(veil.scalar("", each.reason))
        )
        for name, each in twin.desired.items()
    }
    return msgspec.structs.replace(twin, reported=reported, desired=desired)


def _rows(twin: Twin, now: int) -> Iterable[tuple[bool, tuple[str, ...]]]:
    """Yield whether something else is desired, and the row, of every property."""
    part = twin.name.partition("#")[2]
    for name in sorted({*twin.reported, *twin.desired}):
        said, wanted = twin.reported.get(name), twin.desired.get(name)
        reported = ("", "", "") if said is None else (str(said[0]), f"{since(said[1], now)} ago", said[2].value)
        desired = ("", "", "", "", "")
        if wanted is not None:
            why = "; ".join(word for word in (wanted.detail, wanted.reason) if word)
            desired = (str(wanted.value), wanted.progress, since(wanted.since, now), wanted.by, why)
        yield wanted is not None and wanted.progress != "satisfied", (part, name, *reported, *desired)
