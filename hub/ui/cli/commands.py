"""``hub commands``: an operator's request to a device."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from hub.model import Scalar
from hub.sinks.control import Request
from hub.ui.cli.desk import AsJson, desk_of, pairs_of
from hub.ui.cli.reply import Actor, ask, tell

app = typer.Typer()


@app.callback()
def _noun() -> None:
    """Commands to devices."""


@app.command()
def send(  # noqa: PLR0913 -- each is a word of the command line
    context: typer.Context,
    site: str,
    device: str,
    command: str,
    *,
    part: Annotated[str, typer.Option(help="A door, a lane …: door-1")] = "",
    arg: Annotated[list[str] | None, typer.Option(help="name=value, such as ttl=5s; may be repeated.")] = None,
    actor: Actor,
    as_json: AsJson = False,
) -> None:
    """Send a command. Accepted is not executed: what became of it is an event (`hub events tail --domain command`)."""
    args: dict[str, Scalar] = {**pairs_of(arg or ()), "site": site, "device": device, "command": command}
    if part:
        args["part"] = part
    request = Request(actor=actor, verb="command", args=args)
    tell(asyncio.run(ask(desk_of(context), request, site=site)), as_json=as_json)
