"""``hub restore``: an installation out of a backup."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from hub.ui.backups.manifest import Manifest
from hub.ui.backups.restoring import manifest_of, opened, refuse_what_is_there
from hub.ui.backups.restoring import restore as restore_all
from hub.ui.desk.desk import AsJson, desk_of
from hub.ui.printing import say_json
from hub.ui.progress import bytes_bar
from hub.ui.words import moment

CURSORS = """\
What was heard after the backup is lost to the hub. No event and no command has an id of that time.
What Redis knows of this journal is not in a backup. When `hub run` meets
- a cursor ahead of it ([cursor_ahead]: the hub delivered after the backup was made), nothing is changed, and
  `hub journal adopt` lets new records start above it;
- a cursor behind it (Redis was restored from an older copy), events in between are gone there: `stream_tail_lost`;
- no cursor (a new Redis), the events that still wait are delivered, those that were delivered are not again: for a
  minute /readyz says `redis_forgot`;
- a cursor of another journal ([journal_mismatch]), it refuses until `hub journal adopt`.
"""
LEDGERS = """\
They go on where they were when the backup was made: what went out after that goes out again, with the same ids and
the same bytes; nothing is passed over. What Redis has trimmed since is told (`hub.entries_lost`).
"""


def restore(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="What `hub backup` made.")],
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="An empty directory, or one that is not there yet.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Make an installation out of a backup: hub.toml, profiles, rules and data in DIR. The old hub must not run on."""
    refuse_what_is_there(directory)
    with opened(file) as archive:
        manifest = manifest_of(archive, file)
        with bytes_bar("restoring", sum(part.size for part in manifest.parts)) as tick:
            restore_all(archive, manifest, directory, desk_of(context).clock, tick)
    if as_json:
        say_json(msgspec.to_builtins(manifest))
    else:
        _tell(manifest, directory)


def _tell(manifest: Manifest, directory: Path) -> None:
    typer.echo(f"{len(manifest.parts)} files of {moment(manifest.made_at)} are in {directory}")
    for each in manifest.partitions:
        typer.echo(f"partition {each.partition}: journal {each.journal}, which ends at record {each.last}")
    if manifest.left_out:
        typer.echo(f"fill in, in {directory / 'secrets.toml'}: {', '.join(manifest.left_out)}")
        typer.echo("before `hub init`, which makes those of the broker and of a Redis of its own where none stand")
    if manifest.elsewhere:
        typer.echo(f"not in the backup, the settings lead to them: {', '.join(manifest.elsewhere)}")
    if not manifest.has_secrets:
        typer.echo("without pseudonyms.key cards and plates get other pseudonyms than before; without authority/ca.key")
        typer.echo("certificates of devices are signed by a new authority: copy both from the old data directory,")
        typer.echo("and forward/NAME/secret: webhooks are signed by a new secret, which their receivers do not know")
    typer.echo(CURSORS, nl=False)
    if manifest.ledgers:
        typer.echo(f"ledgers of what leaves the house: {', '.join(manifest.ledgers)}")
        typer.echo(LEDGERS, nl=False)
    typer.echo(f"then: hub init {directory}, where `hub init` made the old one (broker, Redis, units), and its README;")
    typer.echo(f"else: hub --config {directory / 'hub.toml'} run")
