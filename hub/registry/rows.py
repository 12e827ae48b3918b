"""Rows of the registry's tables, and the nouns that they are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from sqlalchemy import Column, ColumnElement, Row, Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.model.values import PlaceType, Scalar
from hub.registry import schema
from hub.registry.nouns import Device, DeviceState, Division, Entry, Geometry, Params, Place, SceneOff, Site, Source

Key = tuple[str, str]
PART = 500
"""How many rows become nouns at once: 5 ms."""
NAMED_AT_ONCE = 500
"""How many rows a query names; databases take 999 at least."""
_STATES = {state.value: state for state in DeviceState}


async def sites(connection: AsyncConnection) -> list[Site]:
    """Return all sites by id."""
    table = schema.places
    query = table.select().where(table.c.id == table.c.site).order_by(table.c.id)
    return [_site(row) for row in await connection.execute(query)]


async def homes(connection: AsyncConnection) -> dict[str, str]:
    """Return the partition of each site, as far as it has one, also where nothing else of its row can be read."""
    table = schema.places
    query = select(table.c.id, table.c.partition).where(table.c.id == table.c.site).order_by(table.c.id)
    return {site: partition for site, partition in await connection.execute(query) if partition}


async def divisions(connection: AsyncConnection) -> list[Division]:
    """Return what cities, streets and communities are called, by code."""
    query = schema.divisions.select().order_by(schema.divisions.c.code)
    return [Division(code=row.code, label=row.label) for row in await connection.execute(query)]


async def places_of(connection: AsyncConnection, sites: Collection[str]) -> list[Place]:
    """Return all places below these sites, by site and id."""
    table = schema.places
    found = await _in(connection, table, table.c.site, sorted(sites), table.c.type != PlaceType.SITE.value)
    return [_place(row) for row in found]


async def places(connection: AsyncConnection) -> list[Place]:
    """Return all places below sites, by site and id."""
    table = schema.places
    query = table.select().where(table.c.type != PlaceType.SITE.value).order_by(table.c.site, table.c.id)
    async with connection.stream(query) as found:
        return [_place(row) async for some in found.partitions(PART) for row in some]


async def place(connection: AsyncConnection, key: tuple[str, str]) -> Place | None:
    """Return one place, which may be a site's own."""
    table = schema.places
    query = table.select().where(table.c.site == key[0], table.c.id == key[1])
    found = (await connection.execute(query)).one_or_none()
    return None if found is None else _place(found)


async def sources(connection: AsyncConnection) -> list[Source]:
    """Return all foreign networks by id."""
    query = schema.sources.select().order_by(schema.sources.c.id)
    return [
        Source(id=row.id, network=row.network, partition=row.partition, params=row.params)
        for row in await connection.execute(query)
    ]


async def devices(connection: AsyncConnection) -> list[Device]:
    """Return all devices, by site and id."""
    query = schema.devices.select().order_by(schema.devices.c.site, schema.devices.c.id)
    async with connection.stream(query) as found:
        return [_device(row) async for some in found.partitions(PART) for row in some]


class Described(NamedTuple):
    """What the engine is told of a device, as a device says it; a place that is the site itself is not empty here.

    Of 100,000 devices nouns with everything that is known of them would take 0.2 s more.
    """

    site: str
    id: str
    kind: str
    profile: str
    place: str
    params: dict[str, Scalar]
    state: DeviceState
    source: str
    network_id: str


async def described_in_parts(connection: AsyncConnection) -> AsyncIterator[list[Described]]:
    """Yield all devices, by site and id, some at a time: a hundred thousand of them at once are 350 MB."""
    table = schema.devices
    query = select(*(table.c[name] for name in Described._fields)).order_by(table.c.site, table.c.id)
    async with connection.stream(query) as found:
        async for some in found.partitions(PART):
            yield [_described(row) for row in some]


async def some_devices(connection: AsyncConnection, keys: Collection[Key]) -> list[Device]:
    """Return those of these devices that there are, by site and id."""
    return [_device(row) for row in await _some(connection, schema.devices, keys)]


async def devices_beside(connection: AsyncConnection, devices: Sequence[Device]) -> list[Device]:
    """Return whom ``devices`` may be taken for, themselves among them, and what carries them; by site and id.

    Those of the same id, serial number or network id; of 100,000 others nothing is read.
    """
    table = schema.devices
    keys = {(device.site, name) for device in devices for name in (device.id, device.gateway) if name}
    serials = sorted({device.serial for device in devices if device.serial is not None})
    found = list(await _some(connection, table, keys))
    found += await _in(connection, table, table.c.serial, serials)
    for source in sorted({device.source for device in devices if device.source and device.source.isprintable()}):
        names = sorted({device.network_id for device in devices if device.source == source})
        found += await _in(connection, table, table.c.network_id, names, table.c.source == source)
    return [_device(row) for _, row in sorted({(row.site, row.id): row for row in found}.items())]


async def some_places(connection: AsyncConnection, keys: Collection[Key]) -> list[Place]:
    """Return those of these places that there are, by site and id; not the sites' own."""
    found = await _some(connection, schema.places, keys)
    return [_place(row) for row in found if row.type != PlaceType.SITE.value]


async def devices_at(connection: AsyncConnection, places: Collection[Key]) -> list[Key]:
    """Return who stands at these very places, by site and place."""
    return [(row.site, row.id) for row in await _some(connection, schema.devices, places, "place")]


async def places_in(connection: AsyncConnection, places: Collection[Key]) -> list[Key]:
    """Return which places these are around, and no other is between them."""
    return [(row.site, row.id) for row in await _some(connection, schema.places, places, "parent")]


async def _some(
    connection: AsyncConnection, table: Table, keys: Collection[Key], column: str = "id"
) -> list[Row[tuple[object, ...]]]:
    found: list[Row[tuple[object, ...]]] = []
    for site in sorted({site for site, _ in keys if site.isprintable()}):
        names = sorted(name for its, name in keys if its == site)
        found += await _in(connection, table, table.c[column], names, table.c.site == site)
    return found


async def _in(
    connection: AsyncConnection, table: Table, named: Column[Any], names: Sequence[str], *where: ColumnElement[bool]
) -> list[Row[tuple[object, ...]]]:
    """Return the rows in which a column is one of ``names``, so many at a time as a query may name.

    What is not printable is in none, and PostgreSQL would not even be asked for it.
    """
    found: list[Row[tuple[object, ...]]] = []
    names = [name for name in names if name.isprintable()]
    for start in range(0, len(names), NAMED_AT_ONCE):
        mine = *where, named.in_(names[start : start + NAMED_AT_ONCE])
        found += await connection.execute(table.select().where(*mine).order_by(named, table.c.id))
    return found


async def device(connection: AsyncConnection, key: tuple[str, str]) -> Device | None:
    """Return one device."""
    table = schema.devices
    found = (await connection.execute(table.select().where(table.c.site == key[0], table.c.id == key[1]))).one_or_none()
    return None if found is None else _device(found)


async def entries(connection: AsyncConnection) -> list[Entry]:
    """Return what stands on lists, by site, list and value."""
    table = schema.entries
    query = table.select().order_by(table.c.site, table.c.list, table.c.value, table.c.place)
    return [Entry(**row) for row in (await connection.execute(query)).mappings()]


async def params(connection: AsyncConnection) -> list[Params]:
    """Return the parameters of rules, by rule and what they are for."""
    table = schema.params
    query = table.select().order_by(*table.primary_key)
    return [Params(**row) for row in (await connection.execute(query)).mappings()]


async def scenes_off(connection: AsyncConnection) -> list[SceneOff]:
    """Return which scenes are switched off, by site and scene."""
    table = schema.scenes_off
    query = table.select().order_by(*table.primary_key)
    return [SceneOff(**row) for row in (await connection.execute(query)).mappings()]


async def some_place_keys(connection: AsyncConnection, keys: Collection[Key]) -> set[Key]:
    """Return those of these (site, id) that there are, sites included."""
    return {(row.site, row.id) for row in await _some(connection, schema.places, keys)}


def _site(row: Row[tuple[object, ...]]) -> Site:
    # One of no partition would be nobody's: its hub would forget its devices, and end their alarms.
    if row.type != PlaceType.SITE.value or not (row.zone and row.partition):
        message = f"site {row.id!r} has no zone, no partition or another type"
        raise ValueError(message)
    return Site(id=row.id, zone=row.zone, partition=row.partition, code=row.code, label=row.label, facts=row.facts)


def _place(row: Row[tuple[object, ...]]) -> Place:
    # A parent that is the site itself is empty in the noun, so that a site has one name only.
    parent = "" if row.parent in {None, row.site} else row.parent
    return Place(
        site=row.site,
        id=row.id,
        type=PlaceType(row.type),
        parent=parent,
        code=row.code,
        geometry=Geometry(**row.geometry),
        label=row.label,
        facts=row.facts,
        consents=row.consents,
    )


def site_values(site: Site) -> dict[str, object]:
    """Return the row of a site."""
    return {
        "site": site.id,
        "id": site.id,
        "type": PlaceType.SITE.value,
        "zone": site.zone,
        "partition": site.partition,
        "code": site.code,
        "label": site.label,
        "facts": site.facts,
    }


def place_values(place: Place) -> dict[str, object]:
    """Return the row of a place."""
    return {
        "site": place.site,
        "id": place.id,
        "parent": place.parent or place.site,
        "type": place.type.value,
        "code": place.code,
        "geometry": {name: value for name, value in asdict(place.geometry).items() if value is not None},
        "label": place.label,
        "facts": place.facts,
        "consents": place.consents,
    }


def _device(row: Sequence[Any]) -> Device:
    # In the order of the table: a row looks each name up, which is a third of reading 100,000 devices.
    site, name, kind, profile, place, params, serial, state, user, source, network_id, gateway, tags = row
    return Device(
        site=site,
        id=name,
        kind=kind,
        profile=profile,
        place="" if place == site else place,
        params=params,
        serial=serial,
        state=_STATES[state],
        user=user,
        source=source or "",
        network_id=network_id or "",
        gateway=gateway,
        tags=tuple(tags),
    )


def _described(row: Sequence[Any]) -> Described:
    site, name, kind, profile, place, params, state, source, network_id = row
    return Described(site, name, kind, profile, place, params, _STATES[state], source or "", network_id or "")


def device_values(device: Device) -> dict[str, object]:
    """Return the row of a device."""
    return {
        "site": device.site,
        "id": device.id,
        "kind": device.kind,
        "profile": device.profile,
        "place": device.place or device.site,
        "params": device.params,
        "serial": device.serial,
        "state": device.state.value,
        "user": device.user,
        "source": device.source or None,
        "network_id": device.network_id or None,
        "gateway": device.gateway,
        "tags": list(device.tags),
    }
