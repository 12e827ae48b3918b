"""``hub events``: what rules raised, listed, followed or forwarded."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated

import msgspec
import orjson
import typer
from rich.text import Text

from hub.model.effects import Event
from hub.model.values import Severity
from hub.sinks.contract import Message, schema_of
from hub.sinks.stream_readers import follow_events
from hub.sinks.streams import DOMAINS
from hub.ui.atlas import Atlas
from hub.ui.cli import events_forward
from hub.ui.cli.events_forward import domains_of
from hub.ui.desk.desk import AsJson, Desk, desk_of
from hub.ui.desk.personal import Reason, Unmask, veil_of
from hub.ui.history import History, Wanted
from hub.ui.printing import console_of, say_json, say_listing
from hub.ui.words import COLOURS, SHOWN_ID, clock_time, details, marks, moment, sentence, title
from hub.veil import Veil

app = typer.Typer()
app.command()(events_forward.forward)
app.add_typer(events_forward.deliveries, name="deliveries")


Domains = Annotated[list[str] | None, typer.Option("--domain", help=f"Only these: {', '.join(DOMAINS)}.")]
Types = Annotated[list[str] | None, typer.Option("--type", help="fire.smoke_alarm, or *.offline; may be repeated.")]
Severities = Annotated[list[Severity] | None, typer.Option("--severity", help="May be repeated.")]
Places = Annotated[list[str] | None, typer.Option("--place", help="A site, or a building, floor … of one.")]
Devices = Annotated[list[str] | None, typer.Option("--device", help="device, site/device or site/device#part.")]


@app.command()
def schema(message: Annotated[Message, typer.Argument(help="Of what.")] = Message.EVENT) -> None:
    """Print the JSON Schema of what programs read in Redis, or ask there; hub/sinks/README.md tells how."""
    typer.echo(orjson.dumps(schema_of(message), option=orjson.OPT_INDENT_2).decode())


@app.command("list")
def list_events(
    context: typer.Context,
    *,
    since: Annotated[str | None, typer.Option(help="Oldest first from so long ago: 1h, 2d …")] = None,
    domain: Domains = None,
    types: Types = None,
    severity: Severities = None,
    place: Places = None,
    device: Devices = None,
    limit: Annotated[int, typer.Option(min=1)] = 100,
    unmask: Unmask = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """List the newest events, or with --since the first ones after a moment; `hub trace ID` proves one."""
    desk = desk_of(context)
    veil = veil_of(desk, "event", "event/list", unmask=unmask, reason=reason)
    wanted = Wanted(
        types=tuple(types or ()),
        domains=tuple(domains_of(domain) if domain else ()),
        severities=tuple(severity or ()),
        places=tuple(place or ()),
        devices=tuple(device or ()),
    )
    atlas, found = asyncio.run(_read(desk, wanted, None if since is None else desk.ago(since), limit))
    events = [veil.told(event) for event in found]
    say_listing(
        map(msgspec.to_builtins, events),
        ("id", "time", "severity", "event", "", "where", "what"),
        (
            (
                event.id[:SHOWN_ID],
                moment(event.time),
                event.severity.value,
                title(event.name, event.label) + marks(event),
                event.transition.value,
                atlas.place(event),
                details(event.data),
            )
            for event in events
        ),
        empty="no events",
        as_json=as_json,
    )


@app.command()
def tail(
    context: typer.Context,
    *,
    domain: Domains = None,
    unmask: Unmask = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Follow events from now on, until Ctrl-C."""
    desk = desk_of(context)
    veil = veil_of(desk, "event", "event/tail", unmask=unmask, reason=reason)
    asyncio.run(_follow(desk, domains_of(domain), veil, as_json=as_json))


async def _read(desk: Desk, wanted: Wanted, since: int | None, limit: int) -> tuple[Atlas, list[Event]]:
    atlas = await Atlas.open(desk)
    async with desk.redis() as link:
        history = History(desk, link, atlas)
        found = await history.find(wanted, since=since, limit=limit)
        await history.refuse_unknown(wanted)
        return atlas, found


async def _follow(desk: Desk, domains: Sequence[str], veil: Veil, *, as_json: bool) -> None:
    console = console_of(lambda: False)
    async with desk.redis() as link:
        async for found in follow_events(link, domains):
            event = veil.told(found)
            if as_json:
                say_json(msgspec.to_builtins(event))
            else:
                line = Text(sentence(event))
                start = len(clock_time(event.time)) + 1
                line.stylize(COLOURS[event.severity], start, start + len(event.severity))
                console.print(line)
