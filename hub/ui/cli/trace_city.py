"""The trace of an event of the city: the two events that it compares, each of which its own hub can prove."""

from __future__ import annotations

import asyncio

import msgspec
import typer

from hub.city.telling import SITE
from hub.model.effects import Event
from hub.ui.atlas import Atlas
from hub.ui.desk.desk import Desk
from hub.ui.history import History
from hub.ui.printing import say_json
from hub.ui.words import SHOWN_ID, details, moment, title
from hub.veil import Veil

COMPARED = ("from_event", "to_event")


def is_of_city(event: Event) -> bool:
    """Return whether the city engine told ``event``: no hub's journal holds it."""
    return event.key.partition("/")[0] == SITE


def tell_comparison(desk: Desk, atlas: Atlas, it: Event, veil: Veil, *, as_json: bool) -> None:
    """Print what ``it`` compares, in the order of time, as far as streams and store still hold it."""
    ids = [str(it.data[name]) for name in COMPARED if name in it.data]
    found = [veil.told(event) for event in asyncio.run(_events(desk, atlas, ids))]
    if as_json:
        say_json({"event": msgspec.to_builtins(it), "compares": [msgspec.to_builtins(event) for event in found]})
        return
    typer.echo(f"{moment(it.time)} {it.severity} {title(it.name, it.label)}")
    typer.echo(f"id {it.id}  city rule {it.rule} {it.rule_version}".rstrip())
    typer.echo(f"{details(it.data)}\n\nwhat it compares")
    for event in found:
        told = f"{moment(event.time)} {title(event.name, event.label)}  {atlas.place(event)}  {details(event.data)}"
        typer.echo(f"{told}\n  happened {event.age / 1e9:g} s before that; proven by: hub trace {event.id[:SHOWN_ID]}")
    for gone in sorted(set(ids) - {event.id for event in found}):
        typer.echo(f"{gone}: neither streams nor store hold it any more")


async def _events(desk: Desk, atlas: Atlas, ids: list[str]) -> list[Event]:
    async with desk.redis() as link:
        history = History(desk, link, atlas)
        return [event for each in ids for event in await history.by_id(each)]
