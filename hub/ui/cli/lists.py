"""``hub lists``: who is let in, who is not, and for how long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from hub.errors import ConfigError
from hub.normalize.plates import PROVINCES, plate_cn
from hub.registry import circumstances
from hub.registry.audit import HIDDEN
from hub.registry.nouns import Entry
from hub.registry.registry import Registry
from hub.registry.validity import parted, validity
from hub.ui.desk.desk import AsJson, Desk, as_duration, desk_of
from hub.ui.desk.personal import Reason, Unmask, veil_of
from hub.ui.desk.whose import partition_of
from hub.ui.printing import say_done, say_json, say_listing
from hub.ui.sheets import Row, Sheet, read_sheet
from hub.veil import masked

app = typer.Typer()

COLUMNS = ("list", "value", "site", "place", "from", "until", "note")
EVERYWHERE = "every site"
_PLATE_SIZE = 7

Name = Annotated[str, typer.Argument(metavar="LIST", help="block, allow, temporary, visitor, or a name of your own.")]
Site = Annotated[str, typer.Option(help="Only at this site; else at every one.")]
Place = Annotated[str, typer.Option(help="Only at this place of the site and what is below it.")]
From = Annotated[str, typer.Option("--from", help="A day, or a moment of the site: 2026-03-01, 2026-03-01T08:00.")]
Until = Annotated[str, typer.Option("--until", help="As --from; a day is included.")]
For = Annotated[str, typer.Option("--for", help="From now on so long: 2h, 3d.")]


@app.command()
def add(
    context: typer.Context,
    name: Name,
    values: Annotated[list[str], typer.Argument(metavar="VALUE...", help="Plates, card numbers, references.")],
    *,
    site: Site = "",
    place: Place = "",
    begins: From = "",
    ends: Until = "",
    span: For = "",
    note: Annotated[str, typer.Option(help="Why, for people.")] = "",
    as_json: AsJson = False,
) -> None:
    """Put values on a list; the hub takes them up within 6 seconds. What stands there already is replaced.

    On the lists temporary and visitor everything ends: --until or --for. A pass begins and ends by itself.
    """
    desk = desk_of(context)
    valid = validity_of(desk, begins, ends, span)
    entries = [
        Entry(list=name, value=as_read(value), site=site, place=place, valid=valid, note=note) for value in values
    ]
    desk.in_registry(lambda registry: circumstances.put_entries(registry, entries))
    if as_json:
        say_json([asdict(entry) for entry in entries])
    else:
        where = "/".join(each for each in (site, place) if each) or EVERYWHERE
        typer.echo(f"{name}: {', '.join(entry.value for entry in entries)} {valid or 'always'} at {where}")


@app.command()
def remove(
    context: typer.Context,
    name: Name,
    values: list[str],
    *,
    site: Site = "",
    place: Place = "",
    as_json: AsJson = False,
) -> None:
    """Take values off a list."""
    gone = [as_read(value) for value in values]
    desk_of(context).in_registry(lambda registry: circumstances.remove_entries(registry, site, name, gone, place=place))
    say_done(f"{name}: took off {', '.join(gone)}", {"removed": gone}, as_json=as_json)


@app.command("import")
def import_entries(
    context: typer.Context,
    file: Path,
    *,
    name: Annotated[str, typer.Option("--list", help="For rows without a list.")] = "",
    as_json: AsJson = False,
) -> None:
    """Put all entries of a CSV or JSON file on their lists, or none.

    Columns: list, value, site, place, from, until, note. Every mistake is told at once, with its line.
    """
    sheet = read_sheet(file, COLUMNS)
    entries = [_entry(sheet, row, name) for row in sheet.rows]
    desk_of(context).in_registry(lambda registry: _import(registry, sheet, entries, as_json=as_json))
    say_done(f"{len(entries)} entries are on their lists", {"entries": len(entries)}, as_json=as_json)


@app.command()
def show(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="LIST", help="Only this list.")] = "",
    *,
    site: Annotated[str, typer.Option(help="Only what counts at this site.")] = "",
    unmask: Unmask = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Show what stands on lists, plates and cards masked."""
    desk = desk_of(context)
    is_whole = veil_of(desk, "list", f"list/{site or '*'}/{name or '*'}", unmask=unmask, reason=reason).is_lifted
    found = [
        entry if is_whole else replace(entry, value=masked(entry.value), note=HIDDEN if entry.note else "")
        for entry in desk.in_registry(partial(_entries, site))
        if name in {"", entry.list} and (not site or entry.site in {"", site})
    ]
    say_listing(
        map(asdict, found),
        ("list", "value", "where", "from", "until", "note"),
        (
            (
                entry.list,
                entry.value,
                "/".join(each for each in (entry.site, entry.place) if each) or EVERYWHERE,
                *parted(entry.valid),
                entry.note,
            )
            for entry in found
        ),
        empty="no entries",
        as_json=as_json,
    )


@app.command()
def tidy(
    context: typer.Context,
    *,
    ended: Annotated[str, typer.Option(help="So long ago at least.")] = "30d",
    as_json: AsJson = False,
) -> None:
    """Take off what ended long ago: visitors of last month are nobody's business."""
    desk = desk_of(context)
    at = desk.ago(ended)
    gone = desk.in_registry(lambda registry: circumstances.tidy_entries(registry, at))
    say_done(f"took off {len(gone)} entries", {"removed": len(gone)}, as_json=as_json)


async def _entries(site: str, registry: Registry) -> list[Entry]:
    if site:
        await partition_of(registry, site)
    return await circumstances.read_entries(registry)


def validity_of(desk: Desk, begins: str, ends: str, span: str) -> str:
    """Return ``FROM/UNTIL`` as it was typed; ConfigError for what cannot be."""
    if not span:
        return validity(begins, ends)
    if begins or ends:
        raise ConfigError("option_invalid", "--for begins now: leave out --from and --until")
    seconds = desk.clock.wall_ns() // 1_000_000_000 + round(as_duration(span).total_seconds())
    return validity("", datetime.fromtimestamp(seconds, UTC).isoformat())


def as_read(value: str) -> str:
    """Return ``value`` as readers report it: a Chinese plate loses its dot, its blanks and its colour."""
    plate = plate_cn(value)
    return plate if plate[:1] in PROVINCES and len(plate) >= _PLATE_SIZE else value.strip()


def _entry(sheet: Sheet, row: Row, name: str) -> Entry:
    valid = ""
    try:
        valid = validity(sheet.text(row, "from"), sheet.text(row, "until"))
    except ConfigError as error:
        sheet.blame(row.line, error.message)
    return Entry(
        list=sheet.text(row, "list", name) or name,
        value=as_read(sheet.text(row, "value")),
        site=sheet.text(row, "site"),
        place=sheet.text(row, "place"),
        valid=valid,
        note=sheet.text(row, "note"),
    )


async def _import(registry: Registry, sheet: Sheet, entries: Sequence[Entry], *, as_json: bool) -> None:
    for index, text in await circumstances.entry_problems(registry, entries):
        sheet.blame(sheet.rows[index].line, text)
    sheet.settle(as_json=as_json)
    await circumstances.put_entries(registry, entries)
