"""What leaves the house: what waits or was given up, who does not work, who is not there, whom nobody tells."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from hub.clock import Clock
from hub.config.settings import ForwardSettings, Settings
from hub.durations import write_duration
from hub.errors import ConfigError
from hub.journal.files import is_held
from hub.outward.standing import FILE, Standing, ledgers_in, read_standing
from hub.outward.untold import Untold
from hub.outward.webhook import host_of
from hub.outward.wishes import read_wishes
from hub.ui.doctor.findings import Scene, Verdict, bad, good, weak
from hub.ui.rules.escalations import untold_steps

LONG_NS = 600_000_000_000
SECONDS = 3.0
_NOTIFY = "notify"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """How each ledger stands by its place in the data directory, and the time (wall ns).

    ``wanted`` are the places that settings speak of; ``idle`` those at which nobody works, with how long ago anything
    was written there (None: never); ``unreachable`` the webhooks of settings that nobody answers at, and why.
    """

    ledgers: Mapping[str, Standing]
    now: int
    wanted: Sequence[str]
    idle: Mapping[str, timedelta | None]
    untold: Sequence[Untold]
    unreachable: Mapping[str, str]


async def look(scene: Scene) -> Outgoing:
    """Read every ledger, and what people wish to be told; ConfigError for wishes that nobody can read."""
    unreachable = await _knock(scene.settings.forward)
    return await asyncio.to_thread(_read, scene.settings, scene.clock, unreachable)


def _read(settings: Settings, clock: Clock, unreachable: Mapping[str, str]) -> Outgoing:
    wishes = read_wishes(settings.notify.dir, settings.notify.urls)
    now, home = clock.wall_ns(), settings.data_dir
    wanted = [f"forward/{name}" for name in settings.forward] + ([_NOTIFY] if wishes.routes else [])
    ledgers = {str(place.relative_to(home)): read_standing(place, now) for place in ledgers_in(home)}
    places = dict.fromkeys([*wanted, *ledgers])
    return Outgoing(
        ledgers=ledgers,
        now=now,
        wanted=wanted,
        idle={name: _age(home / name, now) for name in places if not is_held(home / name)},
        untold=untold_steps(settings, wishes),
        unreachable=unreachable,
    )


def _age(place: Path, now: int) -> timedelta | None:
    """Return how long ago a ledger was written."""
    written = [path.stat().st_mtime_ns for path in (place / FILE, place / f"{FILE}-wal") if path.exists()]
    return timedelta(seconds=max(0, now - max(written)) // 1_000_000_000) if written else None


async def _knock(forward: Mapping[str, ForwardSettings]) -> Mapping[str, str]:
    async with asyncio.TaskGroup() as group:
        knocks = {
            f"forward/{name}": group.create_task(_unreachable(each.webhook.get_secret_value()), name=f"knock.{name}")
            for name, each in forward.items()
            if each.webhook.get_secret_value()
        }
    return {name: knock.result() for name, knock in knocks.items() if knock.result()}


async def _unreachable(url: str) -> str:
    """Return why nobody can be reached at a URL, empty when somebody can; nothing is asked there."""
    try:
        host = host_of(url)
    except ConfigError as error:
        return error.message
    parts = urlsplit(url)
    is_safe = parts.scheme == "https"
    try:
        async with asyncio.timeout(SECONDS):
            port = parts.port or (443 if is_safe else 80)
            _, writer = await asyncio.open_connection(host, port, ssl=is_safe or None)
    except TimeoutError:
        return f"{host} does not answer within {SECONDS:.0f} s"
    except OSError as error:
        return f"{host}: {getattr(error, 'strerror', '') or type(error).__name__}"
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return ""


def deliveries(seen: Outgoing) -> Verdict:
    """Whether everything gets out."""
    since = {name: min(each.waits_since.values(), default=seen.now) for name, each in seen.ledgers.items()}
    late = [name for name, moment in since.items() if seen.now - moment > LONG_NS]
    dead = {name: sum(each.dead.values()) for name, each in seen.ledgers.items() if each.dead}
    if late:
        return bad(f"{', '.join(late)}: waiting for more than {LONG_NS // 60_000_000_000} minutes")
    if dead:
        return weak(", ".join(f"{name}: {count} dead" for name, count in dead.items()))
    return good(f"{', '.join(seen.ledgers)}: nothing waits for long" if seen.ledgers else "nothing is sent elsewhere")


def at_work(seen: Outgoing) -> Verdict:
    """Whether somebody works at every ledger and at whatever the settings speak of."""
    told = {
        name: f"{name}: nobody works there, {'never' if age is None else f'{write_duration(age)} since'} written"
        for name, age in seen.idle.items()
    }
    if missing := [told[name] for name in seen.wanted if name in told]:
        return bad("; ".join(missing))
    return weak("; ".join(told.values())) if told else good(", ".join(seen.ledgers) or "nobody is to")


def reachable(seen: Outgoing) -> Verdict:
    """Whether somebody listens where the settings send events to."""
    if seen.unreachable:
        return weak("; ".join(f"{name}: {why}" for name, why in seen.unreachable.items()))
    return good("each webhook of the settings; those of command lines are not looked at")


def roles_told(seen: Outgoing) -> Verdict:
    """Whether each step of an escalation is told to somebody."""
    nobody = [each for each in seen.untold if not each.places]
    if nobody and _NOTIFY in seen.wanted:
        return bad(f"told to nobody: {_roles(nobody)}")
    others = [name for name in {**dict.fromkeys(seen.wanted), **seen.ledgers} if name != _NOTIFY]
    if nobody and others:
        return good(f"no routes: {', '.join(others)} alone is told of {_roles(nobody)}")
    if nobody:
        return weak(f"no routes: nobody is told of {_roles(nobody)}")
    return weak(f"told in some places only: {_roles(seen.untold)}") if seen.untold else good("each step has a route")


def _roles(steps: Iterable[Untold]) -> str:
    roles: dict[str, list[str]] = {}
    for each in steps:
        roles.setdefault(f"{each.role} {each.names['zh']}", []).append(each.rule)
    return "; ".join(f"{role} ({', '.join(dict.fromkeys(rules))})" for role, rules in roles.items())
