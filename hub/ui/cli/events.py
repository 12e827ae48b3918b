"""``hub events``: what rules raised, listed or followed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import msgspec
import typer
from rich.text import Text

from hub.model import Event
from hub.sinks.stream_readers import follow_events, read_events
from hub.sinks.streams import DOMAINS
from hub.ui.cli.desk import AsJson, Desk, desk_of
from hub.ui.printing import console_of, say_json, say_table
from hub.ui.words import COLOURS, clock_time, details, moment, place, sentence, title

app = typer.Typer(help="Events that rules raised.")

Domains = Annotated[list[str] | None, typer.Option("--domain", help=f"Only these: {', '.join(DOMAINS)}.")]


@app.command("list")
def list_events(
    context: typer.Context,
    *,
    since: Annotated[str | None, typer.Option(help="Oldest first from so long ago: 1h, 2d …")] = None,
    domain: Domains = None,
    limit: Annotated[int, typer.Option(min=1)] = 100,
    as_json: AsJson = False,
) -> None:
    """List the newest events, or with --since the first ones after a moment."""
    events = asyncio.run(_read(desk_of(context), domain, since, limit))
    if as_json:
        say_json([msgspec.to_builtins(event) for event in events])
        return
    say_table(
        ("time", "severity", "event", "", "where", "what"),
        (
            (
                moment(event.time),
                event.severity.value,
                title(event.name, event.label),
                event.transition.value,
                place(event),
                details(event.data),
            )
            for event in events
        ),
        empty="no events",
    )


@app.command()
def tail(context: typer.Context, *, domain: Domains = None, as_json: AsJson = False) -> None:
    """Follow events from now on, until Ctrl-C."""
    asyncio.run(_follow(desk_of(context), domain or DOMAINS, as_json=as_json))


async def _read(desk: Desk, domains: Sequence[str] | None, since: str | None, limit: int) -> list[Event]:
    start = None if since is None else datetime.fromtimestamp(desk.ago(since) / 1e9, UTC)
    async with desk.redis() as link:
        return await read_events(link, domains or None, since=start, count=limit)


async def _follow(desk: Desk, domains: Sequence[str], *, as_json: bool) -> None:
    console = console_of(lambda: False)
    async with desk.redis() as link:
        async for event in follow_events(link, domains):
            if as_json:
                say_json(msgspec.to_builtins(event))
            else:
                line = Text(sentence(event))
                start = len(clock_time(event.time)) + 1
                line.stylize(COLOURS[event.severity], start, start + len(event.severity))
                console.print(line)
