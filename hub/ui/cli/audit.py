"""``hub audit``: who changed what, who looked at what is secret or personal, before and after, when."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated

import typer

from hub.registry import audit as audits
from hub.registry.audit import Line, Values
from hub.registry.registry import Registry
from hub.ui.desk.desk import MOST_ROWS, AsJson, desk_of
from hub.ui.printing import say_listing
from hub.ui.words import details, moment


def audit(
    context: typer.Context,
    *,
    since: Annotated[str, typer.Option(help="So long ago at most: 2h, 30d.")] = "",
    actor: Annotated[str, typer.Option(help="By or for this one only.")] = "",
    what: Annotated[str, typer.Option(help="What begins so: device, list.added, or a subject, device/garden/.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=MOST_ROWS, help="So many, the newest.")] = 1_000,
    as_json: AsJson = False,
) -> None:
    """Who changed what, and who looked at what is secret or personal.

    Newest last. It is append-only, and holds no secret; personal values are masked.
    """
    desk = desk_of(context)
    begin = desk.ago(since) if since else 0
    found = desk.in_registry(lambda registry: _lines(registry, begin, actor, what, limit))
    say_listing(
        map(asdict, found),
        ("when", "who", "what", "subject", "before", "after", "reason"),
        (tuple(_row(line)) for line in found),
        empty="nothing was done",
        as_json=as_json,
    )


def _row(line: Line) -> Iterator[str]:
    yield moment(line.at)
    yield line.actor if line.actor == line.os_user else f"{line.actor} ({line.os_user})"
    yield line.what
    yield line.subject
    yield _told(line.before)
    yield _told(line.after)
    yield line.reason


def _told(values: Values | None) -> str:
    return details({name: value for name, value in (values or {}).items() if value not in (None, "", {}, [])})


async def _lines(registry: Registry, since: int, actor: str, what: str, limit: int) -> list[Line]:
    async with registry.transaction() as connection:
        found = await audits.lines(connection, since=since, actor=actor, what=what, limit=limit)
    return found[::-1]
