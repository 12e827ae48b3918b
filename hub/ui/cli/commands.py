"""``hub commands``: what people ask of devices, what became of it, and to take it back."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from hub.model.values import Scalar
from hub.sinks.control import Request
from hub.ui.cli.commands_show import list_commands, show
from hub.ui.desk.desk import AsJson, desk_of, pairs_of
from hub.ui.desk.reply import Actor, ask, tell

app = typer.Typer()
app.command("list")(list_commands)
app.command("show")(show)


@app.command()
def send(
    context: typer.Context,
    site: str,
    device: Annotated[str, typer.Argument(help="A device; @NAME: whatever takes the command at a place.")],
    command: str,
    *,
    part: Annotated[str, typer.Option(help="A door, a lane …: door-1")] = "",
    arg: Annotated[list[str] | None, typer.Option(help="name=value, such as ttl=5s; may be repeated.")] = None,
    seen: Annotated[
        bool,
        typer.Option(
            "--seen",
            help="You see that nothing is in its way, which no device tells: of one device, now; for no hold.",
        ),
    ] = False,
    actor: Actor,
    as_json: AsJson = False,
) -> None:
    """Send a command. Accepted is not executed: what became of it `hub commands show ID` tells.

    To several devices at once it leaves when a second person has agreed (`hub commands confirm`).
    """
    where = "place" if device.startswith("@") else "device"
    args: dict[str, Scalar] = {**pairs_of(arg or ()), "site": site, where: device.removeprefix("@"), "command": command}
    if part:
        args["part"] = part
    if seen:
        args["seen"] = True
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


@app.command()
def cancel(
    context: typer.Context,
    site: str,
    which: Annotated[str, typer.Argument(metavar="ID", help="As `hub commands list` shows it.")],
    *,
    reason: Annotated[str, typer.Option(help="Why; the event tells it.")] = "",
    actor: Actor,
    as_json: AsJson = False,
) -> None:
    """Take a hold back, a rule's too, or a request that waits for a second person: what undoes it is sent.

    What is out cannot be called back. What keeps people alive ends with its alarm (`hub alarms clear`).
    """
    wanted = Request(actor=actor, verb="cancel", args={"site": site, "id": which, "reason": reason})
    tell(asyncio.run(ask(desk_of(context), wanted, site=site)), as_json=as_json)
