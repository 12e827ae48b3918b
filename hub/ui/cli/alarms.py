"""``hub alarms``: what is active now, and acknowledging it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated

import msgspec
import typer

from hub.errors import ConfigError
from hub.model import AlarmState, Reply
from hub.sinks.control import Request, send_control
from hub.sinks.redis_link import Link
from hub.sinks.stream_readers import read_alarms
from hub.ui.cli.desk import AsJson, Desk, desk_of
from hub.ui.cli.reply import Actor, tell
from hub.ui.printing import say_json, say_table
from hub.ui.words import RANKS, place, since, title

app = typer.Typer(help="Active alarms.")

SHOWN_ID = 8
WAIT = timedelta(seconds=10)


@app.command("list")
def list_alarms(
    context: typer.Context,
    *,
    site: Annotated[list[str] | None, typer.Option(help="Only these sites.")] = None,
    as_json: AsJson = False,
) -> None:
    """List what is active, the worst and oldest first."""
    desk = desk_of(context)
    alarms = worst_first(asyncio.run(_read(desk, site)))
    if as_json:
        say_json([msgspec.to_builtins(alarm) for alarm in alarms])
        return
    now = desk.clock.wall_ns()
    say_table(
        ("id", "severity", "alarm", "where", "for", "acknowledged by", "rule"),
        (
            (
                alarm.id[:SHOWN_ID],
                alarm.severity.value,
                title(alarm.name, alarm.label),
                place(alarm),
                since(alarm.since, now),
                alarm.acknowledged_by or "",
                alarm.rule,
            )
            for alarm in alarms
        ),
        empty="no active alarms",
    )


@app.command()
def ack(
    context: typer.Context,
    which: Annotated[str, typer.Argument(help="The beginning of its id, or its rule.")],
    key: Annotated[str | None, typer.Argument(help="With a rule: site/device or site/device#part.")] = None,
    *,
    actor: Actor = "cli",
    as_json: AsJson = False,
) -> None:
    """Acknowledge an alarm: somebody has seen it. It stays active until it is cleared."""
    tell(asyncio.run(_acknowledge(desk_of(context), which, key, actor)), as_json=as_json)


def worst_first(alarms: Sequence[AlarmState]) -> list[AlarmState]:
    """Return alarms by severity, then by age."""
    return sorted(alarms, key=lambda alarm: (RANKS[alarm.severity], alarm.since))


async def _read(desk: Desk, sites: Sequence[str] | None) -> list[AlarmState]:
    async with desk.redis() as link:
        return await read_alarms(link, sites or None)


async def _acknowledge(desk: Desk, which: str, key: str | None, actor: str) -> Reply:
    async with desk.redis() as link:
        rule, key = (which, key) if key is not None else await _find(link, which)
        request = Request(actor=actor, verb="ack", args={"rule": rule, "key": key})
        return await send_control(link, desk.clock, desk.settings.partition, request, wait=WAIT)


async def _find(link: Link, prefix: str) -> tuple[str, str]:
    """Return (rule, key) of the one alarm whose id begins with ``prefix``."""
    found = [alarm for alarm in await read_alarms(link) if alarm.id.startswith(prefix)]
    if len(found) != 1:
        code = "alarm_ambiguous" if found else "alarm_unknown"
        message = f"{len(found)} active alarms have an id that begins with {prefix!r}"
        raise ConfigError(code, message, hint="`hub alarms list` shows them")
    return found[0].rule, found[0].key
