"""``hub drill fire``: a fire in a zone, played through the real path, timed hop by hop, and reported."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryFile
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.text import Text

from hub.errors import UnavailableError
from hub.model.effects import AlarmState, Reply
from hub.model.values import Scalar
from hub.parts import make_tool_client
from hub.replay.tape import tape_of
from hub.revisions.files import read_profiles
from hub.sinks.control import Request
from hub.sinks.redis_link import Link
from hub.sinks.stream_readers import read_twins
from hub.ui.desk.desk import EXIT_FAILED, AsJson, Desk, as_duration, desk_of
from hub.ui.desk.reply import Actor, ask, sentence
from hub.ui.desk.whose import desk_for
from hub.ui.drills.cause import Speaker, speakers, zone_of
from hub.ui.drills.course import Course, Watch, ahead_of, until_agreed
from hub.ui.drills.findings import Asked, Findings, findings, plain
from hub.ui.drills.report import html, markdown
from hub.ui.drills.words import CHECKS, VERDICTS, both
from hub.ui.printing import say_json, say_table

AGREE_SECONDS = 300.0
RULES = "fire-confirmed"
MARGIN = "5m"
END_SECONDS = 12.0
"""A command expires after 10 s: then the last release has an end."""
OVER = ("no_such_drill", "no_such_command")
"""Answered to who ends what has ended by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What was asked for on the command line."""

    site: str
    zone: str
    detectors: tuple[str, ...]
    reason: str
    actor: str
    with_actuators: bool
    seconds: float


def fire(
    context: typer.Context,
    site: str,
    *,
    zone: Annotated[str, typer.Option(help="A fire zone of the site, with its detectors.")],
    reason: Annotated[str, typer.Option(help="Why; everybody who sees it will ask.")] = "fire drill",
    detector: Annotated[list[str] | None, typer.Option(help="Speak for this one; may be repeated. Else two.")] = None,
    with_actuators: Annotated[
        bool, typer.Option("--with-actuators", help="Commands really leave, once a second person has agreed.")
    ] = False,
    wait: Annotated[str, typer.Option(help="How long devices may take to answer.")] = "15s",
    out: Annotated[Path, typer.Option(help="Where the report goes: NAME.md and NAME.html.")] = Path(),
    actor: Actor,
    as_json: AsJson = False,
) -> None:
    """Play a fire: detectors' own payloads over the broker, as a drill from end to end, and a report for the inspector.

    Doubles speak in the place of the detectors, so nothing real is touched: a real critical alarm in the building ends
    the drill at once and acts. Without --with-actuators commands are decided and told, and none is sent. Exit 1 when a
    check has failed.
    """
    desk = desk_of(context)
    wish = Wish(
        site=site, zone=zone, detectors=tuple(detector or ()), reason=reason, actor=actor,
        with_actuators=with_actuators, seconds=as_duration(wait).total_seconds(),
    )  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryFile(dir=out):  # an inspector's report that nobody can write is known before anything is played
        found = asyncio.run(_play(desk, wish))
    files = _write(found, out)
    if as_json:
        say_json({**plain(found), "files": [str(file) for file in files]})
    else:
        rows = ((both(CHECKS[each.name]), both(VERDICTS[each.verdict]), each.detail) for each in found.checks)
        say_table(("检查 / check", "结果 / result", "说明 / detail"), rows)
        typer.echo("\n".join(str(file) for file in files))
    if not found.has_passed:
        raise typer.Exit(EXIT_FAILED)


async def _play(desk: Desk, wish: Wish) -> Findings:
    here = await desk_for(desk, wish.site)
    settings = here.here
    tape_of(settings.files_dir)  # without a journal nothing can be timed: said before anything begins
    async with desk.registry() as registry:
        rows = await registry.documents(settings.partition)
    documents = {**rows, **read_profiles(settings)}
    zone = zone_of(documents, wish.site, wish.zone)
    who = speakers(zone, documents, wish.detectors)
    async with desk.redis() as link:
        with _telling() as tell:
            course = Course(
                site=wish.site, place=wish.zone, started_at=desk.clock.wall_ns(), with_actuators=wish.with_actuators,
                redis_ahead=await ahead_of(link, desk.clock),
            )  # fmt: skip
            reply = await _ask(here, wish, "drill", _words(wish, who))
            if wish.with_actuators:
                tell(reply.detail)
            course.request = reply.id
            begun = await _begun(here, link, course, wish)
            watch = Watch(course, link, settings.files_dir, desk.clock)
            try:
                await watch.play(who, make_tool_client(settings, "drill"))
                await watch.until_over(wish.seconds, tell)
            finally:
                await _end(here, wish, course)
            await watch.until_gone(END_SECONDS)
        twins = await read_twins(link, wish.site)
    actors = str(begun.data["actor"])
    return findings(course, Asked(zone=zone, actors=actors, reason=wish.reason, twins=twins))


def _words(wish: Wish, who: list[Speaker]) -> dict[str, Scalar]:
    return {
        "what": f"@{wish.zone}", "for": MARGIN, "reason": wish.reason, "rules": RULES,
        "doubles": " ".join(one.device for one in who), "with_commands": wish.with_actuators,
    }  # fmt: skip


async def _begun(desk: Desk, link: Link, course: Course, wish: Wish) -> AlarmState:
    """Wait until the drill runs; when nobody agrees, or whoever asked goes, nobody can agree to it any more."""
    try:
        return await until_agreed(link, desk.clock, course, AGREE_SECONDS)
    except (asyncio.CancelledError, UnavailableError):
        if wish.with_actuators:
            await _ask(desk, wish, "cancel", {"id": course.request, "reason": "nobody waits for it any more"})
        else:
            await _end(desk, wish, course)
        raise


async def _end(desk: Desk, wish: Wish, course: Course) -> None:
    """End our drill; not one that somebody else has begun there since."""
    await _ask(desk, wish, "end_drill", {"what": f"@{wish.zone}", "request": course.request})


async def _ask(desk: Desk, wish: Wish, verb: str, words: Mapping[str, Scalar]) -> Reply:
    """Ask the hub; UnavailableError ``drill_refused`` says why not. What is over already has ended well."""
    request = Request(actor=wish.actor, verb=verb, args={"site": wish.site, **words})
    reply = await ask(desk, request, site=wish.site)
    if not reply.ok and reply.code not in OVER:
        raise UnavailableError("drill_refused", sentence(reply))
    return reply


@contextmanager
def _telling() -> Iterator[Callable[[str], None]]:
    """Show how far it has come: one line that changes on a terminal, what a second person needs elsewhere, too."""
    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        told: set[str] = set()

        def once(text: str) -> None:
            if "hub commands confirm" in text and text not in told:
                told.add(text)
                console.print(text, soft_wrap=True)

        yield once
        return
    with console.status("") as status:
        yield lambda text: status.update(Text(text))


def _write(found: Findings, out: Path) -> list[Path]:
    began = datetime.fromtimestamp(found.started_at / 1e9, ZoneInfo(found.time_zone))
    name = f"drill-{found.site}-{found.place}-{began:%Y%m%d-%H%M%S}"
    files = {out / f"{name}.md": markdown(found), out / f"{name}.html": html(found)}
    for file, text in files.items():
        file.write_text(text, encoding="utf-8")
    return list(files)
