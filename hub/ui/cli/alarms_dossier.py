"""``hub alarms dossier`` and ``verify``: what happened and why, in one file that nobody can change unseen."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import AsyncIterable, Collection, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from hub import __version__
from hub.errors import ConfigError
from hub.model.effects import Event
from hub.outward.standing import ledgers_in, read_told
from hub.registry import audit
from hub.registry.author import os_user
from hub.registry.registry import Registry
from hub.replay.evidence import Evidence
from hub.ui.atlas import Atlas
from hub.ui.cli.devices_credentials import new_file
from hub.ui.cli.trace import again, document_of, find, verdict
from hub.ui.cli.trace_city import is_of_city
from hub.ui.desk.desk import EXIT_FAILED, AsJson, Desk, desk_of
from hub.ui.desk.personal import Reason, Unmask, veil_of
from hub.ui.dossiers import FOLDER, Whole, key_of, opened, sealed
from hub.ui.history import History, ends_of, in_order
from hub.ui.printing import say_done
from hub.ui.words import moment_in
from hub.veil import Veil

BEFORE_NS = AFTERWARDS_NS = 86_400_000_000_000
"""So long before an alarm people may have made it what it became, and after its last event they still answer for it."""
SITE_WIDE = ("scene", "params")
LIMITS = {
    "en": "Sealed is what this file holds, from the moment it was made. The journal is not signed as it is heard: that "
    "its bytes are those of the device rests on who could write on that machine before. Have the digest of this "
    "file time-stamped by a third party at once.",
    "zh": "本文件自生成之时起被封存。日志在接收时并未签名：其内容是否为设备所发，取决于此前何人能写入该机器。"
    "请立即由第三方对本文件摘要加盖时间戳。",
}


def dossier(
    context: typer.Context,
    alarm: Annotated[str, typer.Argument(help="The beginning of its id, or of an event's.")],
    file: Annotated[Path, typer.Argument(help="A new file: a JSON document a line.")],
    *,
    unmask: Unmask = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Write into one sealed file what happened and why: bytes, values, rule, commands, who was told, who did what.

    It is done again as by `hub trace`; exit 1 when that does not bring the same (the file says so, too). What is
    personal is masked unless --unmask. `hub alarms verify FILE` tells everybody, on any machine, whether it is whole.
    """
    desk = desk_of(context)
    veil = veil_of(desk, "alarm", f"alarm/{alarm}", unmask=unmask, reason=reason)
    _, it, after = asyncio.run(find(desk, alarm))
    if is_of_city(it):
        raise ConfigError("dossier_of_city", "it crosses sites: no journal holds it", hint=f"hub trace {alarm}")
    with new_file(file) as descriptor, os.fdopen(os.dup(descriptor), "wb") as out:
        found, data = dossier_of(desk, veil, it, after)  # minutes: whoever may not write there is told before
        out.write(data)
        out.flush()
        os.fsync(descriptor)
    whole, kept = opened(data), kept_of(desk.settings.data_dir, after[0].id if after else it.id)
    document = {
        "file": str(file), "lines": len(whole.lines), "proven": found.is_proven, "public_key": whole.public_key,
        "digest": whole.digest, "sealed_then": [str(path) for path in kept],
    }  # fmt: skip
    then = "".join(f"\nsealed then / 当时已封存  {path}" for path in kept)
    say_done(f"{file}: {verdict(found)}\n{_sentence(whole)}{then}", document, as_json=as_json)
    if not found.is_proven:
        raise typer.Exit(EXIT_FAILED)


def dossier_of(
    desk: Desk, veil: Veil, it: Event, after: Sequence[Event], *, within: float = math.inf
) -> tuple[Evidence, bytes]:
    """Return what doing it again came to (``within`` seconds), and the sealed file of an event and of its alarm."""
    key = key_of(desk.settings.data_dir)
    found = again(desk, veil, it, within=within)
    head = {
        "made_at": moment_in("UTC", desk.clock.wall_ns()),
        "by": desk.actor or os_user(),
        "hub": __version__,
        "site": it.site,
        "event": it.id,
        "verdict": verdict(found),
        "limits": LIMITS,
    }
    proof = document_of(veil, veil.told(it), found)
    return found, sealed([("about", head), ("proof", proof), *_what_came(desk, veil, it, after)], key)


def kept_of(data_dir: Path, alarm: str) -> list[Path]:
    """Return what the hub itself has sealed of an alarm."""
    return sorted((data_dir / FOLDER).glob(f"{alarm}.*jsonl"))


def verify(
    file: Annotated[Path, typer.Argument(help="What `hub alarms dossier` wrote.")],
    *,
    key: Annotated[str, typer.Option(help="The key that must have sealed it, as it was written down then.")] = "",
    as_json: AsJson = False,
) -> None:
    """Tell whether a dossier is as it was written; exit 2 names the line that is not. It needs no installation."""
    try:
        whole = opened(file.read_bytes())
    except OSError as error:
        raise ConfigError("file_unreadable", str(error.strerror), file=str(file)) from error
    except ConfigError as error:
        error.file = str(file)
        raise
    if key and key.lower() != whole.public_key:
        message = f"it is whole, and sealed by another key: {whole.public_key}"
        raise ConfigError("dossier_of_another", message, file=str(file), hint="whose installation wrote it?")
    document = {
        "lines": len(whole.lines),
        "digest": whole.digest,
        "public_key": whole.public_key,
        "about": _head(whole),
    }
    say_done(f"whole / 完整\n{_sentence(whole)}", document, as_json=as_json)


def _sentence(whole: Whole) -> str:
    return f"{len(whole.lines)} lines, sealed / 已封存  {whole.digest}\nby the key / 密钥  {whole.public_key}"


def _head(whole: Whole) -> object:
    return whole.lines[0]["body"] if whole.lines else {}


def _what_came(desk: Desk, veil: Veil, it: Event, after: Sequence[Event]) -> Iterator[tuple[str, object]]:
    story: Sequence[Event] = after or [it]
    atlas = asyncio.run(Atlas.open(desk))
    asked = desk.in_registry(lambda registry: asked_in(registry, story, atlas))
    requests = {request for line in asked for request in _request_of(line)}
    since = min((story[0].time, *(line.at for line in asked if _request_of(line))))
    ends = asyncio.run(_ends(desk, requests, since)) if requests else []
    story = in_order([*story, *ends])
    yield from (("event", msgspec.to_builtins(veil.told(each))) for each in story)
    ids = {each.id for each in story}
    for ledger in ledgers_in(desk.settings.data_dir):
        yield from (("told", {"by": ledger.name, **asdict(line)}) for line in read_told(ledger, ids))
    yield from (("asked", asdict(line)) for line in asked)


async def asked_about(lines: AsyncIterable[audit.Line], story: Sequence[Event], atlas: Atlas) -> list[audit.Line]:
    """Return what of ``lines`` (oldest first) is about an alarm: it is named, or a command, device or place of it.

    Its places are all in which its devices stand. What was said later of such a request, by a second person or by the
    hub, is, too; so is what was changed in the registry of such a device or place, and which scenes and parameters of
    its site.
    """
    named = {name for each in story for name in (each.id, each.key, str(each.data.get("id", ""))) if name}
    places = {(each.site, name) for each in story for name in (*_places_of(each), *atlas.within(each)) if name}
    sites = {each.site for each in story}
    found: list[audit.Line] = []
    async for line in lines:
        said = {name: str(value) for name, value in (line.after or {}).items()}
        what, site, name = [*line.subject.split("/", 2), "", ""][:3]
        where = {(said.get("site", ""), said[each]) for each in ("device", "place", "what") if each in said}
        where |= {(site, name)}
        is_ours = not named.isdisjoint(said.values()) or not places.isdisjoint(where)
        if is_ours or (what in SITE_WIDE and site in {*sites, "*"}):
            named |= _request_of(line)
            found.append(line)
    return found


def _places_of(event: Event) -> tuple[str, ...]:
    return event.device, event.building, "" if event.place is None else event.place.id


def _request_of(line: audit.Line) -> set[str]:
    """Return the request that a line is about; what changed the registry was none."""
    what, _, rest = line.subject.partition("/")
    return {rest.rpartition("/")[2]} if what in {"control", "answer"} else set()


async def _ends(desk: Desk, requests: Collection[str], since: int) -> list[Event]:
    async with desk.redis() as link:
        return await ends_of(History(desk, link, await Atlas.open(desk)), requests, since=since)


async def asked_in(registry: Registry, story: Sequence[Event], atlas: Atlas) -> list[audit.Line]:
    """Return what people asked and changed about an alarm from a day before it until a day after it."""
    async with registry.transaction() as connection:
        since, until = story[0].time - BEFORE_NS, story[-1].time + AFTERWARDS_NS
        return await asked_about(audit.between(connection, since, until), story, atlas)
