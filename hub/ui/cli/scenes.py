"""``hub scenes``: packs of rules that a site switches on and off: what each is for, asks, and has at a site."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from functools import partial
from typing import Annotated

import typer
from rich.text import Text

from hub.errors import ConfigError, HubError, UnavailableError
from hub.model.effects import AlarmState
from hub.registry.registry import Registry
from hub.registry.scenes import switch_off, switch_on
from hub.rules.scene import Ask, Scene
from hub.sinks.stream_readers import read_alarms
from hub.ui.cli import scenes_check
from hub.ui.cli.scenes_check import Name, Site
from hub.ui.desk.desk import AsJson, Desk, desk_of, pairs_of
from hub.ui.desk.personal import masking
from hub.ui.desk.whose import partition_of
from hub.ui.printing import say_done, say_json, say_listing, say_table
from hub.ui.scenes.check import Grade
from hub.ui.scenes.shelf import Answer, Known, Plan, Shelf, answers, plan_off, plan_on, read_shelf
from hub.ui.words import SHOWN_ID, moment, title
from hub.veil import Veil

LIFE = "keeps people alive / 生命安全"
SOON = "the hub takes it up within 6 seconds"

app = typer.Typer()
app.command("check")(scenes_check.check)

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")]
AnySite = Annotated[str, typer.Option(help="Say how it is at this site.")]


@app.command("list")
def list_scenes(context: typer.Context, *, site: AnySite = "", as_json: AsJson = False) -> None:
    """List every scene, how many rules it has, and where it is switched off, since when and why."""
    desk = desk_of(context)
    shelf, known = read_shelf(desk.settings), desk.in_registry(partial(_known, site))
    say_listing(
        (_row(scene, known, site) for scene in shelf.scenes.values()),
        ("scene", "", "rules", "state / 状态", "what it is for / 用途"),
        (
            (
                scene.scene,
                Text(LIFE if scene.life_safety else "", "bold"),
                str(len(scene.rules)),
                _state(scene, known, site),
                f"{title('', scene.label)}\n{scene.purpose['zh']}\n{scene.purpose['en']}",
            )
            for scene in shelf.scenes.values()
        ),
        empty="no scenes",
        as_json=as_json,
    )
    for each in known.off_at(site=site):
        if each.scene not in shelf.scenes and not as_json:
            typer.echo(f"{each.scene} is off at {each.site}, but there is no such scene: it switches nothing")
            typer.echo(f"  hub scenes enable {each.scene} --site {each.site} takes that away / 可清除该记录")


@app.command()
def show(context: typer.Context, name: Name, *, site: AnySite = "", as_json: AsJson = False) -> None:
    """Show what is in a scene: its rules, what may be said for a site, what it needs; with --site what holds there."""
    desk = desk_of(context)
    shelf = read_shelf(desk.settings)
    scene = shelf.scene(name)
    known = desk.in_registry(partial(_known, site))
    asked = _asked(scene, shelf, known, site, masking(desk))
    rules = [shelf.rules[each] for each in scene.rules]
    if as_json:
        told = [{"rule": rule.rule, "event": rule.raise_.event, "severity": rule.raise_.severity} for rule in rules]
        needs = [need.model_dump(mode="json", exclude_defaults=True) for need in scene.needs]
        more = {"rules": told, "needs": needs, "scenarios": list(scene.scenarios)}
        asks = [{**asdict(each), **ask.model_dump(mode="json")} for each, ask in asked]
        say_json({**_row(scene, known, site), **more, "asks": asks})
        return
    typer.echo(f"{title(scene.scene, scene.label)}{f'  ({LIFE})' if scene.life_safety else ''}")
    typer.echo(f"{scene.purpose['zh']}\n{scene.purpose['en']}\n")
    say_table(("state / 状态",), [(_state(scene, known, site),)])
    typer.echo("")
    rows = ((each.rule, each.raise_.event, each.raise_.severity.value, title("", each.label)) for each in rules)
    say_table(("rule", "event", "severity", "label"), rows)
    typer.echo("")
    say_table(
        ("--param", f"at {site}" if site else "unless said", "", "what it is"),
        ((each.name, str(each.value), _who(each, ask), title("", ask.label)) for each, ask in asked),
        empty="it asks nothing",
    )
    if scene.scenarios:
        typer.echo(f"\nplayed by: hub sim scenario {' '.join(scene.scenarios)}")


@app.command()
def enable(
    context: typer.Context,
    name: Name,
    *,
    site: Site,
    param: Annotated[
        list[str] | None, typer.Option("--param", metavar="NAME=VALUE", help="As `hub scenes show` names them.")
    ] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Switch a scene on at a site, and say what its parameters are there; a second time changes nothing.

    What stands there of a scene that is no more is taken away.
    """
    desk = desk_of(context)
    shelf = read_shelf(desk.settings)
    removed = partial(_removed, name, site, dry_run=dry_run)
    if name not in shelf.scenes and not param and desk.in_registry(removed):
        _tell_removed(name, site, dry_run=dry_run, as_json=as_json)
        return
    scene, wanted = shelf.scene(name), pairs_of(param or ())
    plan_of = partial(plan_on, scene, site, wanted, shelf)
    plan = desk.in_registry(partial(_enabled, plan_of, site, dry_run=dry_run))
    _tell(plan, desk, dry_run=dry_run, as_json=as_json, more={})
    if not as_json:
        typer.echo(_open_ends(desk, shelf, scene, site))


@app.command()
def disable(
    context: typer.Context,
    name: Name,
    *,
    site: Site,
    reason: Annotated[str, typer.Option(help="Why; needed where a scene keeps people alive.")] = "",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Switch a scene off at a site: its rules are not judged there any more, and their alarms there end."""
    desk = desk_of(context)
    shelf = read_shelf(desk.settings)
    scene = shelf.scene(name)
    if scene.life_safety and not reason.strip():
        message = f"scene {name} keeps people alive: say why nobody shall be told any more"
        raise ConfigError("reason_missing", message, hint=f"hub scenes disable {name} --site {site} --reason …")
    plan, alarms = asyncio.run(_disabled(desk, scene, site, reason.strip(), dry_run=dry_run))
    ends = [] if plan.is_empty or alarms is None else [each.id for each in alarms]
    _tell(plan, desk, dry_run=dry_run, as_json=as_json, more={"alarms": ends})
    if as_json or plan.is_empty:
        return
    if scene.life_safety:
        would = "would be" if dry_run else "is"
        typer.echo(
            f"ATTENTION / 注意: at {site} nobody {would} told of what these {len(scene.rules)} rules find", err=True
        )
    if alarms is None:
        typer.echo("Redis does not answer: whatever is active of these rules is cleared when the hub takes it up")
    for each in alarms or ():
        typer.echo(f"alarm {each.id[:SHOWN_ID]} {each.name} of {each.key} {'would be' if dry_run else 'is'} cleared")


# ------------------------------------------------------------------------------------------------------------- asking


async def _known(site: str, registry: Registry) -> Known:
    if site:
        await partition_of(registry, site)
    return await scenes_check.known_of(registry)


async def _enabled(plan_of: Callable[[Known], Plan], site: str, registry: Registry, *, dry_run: bool) -> Plan:
    plan = plan_of(await _known(site, registry))
    if not dry_run:
        await switch_on(registry, site, plan.scene.scene, plan.wishes())
    return plan


async def _removed(name: str, site: str, registry: Registry, *, dry_run: bool) -> bool:
    """Take away that what is no scene any more is off at a site; return whether it was."""
    is_off = any(each.scene == name for each in (await _known(site, registry)).off_at(site=site))
    if is_off and not dry_run:
        await switch_on(registry, site, name, ())
    return is_off


async def _disabled(
    desk: Desk, scene: Scene, site: str, reason: str, *, dry_run: bool
) -> tuple[Plan, list[AlarmState] | None]:
    async with desk.registry() as registry:
        plan = plan_off(scene, site, await _known(site, registry))
        alarms = None if plan.is_empty else await _alarms(desk, scene, site)
        if not dry_run:
            await switch_off(registry, site, scene.scene, reason)
        return plan, alarms


async def _alarms(desk: Desk, scene: Scene, site: str) -> list[AlarmState] | None:
    """Return the active alarms of the scene there; None when Redis does not answer."""
    try:
        async with desk.redis() as link:
            return [each for each in await read_alarms(link, [site]) if each.rule in scene.rules]
    except UnavailableError:
        return None


# ------------------------------------------------------------------------------------------------------------ telling


def _row(scene: Scene, known: Known, site: str) -> dict[str, object]:
    off = [{"site": each.site, "since": each.since, "reason": each.reason} for each in known.off_at(scene.scene, site)]
    state = {"site": site, "on": not off} if site else {}
    return {
        "scene": scene.scene, "version": scene.version, "label": scene.label, "purpose": scene.purpose,
        "life_safety": scene.life_safety, "rules": list(scene.rules), **state, "off": off,
    }  # fmt: skip


def _asked(scene: Scene, shelf: Shelf, known: Known, site: str, veil: Veil) -> list[tuple[Answer, Ask]]:
    """Return what each question is, as people may see it, with the words of the question."""
    found = answers(scene, shelf, site, known.params)
    return [(replace(each, value=veil.scalar(each.name, each.value)), scene.asks[each.name]) for each in found]


def _state(scene: Scene, known: Known, site: str) -> Text:
    off = Text("off / 停用", "bold white on red" if scene.life_safety else "yellow")
    told = [
        Text.assemble(off, f" at {each.site} since {moment(each.since)}", f": {each.reason}" if each.reason else "")
        for each in known.off_at(scene.scene, site)
    ]
    return Text("\n").join(told) if told else Text("on / 启用" if site else "on everywhere / 全部启用")


def _who(answer: Answer, ask: Ask) -> str:
    if answer.is_said:
        return "said for the site"
    return "please say" if ask.needed else ""


def _tell(plan: Plan, desk: Desk, *, dry_run: bool, as_json: bool, more: Mapping[str, object]) -> None:
    veil = masking(desk)
    params = [(rule, name, veil.scalar(name, was), veil.scalar(name, now)) for rule, name, was, now in plan.params]
    if as_json:
        told = [{"rule": rule, "name": name, "was": was, "becomes": now} for rule, name, was, now in params]
        state = {"was": _word(is_on=plan.was), "becomes": _word(is_on=plan.becomes)}
        done = {"changed": not plan.is_empty, "dry_run": dry_run, "params": told}
        say_json({"scene": plan.scene.scene, "site": plan.site, **state, **done, **more})
        return
    where = f"{plan.scene.scene} at {plan.site}"
    if plan.is_empty:
        typer.echo(f"{where} is {_word(is_on=plan.becomes)} already: nothing changes / 无变化")
        return
    rows = [(f"{rule}.{name}", str(was), str(now)) for rule, name, was, now in params]
    if plan.was is not plan.becomes:
        rows.insert(0, (f"{len(plan.scene.rules)} rules", _word(is_on=plan.was), _word(is_on=plan.becomes)))
    say_table((where, "was", "would be" if dry_run else "is"), rows)
    typer.echo("a dry run: nothing was changed / 试运行，未更改" if dry_run else SOON)


def _tell_removed(name: str, site: str, *, dry_run: bool, as_json: bool) -> None:
    would = "would be" if dry_run else "is"
    said = f"there is no scene {name} any more: that it was off at {site} {would} forgotten / 已无此场景，记录清除"
    state = {"was": "off", "becomes": "gone", "changed": True, "dry_run": dry_run, "params": []}
    say_done(said, {"scene": name, "site": site, **state}, as_json=as_json)


def _word(*, is_on: bool) -> str:
    return "on" if is_on else "off"


def _open_ends(desk: Desk, shelf: Shelf, scene: Scene, site: str) -> str:
    """Return in a sentence what the check of a scene that was switched on says."""
    try:
        lines = list(_missing(desk, shelf, scene, site))
    except HubError as error:
        return f"it could not be checked: {error}"
    words = f"hub scenes check {scene.scene} --site {site}"
    return f"{len(lines)} things are missing there: {words}" if lines else f"nothing is missing there: {words}"


def _missing(desk: Desk, shelf: Shelf, scene: Scene, site: str) -> Iterator[object]:
    lines = asyncio.run(scenes_check.lines_of(desk, shelf, scene, site))
    yield from (line for line in lines if line.grade is Grade.MISSING and line.name != "off")
