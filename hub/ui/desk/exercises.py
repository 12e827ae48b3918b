"""What ``hub test`` and ``hub drill`` have in common: asking the hub, and listing what runs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec
import typer

from hub.model.effects import AlarmState, Reply
from hub.model.values import Scalar
from hub.sinks.control import Request
from hub.sinks.stream_readers import read_alarms
from hub.ui.atlas import Atlas
from hub.ui.desk import reply
from hub.ui.desk.desk import Desk
from hub.ui.desk.personal import masking
from hub.ui.printing import say_listing
from hub.ui.words import moment

Names = Annotated[list[str], typer.Argument(metavar="NAME...", help="Devices, and places with everything in them.")]
For = Annotated[str, typer.Option("--for", help="So long: 30m, 2h …; at most 8h. It ends by itself.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; everybody who sees it will ask.")]
Sites = Annotated[list[str] | None, typer.Option("--site", help="Only these sites.")]


def ask(desk: Desk, verb: str, actor: str, args: Mapping[str, Scalar]) -> Reply:
    """Ask the hub, and wait for its answer."""
    return asyncio.run(reply.ask(desk, Request(actor=actor, verb=verb, args=args), site=str(args["site"])))


def say_running(desk: Desk, kind: str, sites: Sequence[str] | None, *, as_json: bool) -> None:
    """Print the tests or drills that run, what ends first first."""
    atlas, found = asyncio.run(_read(desk, f"_{kind}", sites))
    found = [masking(desk).told(each) for each in found]
    say_listing(
        map(msgspec.to_builtins, found),
        ("what", "where", "since", "until", "by", "why", "rules", "commands"),
        (_row(atlas, each) for each in found),
        empty=f"no {kind} is running",
        as_json=as_json,
    )


def _row(atlas: Atlas, each: AlarmState) -> tuple[str, ...]:
    data = each.data
    commands = "sent" if data["with_commands"] else "not sent"
    until = moment(int(data["until"]) * 10**6)
    who, why, rules = str(data["actor"]), str(data["reason"]), str(data["rules"]) or "all"
    return each.key, atlas.place(each), moment(each.since), until, who, why, rules, commands


async def _read(desk: Desk, rule: str, sites: Sequence[str] | None) -> tuple[Atlas, list[AlarmState]]:
    atlas = await Atlas.open(desk)
    atlas.refuse_unknown(sites or ())
    async with desk.redis() as link:
        found = [alarm for alarm in await read_alarms(link, sites or None) if alarm.rule == rule]
        return atlas, sorted(found, key=lambda each: (int(each.data["until"]), each.key))
