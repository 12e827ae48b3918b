"""``hub scenes check``: what a scene needs at a site, line by line, and its scenarios played beside the hub."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.text import Text

from hub.config.settings import BrokerKeeper
from hub.errors import ConfigError
from hub.outward.wishes import read_wishes
from hub.registry.circumstances import read_params
from hub.registry.registry import Registry
from hub.registry.scenes import read_scenes_off
from hub.revisions.files import read_profiles
from hub.rules.scene import Scene
from hub.ui.desk.desk import EXIT_FAILED, AsJson, Desk, as_duration, desk_of
from hub.ui.desk.whose import partition_of
from hub.ui.printing import say_counts, say_json, say_table
from hub.ui.scenes import check as checks
from hub.ui.scenes.check import Grade, Line
from hub.ui.scenes.reach import Ground
from hub.ui.scenes.shelf import Known, Shelf, read_shelf
from hub.ui.words import title

Name = Annotated[str, typer.Argument(metavar="SCENE", help="As `hub scenes list` names it.")]
Site = Annotated[str, typer.Option(help="At which site.")]
GRADES = {
    Grade.MISSING: Text("missing / 缺失", "bold red"),
    Grade.RESTS: Text("rests / 未生效", "yellow"),
    Grade.GOOD: Text("good / 正常", "green"),
}


def check(
    context: typer.Context,
    name: Name,
    *,
    site: Site,
    run: Annotated[
        bool, typer.Option("--run", help="Also play its scenarios beside the hub, at their own sites.")
    ] = False,
    wait: Annotated[str, typer.Option(help="How long their timelines may take.")] = "20s",
    as_json: AsJson = False,
) -> None:
    """Tell what a scene needs at a site: devices, places, who is told, what can be commanded; exit 1: something lacks.

    What `rests` is not there and need not be: the scene does without. --run is for a hub and a broker to try things
    with: simulated devices connect without passwords, and what is raised at their sites is real.
    """
    desk = desk_of(context)
    shelf = read_shelf(desk.settings)
    scene = shelf.scene(name)
    if run and desk.settings.broker.keeper is not BrokerKeeper.NOBODY:
        message = "scenarios are played by devices without passwords, which this broker does not let in"
        hint = f"hub drill fire {site} --zone ZONE plays a fire at the real devices, as a drill"
        raise ConfigError("not_to_be_played", message, hint=hint)
    lines = asyncio.run(lines_of(desk, shelf, scene, site))
    if run:
        lines += asyncio.run(_played(desk, scene, as_duration(wait).total_seconds()))
    if as_json:
        say_json({"scene": name, "site": site, "lines": [line.plain() for line in lines]})
    else:
        _say(scene, site, lines)
    if any(line.grade is Grade.MISSING for line in lines):
        raise typer.Exit(EXIT_FAILED)


async def lines_of(desk: Desk, shelf: Shelf, scene: Scene, site: str) -> list[Line]:
    """Return what the check of a scene says; ConfigError ``site_unknown``, or for wishes that nobody can read."""
    wishes = read_wishes(desk.settings.notify.dir, desk.settings.notify.urls)
    async with desk.registry() as registry:
        documents = await registry.documents(await partition_of(registry, site))
        known = await known_of(registry)
    ground = Ground(scene, site, {**read_profiles(desk.settings), **shelf.documents(), **documents})
    return checks.check(ground, shelf, known, wishes)


async def known_of(registry: Registry) -> Known:
    """Return what the registry says of scenes."""
    return Known(off=await read_scenes_off(registry), params=await read_params(registry))


async def _played(desk: Desk, scene: Scene, seconds: float) -> list[Line]:
    from hub.ui.cli.sim_scenario import play_fresh  # noqa: PLC0415 -- simulators are only for who plays

    if not scene.scenarios:
        typer.echo(f"{scene.scene} has no scenario to play", err=True)
    came = await play_fresh(desk, scene.scenarios, seconds)
    return [_told(name, differs) for name, differs in came.items()]


def _told(name: str, differs: Sequence[str] | None) -> Line:
    words = {"name": name, "at": f"scenario-{name}"}
    if differs is None:
        return Line(name="held", grade=Grade.RESTS, words=words)
    if differs:
        return Line(name="differs", grade=Grade.MISSING, words={**words, "differs": "; ".join(differs)})
    return Line(name="played", grade=Grade.GOOD, words=words)


def _say(scene: Scene, site: str, lines: Sequence[Line]) -> None:
    typer.echo(f"{title(scene.scene, scene.label)} @ {site}")
    say_table(
        ("", "found / 检查结果", "what to do / 处理"),
        (
            (
                GRADES[line.grade],
                f"{line.text('en')}\n{line.text('zh')}",
                "" if line.grade is Grade.GOOD else _both(line),
            )
            for line in lines
        ),
    )
    say_counts(Counter(line.grade for line in lines), GRADES)


def _both(line: Line) -> str:
    return "\n".join(dict.fromkeys(text for text in (line.mend("en"), line.mend("zh")) if text))
