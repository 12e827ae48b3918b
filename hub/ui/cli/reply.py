"""What the hub answered to an operator, and who the operator is."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import msgspec
import typer

from hub.model import Reply
from hub.registry.author import os_user
from hub.sinks.control import Request, send_control
from hub.ui.cli.desk import Desk
from hub.ui.printing import say_json

WAIT = timedelta(seconds=10)


async def ask(desk: Desk, request: Request, *, wait: timedelta = WAIT) -> Reply:
    """Ask the hub of the settings' partition, and wait for its answer."""
    async with desk.redis() as link:
        return await send_control(link, desk.clock, desk.settings.partition, request, wait=wait)


Actor = Annotated[
    str,
    typer.Option(
        "--as",
        metavar="NAME",
        default_factory=os_user,
        show_default="the user of the operating system",
        help="Who asks; it is written into the journal and the event.",
    ),
]


def tell(reply: Reply, *, as_json: bool) -> None:
    """Print ``reply`` and leave with 1 when the hub said no."""
    if as_json:
        say_json(msgspec.to_builtins(reply))
    else:
        typer.echo(f"{'done' if reply.ok else 'refused'}: {reply.code} {reply.detail}".rstrip())
    if not reply.ok:
        raise typer.Exit(1)
