"""What leaves the house: what waits for a receiver for long, and what was given up."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from hub.clock import Clock
from hub.config import Settings
from hub.outward.standing import Standing, ledgers_in, read_standing
from hub.outward.wishes import read_wishes
from hub.ui.doctor.findings import Scene, Verdict, bad, good, weak

LONG_NS = 600_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """How each ledger stands by its place in the data directory, and the time (wall ns)."""

    ledgers: Mapping[str, Standing]
    now: int


async def look(scene: Scene) -> Outgoing:
    """Read every ledger, and what people wish to be told; ConfigError for wishes that nobody can read."""
    return await asyncio.to_thread(_read, scene.settings, scene.clock)


def _read(settings: Settings, clock: Clock) -> Outgoing:
    read_wishes(settings.notify.dir, settings.notify.urls)
    now, home = clock.wall_ns(), settings.data_dir
    return Outgoing(
        ledgers={str(place.relative_to(home)): read_standing(place, now) for place in ledgers_in(home)}, now=now
    )


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
