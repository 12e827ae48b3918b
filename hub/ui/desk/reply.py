"""What the hub answered to an operator, and who the operator is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated

import msgspec
import typer

from hub.model.effects import Reply
from hub.registry.author import os_user
from hub.sinks.control import Request, send_control
from hub.ui.desk.desk import EXIT_FAILED, Desk
from hub.ui.desk.whose import desk_for
from hub.ui.printing import say_done

WAIT = timedelta(seconds=10)


async def ask(desk: Desk, request: Request, *, site: str = "", wait: timedelta = WAIT) -> Reply:
    """Ask the hub of the partition that ``site`` is in, else of the one that is meant, and wait for its answer."""
    partition = (await desk_for(desk, site)).here.partition
    async with desk.redis() as link:
        return await send_control(link, desk.clock, partition, request, wait=wait)


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


def sentence(reply: Reply) -> str:
    """Return what the hub answered, in words."""
    return f"{'done' if reply.ok else 'refused'}: {reply.code} {reply.detail}".rstrip()


def tell(reply: Reply, *, as_json: bool) -> None:
    """Print ``reply``, and leave with 1 when the hub said no."""
    say_done(sentence(reply), msgspec.to_builtins(reply), as_json=as_json)
    if not reply.ok:
        raise typer.Exit(EXIT_FAILED)


def tell_each(replies: Mapping[str, Reply], *, as_json: bool) -> None:
    """Print the replies of several, or of the only one, by their names; leave with 1 when the hub said no to one."""
    said = "\n".join(f"{name}: {sentence(reply)}" for name, reply in replies.items())
    say_done(said, {name: msgspec.to_builtins(reply) for name, reply in replies.items()}, as_json=as_json)
    if not all(reply.ok for reply in replies.values()):
        raise typer.Exit(EXIT_FAILED)
