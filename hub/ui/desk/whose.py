"""Whose a site is: the desk of the partition that it lies in, for commands that ask its hub or read its files."""

from __future__ import annotations

from hub.errors import ConfigError
from hub.partitions import partitions_of
from hub.registry.registry import Registry
from hub.ui.desk.desk import Desk


async def desk_for(desk: Desk, site: str) -> Desk:
    """Return the desk of the partition of ``site``; where one partition is meant it is that one, and nobody asks.

    ConfigError ``site_unknown``, and ``partition_unknown`` for a partition that another machine runs. What is of no
    site leaves the choice open.
    """
    if len(partitions_of(desk.settings)) == 1 or not site:
        return desk
    async with desk.registry() as registry:
        return desk.at(await partition_of(registry, site))


async def partition_of(registry: Registry, site: str) -> str:
    """Return the partition of a site; ConfigError ``site_unknown``."""
    found = {each.id: each.partition for each in await registry.sites()}
    if site not in found:
        raise ConfigError("site_unknown", f"there is no site {site!r}", hint="`hub sites list` shows them")
    return found[site]
