"""``hub coverage``: in how many dwellings a detector is alive, and where one is silent."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from typing import Annotated

import typer

from hub.journal.neighbours import state_path
from hub.ui.desk.desk import AsJson, Desk, as_duration, desk_of
from hub.ui.dwellings import DETECTORS, Cover, Dwellings, read_heard
from hub.ui.printing import say_json, say_table
from hub.ui.words import moment, since


def coverage(
    context: typer.Context,
    *,
    within: Annotated[str, typer.Option(help="A detector that was heard so lately is alive.")] = "48h",
    kind: Annotated[list[str] | None, typer.Option(help="What counts as a detector; may be repeated.")] = None,
    silent: Annotated[
        bool, typer.Option("--silent", help="Also list each dwelling without a living detector.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Tell in how many dwellings a detector is alive, by building and community, and since when others are silent."""
    desk = desk_of(context)
    now = desk.clock.wall_ns()
    oldest = now - as_duration(within) // timedelta(microseconds=1) * 1_000
    found = asyncio.run(_cover(desk, kind or DETECTORS, oldest))
    if as_json:
        say_json([{**asdict(each), "covered": each.covered, "share": each.covered / each.dwellings} for each in found])
        return
    sites = sorted({each.site for each in found})
    rows = [row for site in sites for row in _rows(found, site)]
    if len(sites) > 1:
        rows.append(("all", "", *_share(sum(each.covered for each in found), sum(each.dwellings for each in found))))
    say_table(("site", "building", "covered", "of dwellings", "share"), rows, empty="no dwellings")
    if silent:
        say_table(
            ("site", "building", "dwelling", "detector", "silent since"),
            (
                (
                    *(each.site, each.building, one.dwelling, one.device or "none"),
                    f"{moment(one.since)} ({since(one.since, now)})" if one.since else "ever",
                )
                for each in found
                for one in each.silent
            ),
            empty="no dwelling is silent",
        )


def _rows(found: Sequence[Cover], site: str) -> list[tuple[str, ...]]:
    mine = [each for each in found if each.site == site]
    covered, dwellings = sum(each.covered for each in mine), sum(each.dwellings for each in mine)
    return [
        (site, "all", *_share(covered, dwellings)),
        *(("", each.building or "no building", *_share(each.covered, each.dwellings)) for each in mine),
    ]


def _share(covered: int, dwellings: int) -> tuple[str, str, str]:
    return str(covered), str(dwellings), f"{covered / dwellings:.1%}"


async def _cover(desk: Desk, kinds: Sequence[str], oldest: int) -> list[Cover]:
    found: list[Cover] = []
    async with desk.registry() as registry:
        for settings in (each.here for each in desk.each()):
            bodies = await registry.documents(settings.partition)
            path = state_path(settings.files_dir)
            heard = read_heard(path) if path.exists() else {}
            heard_at = partial(_heard_at, heard)
            found += Dwellings(bodies, kinds).cover(heard_at, oldest)
    return found


def _heard_at(heard: Mapping[tuple[str, str], int], site: str, device: str) -> int:
    return heard.get((site, device), 0)
