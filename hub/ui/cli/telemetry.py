"""``hub telemetry``: what devices measured, from the time series store."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated

import orjson
import typer

from hub.config.settings import TimeseriesStore
from hub.errors import ConfigError
from hub.model.values import Scalar
from hub.parts import make_store
from hub.sinks.timeseries.lines import EVENT
from hub.sinks.timeseries.query import telemetry as telemetry_of
from hub.sinks.timeseries.store import Order, Query, Row, Span
from hub.ui.atlas import Atlas
from hub.ui.desk.desk import AsJson, Desk, desk_of
from hub.ui.desk.personal import Reason, Unmask, veil_of
from hub.ui.printing import say_json, say_table
from hub.ui.words import moment, sparkline
from hub.veil import Veil

app = typer.Typer()


@app.command()
def query(
    context: typer.Context,
    kind: str,
    device: str,
    *,
    properties: Annotated[list[str] | None, typer.Option("--property", "-p", help="Only these.")] = None,
    site: Annotated[str | None, typer.Option(help="Only of this site.")] = None,
    part: Annotated[str | None, typer.Option(help="Only of this part.")] = None,
    since: Annotated[str, typer.Option(help="From so long ago: 1h, 2d …")] = "1h",
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 1_000,
    unmask: Unmask = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Show what a device measured, the newest last; each number's course as a line of bars. Plates are masked."""
    desk = desk_of(context)
    veil = veil_of(desk, "telemetry", f"telemetry/{kind}/{device}", unmask=unmask, reason=reason)
    where = {name: value for name, value in (("device", device), ("site", site), ("part", part)) if value is not None}
    now = desk.clock.wall_ns()
    span = Span(since=desk.ago(since), until=now, limit=limit, order=Order.NEWEST_FIRST)
    rows = asyncio.run(_query(desk, telemetry_of(kind, span, where, properties or ()), site))[::-1]
    rows = [replace(row, fields=_shown(veil, kind, row.fields)) for row in rows]
    if as_json:
        say_json([{"time": row.time, "tags": dict(row.tags), "fields": row.fields} for row in rows])
        return
    names = list(dict.fromkeys(name for row in rows for name in row.fields))
    say_table(
        ("time", "part", *names),
        (
            (moment(row.time), row.tags.get("part", ""), *(str(row.fields.get(name, "")) for name in names))
            for row in rows
        ),
        empty=f"no points of {device} since {since}",
    )
    for name, line in courses(rows, names).items():
        typer.echo(f"{name:20} {line}")


def courses(rows: Sequence[Row], names: Sequence[str]) -> Mapping[str, str]:
    """Return the sparkline of each property that is a number."""
    found: dict[str, str] = {}
    for name in names:
        values = [row.fields[name] for row in rows if name in row.fields]
        numbers = [float(value) for value in values if isinstance(value, (int, float)) and not isinstance(value, bool)]
        if numbers:
            found[name] = f"{sparkline(numbers)}  {min(numbers):g} to {max(numbers):g}"
    return found


def _shown(veil: Veil, kind: str, fields: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """Return fields as they may be seen; what an event told lies in one of them, as JSON."""
    shown = veil.data(fields)
    if kind == EVENT and "data" in fields:
        shown["data"] = orjson.dumps(veil.data(orjson.loads(str(fields["data"])))).decode()
    return shown


async def _query(desk: Desk, select: Query, site: str | None) -> list[Row]:
    if site is not None:
        (await Atlas.open(desk)).refuse_unknown([site])
    file = desk.settings.data_dir / "timeseries.sqlite"
    if desk.settings.timeseries.store is TimeseriesStore.LOCAL and not file.exists():  # asking must not make one
        raise ConfigError("store_missing", "no hub has worked in this data_dir yet", file=str(file))
    async with make_store(desk.settings, desk.clock) as store:
        return await store.query(select)
