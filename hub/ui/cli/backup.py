"""``hub backup``: registry, journals, states, ledgers, history and settings in one file, while all of it works."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from hub.config.settings import settings_file
from hub.ui.backups.making import Backup
from hub.ui.desk.desk import AsJson, desk_of
from hub.ui.printing import say_json
from hub.ui.progress import bytes_bar


def backup(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A new file: .tar, or .tar.gz to press it.")],
    *,
    with_secrets: Annotated[
        bool,
        typer.Option("--with-secrets", help="Also secrets.toml, secrets in hub.toml, keys (pseudonyms, webhooks)."),
    ] = False,
    points: Annotated[bool, typer.Option(help="The local store: what was measured, and each event.")] = True,
    as_json: AsJson = False,
) -> None:
    """Save registry, journals, states, ledgers, history and settings in one file, while the hub works.

    The ledgers are those of forwarders and of the notifier. Not in it: InfluxDB, Redis, checkpoints that were put
    aside, the broker's files (`hub init` and the registry make them). It holds what devices said of people: only you
    may read the file.
    """
    desk = desk_of(context)
    work = Backup(desk.settings, settings_file(desk.config), has_secrets=with_secrets, has_points=points)
    what = "with secrets" if with_secrets else ""
    desk.in_registry(lambda registry: registry.look("backup.made", f"file/{file.name}", what))
    with bytes_bar("saving", work.size()) as tick:
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
