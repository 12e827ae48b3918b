"""``hub sites remove``: a community whose contract has ended, forgotten with all that is registered of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated, NamedTuple

import msgspec
import typer

from hub.commands.life import Lease
from hub.config.settings import Settings
from hub.errors import ConfigError
from hub.journal.files import read_rows
from hub.journal.neighbours import state_path
from hub.partitions import partitions_of, settings_of
from hub.registry.registry import Registry
from hub.registry.removal import Belongings, belongings, remove_site
from hub.sinks.stream_readers import read_alarms, read_twins
from hub.ui.cli.broker import bring_in_step
from hub.ui.desk.desk import AsJson, Desk, desk_of
from hub.ui.printing import say_done, say_json, say_table

_WORDS = {
    "devices": "devices / 设备",
    "params": "parameters of rules / 规则参数",
    "list_entries": "entries of lists / 名单条目",
    "scenes_off": "scenes that are off / 已停用场景",
    "places": "places, its own among them / 地点",
    "links": "links of codes with its places, devices and households / 关联码",
    "owners": "who can come in to the broker no more / 接入凭据",
    "alarms": "open alarms that end / 未结束的报警",
    "holds": "holds that are released / 保持中的动作",
    "desired": "values desired of devices / 期望值",
}


class _Going(NamedTuple):
    """What is registered of a site, and what is going on there, by the names of ``_WORDS``."""

    site: str
    registered: Mapping[str, int]
    going_on: Mapping[str, int]


def remove(
    context: typer.Context,
    site: str,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would go.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Also with devices, open alarms or holds: those end.")] = False,
    as_json: AsJson = False,
) -> None:
    """Forget a site whose contract is over: places, devices, what lets them in, lists, parameters and links of codes.

    The hub of its partition takes it up within 6 seconds: its alarms end, its holds are released, twins and desired
    values go. History stays: series, events, the audit, and the journal as long as it keeps. JSON: how many of each.
    """
    desk = desk_of(context)
    if dry_run or not yes:
        found = asyncio.run(_look(desk, site))
        if dry_run:
            _show(found, as_json=as_json)
            return
        _refuse(found)
    gone = desk.in_registry(lambda registry: _remove(desk, registry, site))
    counts = gone.counts
    said = f"removed {site} with {counts['devices']} devices and {counts['places'] - 1} places / 已移除"
    say_done(said, {"site": site, "dry_run": False, "registered": counts}, as_json=as_json)


def _show(found: _Going, *, as_json: bool) -> None:
    if as_json:
        say_json({**found._asdict(), "dry_run": True})
        return
    counts = {**found.registered, **found.going_on}
    say_table(("what would go / 将移除", "how many"), ((_WORDS[name], str(count)) for name, count in counts.items()))


def _refuse(found: _Going) -> None:
    """ConfigError ``site_in_use`` where more goes than one could take back by adding the site again."""
    counts = {"devices": found.registered["devices"], **found.going_on}
    used = [f"{count} {name}" for name, count in counts.items() if count]
    if used:
        hint = f"`hub sites remove {found.site} --dry-run` shows all that would go; --yes ends and removes it"
        raise ConfigError("site_in_use", f"site {found.site!r} has {', '.join(used)}", hint=hint)


async def _look(desk: Desk, site: str) -> _Going:
    async with desk.registry() as registry:
        found = await belongings(registry, site)
    async with desk.redis() as link:
        alarms, twins = await read_alarms(link, [site]), await read_twins(link, site)
    desired = sum(len(twin.desired) for twin in twins)
    holds = _holds(desk.settings, found)
    return _Going(site, found.counts, {"alarms": len(alarms), "holds": holds, "desired": desired})


def _holds(settings: Settings, found: Belongings) -> int:
    """Return how many holds the last checkpoint has at a site; those of another machine's partition nobody sees."""
    if found.site.partition not in partitions_of(settings):
        return 0
    path = state_path(settings_of(settings, found.site.partition).files_dir)
    rows = read_rows(path, "SELECT body FROM entries WHERE key LIKE 'lease/%'") if path.exists() else []
    return sum(msgspec.msgpack.decode(body, type=Lease).site == found.site.id for (body,) in rows)


async def _remove(desk: Desk, registry: Registry, site: str) -> Belongings:
    gone = await remove_site(registry, site)
    await bring_in_step(desk, registry)
    return gone
