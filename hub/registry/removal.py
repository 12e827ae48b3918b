"""A site that goes: what is of it, and all of that forgotten in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import ConfigError
from hub.registry import codes, logins, rows, schema
from hub.registry.code_kinds import Link
from hub.registry.nouns import Site
from hub.registry.registry import Registry

_TABLES = (schema.devices, schema.params, schema.entries, schema.scenes_off, schema.places)
"""What has a column ``site``; places last, for devices stand there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Belongings:
    """What is of a ``site``: ``rows`` by table, its own among the places; ``owners`` carry nobody else's devices.

    ``links`` are those of its places and devices, and of households that live nowhere else. What holds at every site,
    and the sources that its devices are in, are not among it.
    """

    site: Site
    rows: dict[str, int]
    links: Sequence[Link]
    owners: Sequence[str]

    @property
    def counts(self) -> dict[str, int]:
        """How many of each."""
        return {**self.rows, "links": len(self.links), "owners": len(self.owners)}


async def belongings(registry: Registry, site: str) -> Belongings:
    """Return what :func:`remove_site` would forget; ConfigError ``site_unknown``."""
    async with registry.transaction() as connection:
        return await _belongings(connection, site)


async def remove_site(registry: Registry, site: str) -> Belongings:
    """Forget a site, all that is of it and what lets its devices in; ConfigError ``site_unknown``.

    The audit tells it in one line, which hubs cannot follow: they compare everything.
    """
    async with registry.change() as change:
        gone = await _belongings(change.connection, site)
        await codes.remove_links(change, gone.links)
        for table in _TABLES:
            await change.connection.execute(table.delete().where(table.c.site == site))
        change.note("site.removed", f"site/{site}", before={**asdict(gone.site), "with": gone.counts})
        for owner in gone.owners:
            if await logins.forget(change.connection, owner, registry.now()):
                change.note("credential.revoked", f"credential/{owner}", reason="site removed")
    return gone


async def _belongings(connection: AsyncConnection, site: str) -> Belongings:
    known = {each.id: each for each in await rows.sites(connection)}
    if site not in known:
        raise ConfigError("site_unknown", f"there is no site {site!r}", hint="`hub sites list` shows them")
    counts: dict[str, int] = {}
    for table in _TABLES:
        query = select(func.count()).select_from(table).where(table.c.site == site)
        counts[str(table.name)] = int((await connection.execute(query)).scalar_one())
    carried = await logins.carried(connection)
    owners = {each.owner for each in carried} - {each.owner for each in carried if each.key[0] != site}
    links = await codes.links_of(connection, site)
    return Belongings(site=known[site], rows=counts, links=links, owners=sorted(owners))
