"""Scenes of sites: which are switched off, since when and why; each switch one transaction with its parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.registry import rows, schema
from hub.registry.audit import REASON_SIZE
from hub.registry.circumstances import put_params
from hub.registry.nouns import Params, SceneOff
from hub.registry.registry import Registry
from hub.registry.validation import IDENTIFIER, Problem, refuse
from hub.veil import masked_plates


async def read_scenes_off(registry: Registry) -> list[SceneOff]:
    """Return what is switched off, by site and scene; everything else is on."""
    async with registry.transaction() as connection:
        return await rows.scenes_off(connection)


async def switch_on(registry: Registry, site: str, scene: str, params: Sequence[Params]) -> bool:
    """Switch a scene on at a site, and say what ``params`` of its rules are; return whether that changed anything."""
    async with registry.change() as change:
        change.may_be_none = True
        off = await _known(change.connection, site, scene)
        if off is not None:
            table = schema.scenes_off
            await change.connection.execute(table.delete().where(table.c.site == site, table.c.scene == scene))
            change.note("scene.enabled", _subject(site, scene), _told(off), None)
        known = {_scope(each): each.values for each in await rows.params(change.connection)}
        for each in params:
            if each.values.items() - known.get(_scope(each), {}).items():
                await put_params(change, each)
        return bool(change.notes)


async def switch_off(registry: Registry, site: str, scene: str, reason: str) -> bool:
    """Switch a scene off at a site; return False for one that is off already, which keeps its reason."""
    async with registry.change() as change:
        change.may_be_none = True
        if await _known(change.connection, site, scene) is not None:
            return False
        off = SceneOff(site=site, scene=scene, reason=masked_plates(reason), since=registry.now())
        refuse("scene_invalid", _wrong(off))
        await change.connection.execute(schema.scenes_off.insert(), [asdict(off)])
        change.note("scene.disabled", _subject(site, scene), None, _told(off), reason)
        return True


async def _known(connection: AsyncConnection, site: str, scene: str) -> SceneOff | None:
    """Return the switch of a scene, where it is off; ConfigError ``scene_invalid`` where there is no such site."""
    known = {each.id for each in await rows.sites(connection)}
    refuse("scene_invalid", [] if site in known else [f"there is no site {site!r}"])
    found = {(each.site, each.scene): each for each in await rows.scenes_off(connection)}
    return found.get((site, scene))


def _wrong(off: SceneOff) -> list[str | Problem]:
    wrong: list[str | Problem] = []
    if not IDENTIFIER.fullmatch(off.scene):
        wrong.append(f"scene {off.scene!r} is not 1 to 64 of A-Z a-z 0-9 . _ -")
    if len(off.reason) > REASON_SIZE or not (off.reason == "" or off.reason.isprintable()):
        wrong.append(f"a reason is up to {REASON_SIZE} printable characters")
    return wrong


def _scope(params: Params) -> tuple[str, ...]:
    return params.rule, params.profile, params.site, params.place, params.device


def _subject(site: str, scene: str) -> str:
    return f"scene/{site}/{scene}"


def _told(off: SceneOff) -> dict[str, object]:
    return {"reason": off.reason, "since": off.since}
