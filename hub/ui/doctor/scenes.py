"""Scenes that are switched off: where nobody is told of what keeps people alive, since when and why."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from hub.registry import rows, upgrading
from hub.registry.nouns import SceneOff
from hub.ui.doctor.findings import Scene, Verdict, good, unseen, weak
from hub.ui.doctor.own import opened
from hub.ui.scenes.shelf import read_shelf
from hub.ui.words import moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """What is off, None where the registry is not of this version; and the names of scenes that keep people alive."""

    off: Sequence[SceneOff] | None
    of_life: frozenset[str]


async def look(scene: Scene) -> Switches:
    """Ask the registry, and read the scenes; UnavailableError, CorruptError or ConfigError."""
    shelf = await asyncio.to_thread(read_shelf, scene.settings)
    of_life = frozenset(name for name, each in shelf.scenes.items() if each.life_safety)
    async with opened(scene.settings) as connection:
        if connection is None:
            return Switches(off=(), of_life=of_life)
        if await connection.run_sync(upgrading.version) != upgrading.HEAD:
            return Switches(off=None, of_life=of_life)
        return Switches(off=await rows.scenes_off(connection), of_life=of_life)


def all_on(seen: Switches) -> Verdict:
    """Whether what keeps people alive is judged at every site."""
    if seen.off is None:
        return unseen("see registry_version")
    grave = [each for each in seen.off if each.scene in seen.of_life]
    if grave:
        return weak("; ".join(f"{_where(each)} since {moment(each.since)}: {each.reason}" for each in grave))
    return good(f"off: {', '.join(map(_where, seen.off))}" if seen.off else "every scene is on at every site")


def _where(off: SceneOff) -> str:
    return f"{off.scene} at {off.site}"
