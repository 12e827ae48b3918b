"""What the hub answered to an operator, and who the operator is."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from hub.model import Reply
from hub.ui.printing import say_json

Actor = Annotated[str, typer.Option(help="Who asks; it is written into the journal.")]


def tell(reply: Reply, *, as_json: bool) -> None:
    """Print ``reply`` and leave with 1 when the hub said no."""
    if as_json:
        say_json(msgspec.to_builtins(reply))
    else:
        typer.echo(f"{'done' if reply.ok else 'refused'}: {reply.code} {reply.detail}".rstrip())
    if not reply.ok:
        raise typer.Exit(1)
