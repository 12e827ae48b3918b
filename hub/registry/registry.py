"""The registry: sites, places, sources and devices, each change a transaction, a revision and a line of the audit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import ConfigError
from hub.registry import addresses, audit, documents, logins, rows, schema, validation
from hub.registry.database import Database
from hub.registry.nouns import Device, DeviceState, Division, Place, Site, Source

REGISTRY_ANSWER_SECONDS = 30.0
"""What a process that works for years waits; a first start with 100,000 devices takes 5 s in all."""


class Snapshot(NamedTuple):
    """What there is at a revision, as documents; ``line`` is the last one of a revision in the audit then."""

    revision: int
    documents: dict[str, bytes]
    line: int


class Registry(Database):
    """The registry at a SQLAlchemy ``url`` (``sqlite+aiosqlite:///path``, or a server's), for an ``async with``.

    Every writing method is one transaction: all of it and the next revision, or nothing and a ConfigError.
    """

    # ------------------------------------------------------------------------------------------------- changes

    async def add_site(self, site: Site) -> None:
        """Add a site; its partition and time zone stay what they are."""
        validation.refuse("site_invalid", validation.site_problems(site))
        async with self.change() as change:
            if site.id in {known.id for known in await rows.sites(change.connection)}:
                raise ConfigError("site_exists", f"site {site.id!r} exists already")
            await change.connection.execute(schema.places.insert(), [rows.site_values(site)])
            change.changed("site.added", f"site/{site.id}", None, site)

    async def set_site_code(self, site: str, code: str) -> None:
        """Say which community of the statistics bureau a site is; ConfigError ``site_unknown``, ``site_invalid``."""
        async with self.change() as change:
            known = {each.id: each for each in await rows.sites(change.connection)}
            if site not in known:
                raise ConfigError("site_unknown", f"there is no site {site!r}")
            new = replace(known[site], code=code)
            tree = {(place.site, place.id): place for place in await rows.places_of(change.connection, [site])}
            wrong = [text for _, text in addresses.code_problems({site: code}, tree)]
            validation.refuse("site_invalid", [*validation.site_problems(new), *wrong])
            table = schema.places
            mine = table.update().where(table.c.site == site, table.c.id == site)
            await change.connection.execute(mine.values(code=code))
            change.changed("site.changed", f"site/{site}", known[site], new)

    async def set_division(self, division: Division) -> None:
        """Say what a city, street or community is called; ConfigError ``division_invalid``."""
        validation.refuse("division_invalid", addresses.division_problems(division))
        async with self.change() as change:
            known = {each.code: each for each in await rows.divisions(change.connection)}
            table = schema.divisions
            await change.connection.execute(table.delete().where(table.c.code == division.code))
            await change.connection.execute(table.insert(), [asdict(division)])
            change.changed("division.set", f"division/{division.code}", known.get(division.code), division)

    async def add_places(self, places: Sequence[Place]) -> None:
        """Add all of ``places``, or none; parents before their children."""
        if not places:
            return
        async with self.change() as change:
            named = {(place.site, name) for place in places for name in (place.id, place.parent or place.site)}
            known = await rows.some_place_keys(change.connection, named)
            validation.refuse("place_invalid", validation.place_problems(places, known))
            wrong = await wrong_codes(change.connection, places)
            validation.refuse("place_invalid", [text for _, text in wrong])
            await change.connection.execute(schema.places.insert(), [rows.place_values(place) for place in places])
            for place in places:
                change.changed("place.added", subject_of(place), None, place)

    async def add_source(self, source: Source) -> None:
        """Add a foreign network; its partition stays what it is."""
        validation.refuse("source_invalid", validation.source_problems(source))
        async with self.change() as change:
            if source.id in {known.id for known in await rows.sources(change.connection)}:
                raise ConfigError("source_exists", f"source {source.id!r} exists already")
            await change.connection.execute(schema.sources.insert(), [asdict(source)])
            change.changed("source.added", f"source/{source.id}", None, source)

    async def remove_source(self, source: str) -> None:
        """Forget a foreign network that no device is of any more; ConfigError ``source_unknown``, ``source_used``."""
        async with self.change() as change:
            table = schema.devices
            query = select(func.count(), func.min(table.c.id)).where(table.c.source == source)
            users, one = (await change.connection.execute(query)).one()
            if users:
                raise ConfigError("source_used", f"{users} devices are of source {source!r}, such as {one!r}")
            known = {each.id: each for each in await rows.sources(change.connection)}
            if source not in known:
                raise ConfigError("source_unknown", f"there is no source {source!r}")
            await change.connection.execute(schema.sources.delete().where(schema.sources.c.id == source))
            await logins.forget(change.connection, logins.owner_of_source(source), self.now())
            change.changed("source.removed", f"source/{source}", known[source], None)

    async def add_devices(self, devices: Sequence[Device]) -> None:
        """Add all of ``devices``, or none."""
        if not devices:
            return
        async with self.change() as change:
            beside = await rows.devices_beside(change.connection, devices)
            validation.refuse("device_invalid", await device_problems(change.connection, devices, beside))
            await change.connection.execute(schema.devices.insert(), [rows.device_values(device) for device in devices])
            for device in devices:
                change.changed("device.added", subject_of(device), None, device)

    async def set_device_state(self, site: str, device: str, state: DeviceState) -> None:
        """Move a device on in its life; ConfigError ``device_unknown``, ``device_state_invalid``."""
        async with self.change() as change:
            old = await _one(change.connection, site, device)
            validation.refuse("device_state_invalid", validation.state_problems(old, state))
            table = schema.devices
            mine = table.update().where(table.c.site == site, table.c.id == device)
            await change.connection.execute(mine.values(state=state.value))
            change.changed(f"device.{state}", subject_of(old), old, replace(old, state=state))

    async def remove_device(self, site: str, device: str) -> None:
        """Forget a device; ConfigError ``device_unknown``."""
        async with self.change() as change:
            old = await _one(change.connection, site, device)
            table = schema.devices
            await change.connection.execute(table.delete().where(table.c.site == site, table.c.id == device))
            change.changed("device.removed", subject_of(old), old, None)
            owner = logins.owner_of(old)
            is_last = not await logins.carried(change.connection, [owner])
            # Whoever is registered under that name later is somebody else.
            if is_last and await logins.forget(change.connection, owner, self.now()):
                change.note("credential.revoked", f"credential/{owner}", reason="device removed")

    # --------------------------------------------------------------------------------------------------- reads

    async def sites(self) -> list[Site]:
        """Return all sites by id."""
        async with self.transaction() as connection:
            return await rows.sites(connection)

    async def partitions(self) -> frozenset[str]:
        """Return the partitions that have sites."""
        return frozenset(site.partition for site in await self.sites())

    async def homes(self) -> dict[str, str]:
        """Return the partition of each site, as far as it has one, also where nothing else of its row can be read."""
        async with self.transaction() as connection:
            return await rows.homes(connection)

    async def divisions(self) -> list[Division]:
        """Return what cities, streets and communities are called, by code."""
        async with self.transaction() as connection:
            return await rows.divisions(connection)

    async def places(self) -> list[Place]:
        """Return all places below sites, by site and id."""
        async with self.transaction() as connection:
            return await rows.places(connection)

    async def sources(self) -> list[Source]:
        """Return all foreign networks by id."""
        async with self.transaction() as connection:
            return await rows.sources(connection)

    async def devices(self) -> list[Device]:
        """Return all devices, by site and id, disabled ones included."""
        async with self.transaction() as connection:
            return await rows.devices(connection)

    async def snapshot(self, partition: str | None = None) -> Snapshot:
        """Return the revision and, of that very moment, the documents of one partition (of all with None)."""
        async with self.transaction() as connection:
            revision = int((await connection.execute(select(schema.state.c.revision))).scalar_one())
            line = await audit.last_line(connection)
            sites = [site for site in await rows.sites(connection) if partition in {None, site.partition}]
            mine = {site.id for site in sites}
            places = [place for place in await rows.places(connection) if place.site in mine]
            sources = [source for source in await rows.sources(connection) if partition in {None, source.partition}]
            entries, params = await rows.entries(connection), await rows.params(connection)
            off = await rows.scenes_off(connection)
            bodies = documents.documents(sites, (), (), sources)
            zones, tree = documents.zones_of(sites), documents.tree_of(places)
            for start in range(0, len(places), rows.PART):
                bodies |= documents.of_places(zones, tree, places[start : start + rows.PART])
                await self._clock.sleep(0)
            async for some in rows.described_in_parts(connection):
                devices = [device for device in some if device.site in mine]
                bodies |= documents.of_devices(zones, tree, devices)
        bodies |= dict(documents.switches(sites, off))
        bodies |= documents.circumstances(sites, entries, params)
        return Snapshot(revision, bodies, line)

    async def documents(self, partition: str | None = None) -> dict[str, bytes]:
        """Return the documents of :meth:`snapshot`."""
        return (await self.snapshot(partition)).documents


async def wrong_codes(connection: AsyncConnection, places: Sequence[Place]) -> list[tuple[validation.Key, str]]:
    """Return (site and id, what is wrong) with the address codes once ``places`` are there or changed."""
    touched = {place.site for place in places}
    codes = {site.id: site.code for site in await rows.sites(connection) if site.id in touched}
    beside = await rows.places_of(connection, touched)
    return [*addresses.code_problems(codes, {(place.site, place.id): place for place in [*beside, *places]})]


async def device_problems(
    connection: AsyncConnection, devices: Sequence[Device], beside: Sequence[Device]
) -> list[validation.Problem]:
    """Return what is wrong with ``devices`` beside others, which :func:`rows.devices_beside` found."""
    own = validation.device_problems(
        devices,
        {(device.site, device.id) for device in beside},
        await rows.some_place_keys(connection, {(device.site, device.place or device.site) for device in devices}),
        {device.serial for device in beside if device.serial is not None},
    )
    foreign = validation.network_id_problems(
        devices,
        {(device.source, device.network_id) for device in beside if device.source},
        {source.id: source for source in await rows.sources(connection)},
        {site.id: site.partition for site in await rows.sites(connection)},
    )
    hubs = {login.user for login in await logins.hub_logins(connection)}
    taken = [
        (index, f"device {device.id!r} has the user {device.user!r}, which is the hub's own")
        for index, device in enumerate(devices)
        if device.user in hubs
    ]
    return [*own, *foreign, *taken]


def subject_of(noun: Place | Device) -> str:
    """Return what the audit calls a place or a device."""
    return f"{'device' if isinstance(noun, Device) else 'place'}/{noun.site}/{noun.id}"


async def _one(connection: AsyncConnection, site: str, device: str) -> Device:
    found = await rows.device(connection, (site, device))
    if found is None:
        raise ConfigError("device_unknown", f"site {site!r} has no device {device!r}", hint="hub devices list")
    return found
