"""``hub registry``: the database behind sites, places and devices."""

from __future__ import annotations

import asyncio
from typing import Any

import typer

from hub.registry import upgrading
from hub.ui.cli.desk import AsJson, Desk, desk_of
from hub.ui.printing import say_json, say_table

app = typer.Typer()


@app.command()
def show(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Tell where the registry is, which version its tables have, its revision, and how much is in it.

    Whatever opens it brings older tables up to this hub's version first, and logs that; older hubs then refuse them.
    """
    facts = asyncio.run(_facts(desk_of(context)))
    if as_json:
        say_json(facts)
    else:
        say_table(("registry", ""), ((name, str(value)) for name, value in facts.items()))


async def _facts(desk: Desk) -> dict[str, Any]:
    async with desk.registry() as registry:
        counts = await registry.counts()
        revision = await registry.revision()
    return {"url": registry.shown_url, "version": upgrading.HEAD, "revision": revision, **counts}
