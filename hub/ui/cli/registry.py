"""``hub registry``: the database behind sites, places and devices."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from hub.errors import ConfigError
from hub.registry import upgrading
from hub.registry.copying import copy
from hub.registry.database import Database
from hub.registry.registry import Registry
from hub.ui.desk.desk import AsJson, Desk, desk_of
from hub.ui.printing import say_done, say_json, say_table

app = typer.Typer()


@app.command()
def show(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Tell where the registry is, which version its tables have, its revision, and how much is in it.

    Whatever opens it brings older tables up to this hub's version first, and logs that; older hubs then refuse them.
    """
    facts = desk_of(context).in_registry(_facts)
    if as_json:
        say_json(facts)
    else:
        say_table(("registry", ""), ((name, str(value)) for name, value in facts.items()))


@app.command()
def load(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A registry.sqlite, of a backup or of before there was a server.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Copy a whole registry out of a file into the empty one of these settings: onto PostgreSQL, for one."""
    if not file.exists():
        raise ConfigError("file_unreadable", "there is no such file", file=str(file))
    count = asyncio.run(_load(desk_of(context), file))
    say_done(f"copied {count} rows", {"rows": count}, as_json=as_json)


async def _load(desk: Desk, file: Path) -> int:
    async with Database(f"sqlite+aiosqlite:///{file}") as source, desk.registry(begins=True) as target:
        return await copy(source, target)


async def _facts(registry: Registry) -> dict[str, Any]:
    counts, revision = await registry.counts(), await registry.revision()
    return {"url": registry.shown_url, "version": upgrading.HEAD, "revision": revision, **counts}
