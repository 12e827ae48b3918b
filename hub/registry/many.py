"""Many at once: devices and places of a file, all of them or none, new ones and those that are there already."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import bindparam
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.model.values import Scalar, exactly
from hub.registry import rows, schema, validation
from hub.registry.audit import Change
from hub.registry.nouns import Device, Place
from hub.registry.registry import Registry, device_problems, subject_of, wrong_codes
from hub.registry.validation import Key, Problem, refuse

Noun = Device | Place
ROWS_A_TIME = 500


def _unseen(_rows: int) -> None:
    """Take how many rows were written, for those who need not know."""


def key_of(noun: Noun) -> Key:
    """Return what is never changed: a noun with the same key is the same one."""
    return noun.site, noun.id


async def wrong_devices(registry: Registry, devices: Sequence[Device]) -> list[Problem]:
    """Return what :func:`put_devices` would refuse."""
    async with registry.transaction() as connection:
        return await _wrong_devices(connection, devices)


async def put_devices(registry: Registry, devices: Sequence[Device], written: Callable[[int], None] = _unseen) -> None:
    """Add the new ones and change the others, all or none; ConfigError ``device_invalid``. Tells how many it wrote."""
    if not devices:
        return
    async with registry.change() as change:
        connection, table = change.connection, schema.devices
        refuse("device_invalid", await _wrong_devices(connection, devices))
        known = {key_of(device): device for device in await rows.devices_beside(connection, devices)}
        # Gone first: two of them may have changed their serials with each other.
        old = table.delete().where(table.c.site == bindparam("its_site"), table.c.id == bindparam("its_id"))
        await connection.execute(old, [{"its_site": device.site, "its_id": device.id} for device in devices])
        for begin in range(0, len(devices), ROWS_A_TIME):
            some = devices[begin : begin + ROWS_A_TIME]
            await connection.execute(table.insert(), [rows.device_values(device) for device in some])
            written(len(some))
        change.may_be_none = True
        for device in devices:
            _note(change, "device", known.get(key_of(device)), device)


async def wrong_places(registry: Registry, places: Sequence[Place]) -> list[Problem]:
    """Return what :func:`put_places` would refuse."""
    async with registry.transaction() as connection:
        return await _wrong_places(connection, places)


async def put_places(registry: Registry, places: Sequence[Place], written: Callable[[int], None] = _unseen) -> None:
    """Add the new ones and change the others, in whatever order, all or none; ConfigError ``place_invalid``.

    Tells how many it wrote.
    """
    if not places:
        return
    async with registry.change() as change:
        connection, table = change.connection, schema.places
        refuse("place_invalid", await _wrong_places(connection, places))
        known = {key_of(place): place for place in await rows.some_places(connection, [*map(key_of, places)])}
        ordered = [place for _, place in _parents_first(places, {key_of(place): place for place in places})]
        new = [rows.place_values(place) for place in ordered if key_of(place) not in known]
        for begin in range(0, len(new), ROWS_A_TIME):
            some = new[begin : begin + ROWS_A_TIME]
            await connection.execute(table.insert(), some)
            written(len(some))
        change.may_be_none = True
        for place in ordered:
            if key_of(place) in known:
                mine = table.update().where(table.c.site == place.site, table.c.id == place.id)
                await connection.execute(mine.values(rows.place_values(place)))
                written(1)
            _note(change, "place", known.get(key_of(place)), place)


def is_another(old: Noun | None, new: Noun) -> bool:
    """Return whether a noun is not what it was, also where Python takes what was and what is for equal."""
    return old != new or exactly(_said_of(old)) != exactly(_said_of(new))


def _said_of(noun: Noun) -> Mapping[str, Scalar]:
    return noun.params if isinstance(noun, Device) else noun.facts


def _note(change: Change, what: str, old: Noun | None, new: Noun) -> None:
    if is_another(old, new):
        change.changed(f"{what}.{'added' if old is None else 'changed'}", subject_of(new), old, new)


async def _wrong_devices(connection: AsyncConnection, devices: Sequence[Device]) -> list[Problem]:
    known = {key_of(device): device for device in await rows.devices_beside(connection, devices)}
    mine = {key_of(device) for device in devices}
    found = await device_problems(connection, devices, [known[key] for key in known if key not in mine])
    for index, device in enumerate(devices):
        old = known.get(key_of(device))
        if old is not None and old.state is not device.state:
            found += [(index, text) for text in validation.state_problems(old, device.state)]
    return found


async def _wrong_places(connection: AsyncConnection, places: Sequence[Place]) -> list[Problem]:
    mine = {key_of(place): place for place in places}
    sites = {place.site for place in places}
    tree = {key_of(place): place for place in await rows.places_of(connection, sites)}
    beside = (tree.keys() | await rows.some_place_keys(connection, {(site, site) for site in sites})) - mine.keys()
    tree |= mine
    ordered = _parents_first(places, tree)
    found = validation.place_problems([place for _, place in ordered], beside)
    loops = [
        (index, f"place {place.id!r} is below itself") for index, place in enumerate(places) if _loops(place, tree)
    ]
    if loops:
        return loops
    first = {key_of(place): index for index, place in reversed([*enumerate(places)])}
    codes = [(_blamed(key, tree, first), text) for key, text in await wrong_codes(connection, places)]
    return [*((ordered[index][0], text) for index, text in found), *codes]


def _blamed(key: Key, tree: Mapping[Key, Place], first: Mapping[Key, int]) -> int:
    """Return which of the places in hand made the code of ``key`` wrong: itself, or the nearest around it."""
    while key not in first and key in tree:
        key = key[0], tree[key].parent
    return first.get(key, 0)


def _parents_first(places: Sequence[Place], tree: Mapping[Key, Place]) -> list[tuple[int, Place]]:
    """Return (index, place), parents before their children."""
    return sorted(enumerate(places), key=lambda each: (_depth(each[1], tree), each[0]))


def _depth(place: Place, tree: Mapping[Key, Place]) -> int:
    depth, here = 0, tree.get((place.site, place.parent))
    while here is not None and depth <= len(tree):
        depth, here = depth + 1, tree.get((here.site, here.parent))
    return depth


def _loops(place: Place, tree: Mapping[Key, Place]) -> bool:
    return _depth(place, tree) > len(tree)
