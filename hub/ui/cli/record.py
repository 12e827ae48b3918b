"""``hub record``: what the broker says, with the moments at which it came, in a file that can be replayed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from hub import __version__
from hub.bridge.topics import SessionName
from hub.engine.networks import Networks
from hub.errors import ConfigError
from hub.listening import filters_of, sites_heard
from hub.parts import make_tool_client
from hub.registry.registry import Registry
from hub.replay import recorder
from hub.replay.recording import Recorder
from hub.revisions.files import read_content
from hub.revisions.revision import revise
from hub.ui.desk.desk import Desk, as_duration, desk_of
from hub.ui.desk.personal import Reason
from hub.ui.progress import recording_bar


def record(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A new file: gzip, for `hub rules replay --recording`.")],
    *,
    duration: Annotated[str | None, typer.Option(help="So long: 30s, 10m …; else until Ctrl-C.")] = None,
    reason: Reason = "",
) -> None:
    """Record what devices say, beside a running hub or without one; with the rules, profiles and devices of now.

    It connects as the user {mqtt.username_prefix}-record (password: mqtt.passwords.record), who must be allowed to read
    what the hub reads. The file holds whatever devices say of people: keep it as you keep the journal. The audit tells.
    """
    seconds = None if duration is None else as_duration(duration).total_seconds()
    desk = desk_of(context)
    desk.in_registry(lambda registry: registry.look("recording.made", f"file/{file.name}", reason))
    with Recorder(file, desk.clock) as to:
        try:
            asyncio.run(_record(desk, to, seconds))
        finally:
            typer.echo(f"{file}: {to.messages:,} messages in {to.records:,} records")


async def _record(desk: Desk, to: Recorder, seconds: float | None) -> None:
    settings = desk.here
    async with Registry(settings.registry_url()) as registry:
        rows = await registry.documents(settings.partition)
        sites = sites_heard(settings, await registry.partitions(), rows)
    documents = {**read_content(settings), **rows}
    content = revise({}, documents, __version__)
    if content is None:
        raise ConfigError("nothing_to_record", "there are neither kinds nor devices")
    networks = Networks(
        [body for key, body in documents.items() if key.startswith("network/")],
        [body for key, body in documents.items() if key.startswith("source/")],
    )
    filters = [each for name in SessionName for each in filters_of(name.value, networks, sites, asks_sys=False)]
    with recording_bar(seconds) as tell:
        life = (desk.clock, seconds, lambda to: tell(to.messages))
        await recorder.record(make_tool_client(settings, "record"), filters, content, to, life)
