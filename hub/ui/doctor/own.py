"""The hub's own affairs: whose partition it is, its registry, its profiles and rules, and what it says of itself."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.config.settings import Settings
from hub.journal.files import read_rows
from hub.journal.neighbours import journal_path
from hub.registry import upgrading
from hub.registry.database import Database, address_of
from hub.rules.calendars import ANNOUNCED_UNTIL
from hub.rules.problem import Weight
from hub.sinks.redis_link import Link, RedisAddress, pairs
from hub.sinks.streams import cursor_key, decode_cursor, heartbeat_key
from hub.ui.cli.rules import rule_findings
from hub.ui.doctor.findings import Scene, Verdict, bad, good, unseen, weak
from hub.ui.findings import Finding
from hub.ui.profiles.shelf import shelf_of
from hub.ui.rules.holidays import asking_for_holidays
from hub.ui.standing import NOBODY, asking, standing_of

MONTH_DAYS = 31
STALL_SECONDS = 1.0
"""A loop that stood still for so long was seen by whoever waited for a door."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Our journal ("" before the first start), the one that Redis knows, and the host whose hub beats now."""

    partition: str
    ours: str
    theirs: str
    owner_host: str


async def identity(scene: Scene) -> Identity:
    """Ask Redis who owns the partition; UnavailableError when it does not answer."""
    settings = scene.settings
    async with Link(RedisAddress(url=settings.redis.url.get_secret_value())) as link:
        cursor = decode_cursor(pairs(await link.ask("HGETALL", cursor_key(settings.partition))))
        token = cast("bytes | None", await link.ask("GET", heartbeat_key(settings.partition)))
    return Identity(
        partition=settings.partition,
        ours=await asyncio.to_thread(_journal_id, settings.files_dir),
        theirs=cursor.journal,
        owner_host="" if token is None else token.rpartition(b" ")[0].decode(),
    )


def _journal_id(directory: Path) -> str:
    path = journal_path(directory)
    return "" if not path.exists() else str(read_rows(path, "SELECT value FROM meta WHERE name = 'id'")[0][0])


def one_hub(seen: Identity) -> Verdict:
    """Whether two hubs call themselves by one name."""
    owner = f"partition {seen.partition}, beating on {seen.owner_host}" if seen.owner_host else "nobody beats"
    if seen.theirs and seen.ours != seen.theirs:
        return bad(
            f"{owner}: Redis was written from another journal ({seen.theirs}), ours is {seen.ours or 'none yet'}"
        )
    if seen.owner_host not in {"", socket.gethostname()}:
        return bad(f"{owner}, with a copy of our journal")
    return good(owner)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrySeen:
    """The version of the tables, empty when there are none yet."""

    version: str


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[AsyncConnection | None]:
    """Read the registry without making or changing it; None where there is none. UnavailableError, CorruptError."""
    text = settings.registry_url()
    url = address_of(text)
    if url.get_backend_name() == "sqlite" and not _is_file(url.database):
        yield None
        return
    database = Database(text)
    try:
        async with database.transaction() as connection:
            yield connection
    finally:
        await database.__aexit__(None, None, None)


async def registry(scene: Scene) -> RegistrySeen:
    """Look at the version of the registry."""
    async with opened(scene.settings) as connection:
        return RegistrySeen(version="" if connection is None else await connection.run_sync(upgrading.version))


def _is_file(name: str | None) -> bool:
    return bool(name) and Path(str(name)).exists()


def registry_version(seen: RegistrySeen) -> Verdict:
    """Whether this hub can work with it."""
    if not seen.version:
        return good("none yet: the first command makes it")
    found = f"version {seen.version}, this hub knows {upgrading.HEAD}"
    if seen.version > upgrading.HEAD:
        return bad(found)
    return good(found) if seen.version == upgrading.HEAD else weak(f"{found}: the next start upgrades it")


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What is wrong or doubtful in documents, and how many there are: ``28 profiles``."""

    what: str
    findings: Sequence[Finding]


async def profiles(scene: Scene) -> Content:
    """Check every profile that the hub would load."""
    shelf = await asyncio.to_thread(shelf_of, scene.settings)
    return Content(what=f"{len(shelf.profiles)} profiles", findings=shelf.findings)


async def rules(scene: Scene) -> Content:
    """Check every rule that the hub would load; ConfigError for what cannot even be read."""
    count, findings = await asyncio.to_thread(rule_findings, scene.settings)
    return Content(what=f"{count} rules", findings=findings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holidays:
    """Which rules and channels ask whether China works on a day, and for how many days from now that is known."""

    asked_by: Sequence[str]
    days: int


async def holidays(scene: Scene) -> Holidays:
    """Look through windows of rules and quiet hours; ConfigError for what cannot be read."""
    asked_by = await asyncio.to_thread(asking_for_holidays, scene.settings)
    today = datetime.fromtimestamp(scene.clock.wall_ns() / 1e9, UTC).date()
    return Holidays(asked_by=asked_by, days=(ANNOUNCED_UNTIL - today).days)


def announced(seen: Holidays) -> Verdict:
    """Whether who asks for holidays is told the truth for the next month."""
    who = ", ".join(seen.asked_by) or "nobody"
    found = f"known until {ANNOUNCED_UNTIL}, asked by {who}"
    return weak(found) if seen.asked_by and seen.days < MONTH_DAYS else good(found)


def faultless(seen: Content) -> Verdict:
    """Whether the hub would take them up."""
    errors = [each for each in seen.findings if each.weight is Weight.ERROR]
    warnings = [each for each in seen.findings if each.weight is Weight.WARNING]
    if errors:
        return bad(f"{seen.what}, {len(errors)} mistakes: {errors[0]}")
    return (
        weak(f"{seen.what}, {len(warnings)} doubtful: {warnings[0]}")
        if warnings
        else good(f"{seen.what}, none doubtful")
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """What a running hub says of itself: its reasons not to be ready, None when none runs here.

    ``stall_seconds``: the longest time of the last minute in which its loop stood still, None when it does not say.
    """

    page: str
    reasons: Sequence[str] | None = None
    stall_seconds: float | None = None


async def running(scene: Scene) -> Running:
    """Ask /readyz and /metrics of the settings."""
    async with asking() as session:
        found = await standing_of(session, "hub", scene.settings.http)
    page = f"{found.page}/readyz"
    if any(each["code"] in NOBODY for each in found.reasons):
        return Running(page=page)
    reasons = [f"{each['code']}: {each['detail']}" for each in found.reasons]
    return Running(page=page, reasons=reasons, stall_seconds=found.figures.get("hub_loop_longest_stall_seconds"))


def turns(seen: Running) -> Verdict:
    """Whether its loop turns: who waits for it meanwhile is a device, a guard at a door, a broker."""
    if seen.stall_seconds is None:
        return unseen("no hub says how long its loop stood still")
    found = f"its loop stood still for {seen.stall_seconds:.2f} s at most within the last minute"
    return weak(found) if seen.stall_seconds >= STALL_SECONDS else good(found)


def ready(seen: Running) -> Verdict:
    """Whether the hub hears and delivers now."""
    if seen.reasons is None:
        return weak(f"no hub answers at {seen.page}")
    return bad("; ".join(seen.reasons)) if seen.reasons else good("ready")
