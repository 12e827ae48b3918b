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
    device: Annotated[str, typer.Argument(help="A device; @NAME: whatever takes the command at a place.")],
    command: str,
    *,
    part: Annotated[str, typer.Option(help="A door, a lane …: door-1")] = "",
    arg: Annotated[list[str] | None, typer.Option(help="name=value, such as ttl=5s; may be repeated.")] = None,
    actor: Actor,
    as_json: AsJson = False,
) -> None:
    """Send a command. Accepted is not executed: what became of it is an event (`hub events tail --domain command`).

    To several devices at once it leaves when a second person has agreed (`hub commands confirm`).
    """
    where = "place" if device.startswith("@") else "device"
    args: dict[str, Scalar] = {**pairs_of(arg or ()), "site": site, where: device.removeprefix("@"), "command": command}
    if part:
        args["part"] = part
    request = Request(actor=actor, verb="command", args=args)
    tell(asyncio.run(ask(desk_of(context), request, site=site)), as_json=as_json)


@app.command()
def confirm(
    context: typer.Context,
    site: str,
    request: Annotated[str, typer.Argument(help="The id that the first person was answered.")],
    *,
    actor: Actor,
    as_json: AsJson = False,
) -> None:
    """Agree, as a second person, to a command that somebody else asked for a whole place within the last 5 minutes."""
    wanted = Request(actor=actor, verb="confirm", args={"site": site, "request": request})
    tell(asyncio.run(ask(desk_of(context), wanted, site=site)), as_json=as_json)
