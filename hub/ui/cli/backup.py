"""``hub backup``: registry, journals, states, ledgers and settings in one file, while all of it works."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from hub.config import settings_file
from hub.ui.backups.making import Backup
from hub.ui.backups.manifest import Tick
from hub.ui.cli.desk import AsJson, Desk, desk_of
from hub.ui.printing import say_json


def backup(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A new file: .tar, or .tar.gz to press it.")],
    *,
    with_secrets: Annotated[
        bool,
        typer.Option("--with-secrets", help="Also secrets.toml, secrets in hub.toml, keys (pseudonyms, webhooks)."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Save registry, journals, states, ledgers and settings in one file, while the hub works.

    The ledgers are those of forwarders and of the notifier. Not in it: the time series store, Redis, checkpoints that
    were put aside, the broker's files (`hub init` and the registry make them). It holds what devices said of people:
    only you may read the file.
    """
    desk = desk_of(context)
    work = Backup(desk.settings, settings_file(desk.config), has_secrets=with_secrets)
    asyncio.run(_look(desk, file, "with secrets" if with_secrets else ""))
    with bar("saving", work.size()) as tick:
        made = work.make(file, desk.clock, tick)
    if as_json:
        say_json(msgspec.to_builtins(made))
        return
    for each in made.partitions:
        typer.echo(f"partition {each.partition}: {each.last} records, state of record {each.position}")
    for place in made.ledgers:
        typer.echo(f"ledger {place}")
    if made.left_out:
        typer.echo(f"left out: {', '.join(made.left_out)}; --with-secrets keeps them")
    if made.elsewhere:
        typer.echo(f"not in it: {', '.join(made.elsewhere)}")
    typer.echo(f"{len(made.parts)} files are in {file}")


@contextmanager
def bar(what: str, total: int) -> Iterator[Tick]:
    """Show how many bytes are done on a terminal, nothing elsewhere."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:
        task = shown.add_task(what, total=total)
        yield lambda done: shown.advance(task, done)


async def _look(desk: Desk, file: Path, what: str) -> None:
    async with desk.registry() as registry:
        await registry.look("backup.made", f"file/{file.name}", what)
