"""What leaves the house: what waits for a receiver for long, and what was given up."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from hub.clock import Clock
from hub.config import Settings
from hub.outward.ledger import FILE, Backlog, read_backlog
from hub.outward.wishes import read_wishes
from hub.ui.doctor.findings import Scene, Verdict, bad, good, weak

_PLACES = ("forward/*", "notify")
LONG_NS = 600_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """The backlog of each ledger by its place in the data directory, and the time (wall ns)."""

    backlogs: Mapping[str, Backlog]
    now: int


async def look(scene: Scene) -> Outgoing:
    """Read every ledger, and what people wish to be told; ConfigError for wishes that nobody can read."""
    return await asyncio.to_thread(_read, scene.settings, scene.clock)


def _read(settings: Settings, clock: Clock) -> Outgoing:
    read_wishes(settings.notify.dir, settings.notify.urls)
    now, home = clock.wall_ns(), settings.data_dir
    places = [path.parent for pattern in _PLACES for path in sorted(home.glob(f"{pattern}/{FILE}"))]
    return Outgoing(backlogs={str(place.relative_to(home)): read_backlog(place, now) for place in places}, now=now)


def deliveries(seen: Outgoing) -> Verdict:
    """Whether everything gets out."""
    late = [name for name, each in seen.backlogs.items() if each.waits_since and seen.now - each.waits_since > LONG_NS]
    dead = {name: each.dead for name, each in seen.backlogs.items() if each.dead}
    if late:
        return bad(f"{', '.join(late)}: waiting for more than {LONG_NS // 60_000_000_000} minutes")
    if dead:
        return weak(", ".join(f"{name}: {count} dead" for name, count in dead.items()))
    return good(f"{', '.join(seen.backlogs)}: nothing waits for long" if seen.backlogs else "nothing is sent elsewhere")
