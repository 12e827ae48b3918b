"""``hub doctor``: looks at servers, machine and files for whatever loses data without a word."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from hub.config.settings import BrokerKeeper
from hub.keeping import directory_of
from hub.registry.brokers.mosquitto_files import CONFIG
from hub.ui.desk.desk import EXIT_FAILED, AsJson, Desk, desk_of
from hub.ui.doctor.findings import Examined, Grade, Scene, examine, plain
from hub.ui.doctor.table import AREAS, WORDS
from hub.ui.printing import say_counts, say_json, say_table
from hub.ui.progress import steps

GRADES = {
    Grade.BAD: Text("bad / 危险", "bold red"),
    Grade.WEAK: Text("weak / 隐患", "yellow"),
    Grade.UNSEEN: Text("unseen / 未查", "dim"),
    Grade.GOOD: Text("good / 正常", "green"),
}
WORST_FIRST = tuple(GRADES)


def doctor(
    context: typer.Context,
    *,
    mosquitto_conf: Annotated[
        Path | None, typer.Option(help="mosquitto's configuration; else the one that the hub keeps.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Also list what is well.")] = False,
    as_json: AsJson = False,
) -> None:
    """Look for whatever loses data without a word, in servers, machine and files; say how it is mended.

    Exit 1 when something loses data, or lets others make it up, without a word. It writes nothing that it does not take
    away again, but for one point an hour into InfluxDB.
    """
    desk = desk_of(context)
    found = asyncio.run(_examined(_scene(desk, mosquitto_conf)))
    if as_json:
        say_json([plain(each, WORDS) for each in found])
    else:
        _say(found, every=every)
    if any(each.verdict.grade is Grade.BAD for each in found):
        raise typer.Exit(EXIT_FAILED)


def _scene(desk: Desk, mosquitto_conf: Path | None) -> Scene:
    settings, file = desk.settings, desk.settings_file
    own = directory_of(settings) / CONFIG if settings.broker.keeper is BrokerKeeper.MOSQUITTO else None
    return Scene(settings=settings, settings_file=file, mosquitto_conf=mosquitto_conf or own, clock=desk.clock)


async def _examined(scene: Scene) -> list[Examined]:
    found: list[Examined] = []
    for area in steps("examining", AREAS):
        found += await examine(area, scene)
    return found


def _say(found: Sequence[Examined], *, every: bool) -> None:
    shown = [each for each in found if every or not (each.follows or each.verdict.grade is Grade.GOOD)]
    shown.sort(key=lambda each: WORST_FIRST.index(each.verdict.grade))
    say_table(
        ("check", "", "what / 检查项", "found / 发现", "why it matters / 原因", "the mend / 修复"),
        (
            (
                each.name,
                GRADES[each.verdict.grade],
                str(WORDS[each.name].what),
                each.verdict.found,
                str(WORDS[each.name].why),
                "" if each.verdict.grade is Grade.GOOD else str(WORDS[each.name].mend),
            )
            for each in shown
        ),
        empty="nothing is wrong / 一切正常",
    )
    say_counts(Counter(each.verdict.grade for each in found), GRADES)
