"""What has changed since a revision, as the audit tells: the documents of that alone, where it can be told apart."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.registry import documents, rows, schema
from hub.registry.nouns import Place, Site
from hub.registry.registry import Registry, Snapshot
from hub.registry.validation import Key

MOST = 250
"""Lines that are followed at once, 10 ms; what is behind them is a revision of its own.

One that the engine cannot work with holds up what is behind it, and nothing that is before it.
"""
MOST_BELOW = 1_000
"""Devices and places of which the building may be another one: of more than so many everything is read."""
_NO_DOCUMENT = ("certificate.", "code.", "credential.", "division.", "hub_logins.")
"""Changes of what the engine knows nothing of."""
_NO_LOGIN = ("code.", "division.", "fact.", "list.", "params.", "place.", "scene.")
"""Changes by which nobody comes in who did not, and all others do: visitors are put on lists all day."""
_WHOLE_NOUNS = {"list": "list", "params": "params", "scene": "off"}
"""By the noun of an audit line's subject: the noun of which all documents are compared, for they are few."""
_OWN_DOCUMENT = frozenset({"label", "facts", "code", "geometry", "consents"})
"""What of a place is in no document but its own."""
_ONE = re.compile(r"(device|place)/([A-Za-z0-9._-]+)/([A-Za-z0-9._-]+)")


Line = Row[Any]
One = tuple[str, str, str]
"""Noun, site and name of a device or place."""


class Changes(NamedTuple):
    """The ``documents`` there are now of what may have changed: of these ``keys``, and all of these ``nouns``.

    ``revision`` is that up to which nothing else has changed, ``line`` the last line of the audit that was followed.
    """

    revision: int
    line: int
    documents: Mapping[str, bytes]
    keys: frozenset[str]
    nouns: frozenset[str]


async def changes_since(registry: Registry, known: Snapshot, partition: str) -> Changes | None:
    """Return what has changed of a partition since ``known``; None where that is told by comparing everything."""
    async with registry.transaction() as connection:
        lines = await _lines(connection, known.line)
        found = lines[:MOST]
        if not found or not _are_whole(known.revision, found):
            return None
        told = [line for line in found if not line.what.startswith(_NO_DOCUMENT)]
        if not all(map(_can_be_followed, told)):
            return None
        named = {one for line in told if (one := _one(line))}
        moved = await _in_and_below(connection, {one[1:] for line in told if _is_moved(line) and (one := _one(line))})
        if len(moved) > MOST_BELOW:
            return None
        named |= moved
        nouns = {_WHOLE_NOUNS[noun] for line in told if (noun := line.subject.partition("/")[0]) in _WHOLE_NOUNS}
        sites = [site for site in await rows.sites(connection) if site.partition == partition]
        bodies = await _documents(connection, sites, named)
        bodies |= await _circumstances(connection, sites, nouns) if nouns else {}
    last = found[-1].revision
    is_done = len(lines) == len(found) or lines[MOST].revision != last
    mine = {site.id for site in sites}
    keys = frozenset(f"{noun}/{site}/{name}" for what, site, name in named if site in mine for noun in _nouns_of(what))
    return Changes(last if is_done else last - 1, found[-1].id, bodies, keys, frozenset(nouns))


async def concern_logins(registry: Registry, since: int, revision: int) -> bool:
    """Return whether, by what has changed since one revision until another, others may come in to the broker."""
    table = schema.audit
    query = select(table.c.revision, table.c.what).where(table.c.revision > since, table.c.revision <= revision)
    async with registry.transaction() as connection:
        told = [*await connection.execute(query.order_by(table.c.id).limit(MOST))] if since >= 0 else []
    are_all = len(told) < MOST and len({line.revision for line in told}) == revision - since
    return not (are_all and all(line.what.startswith(_NO_LOGIN) for line in told))


async def _lines(connection: AsyncConnection, after: int) -> Sequence[Line]:
    table = schema.audit
    columns = (table.c.id, table.c.revision, table.c.what, table.c.subject, table.c.before, table.c.after)
    query = select(*columns).where(table.c.id > after, table.c.revision.is_not(None)).order_by(table.c.id)
    return [*await connection.execute(query.limit(MOST + 1))]


def _are_whole(revision: int, lines: Sequence[Line]) -> bool:
    """Return whether lines go on from ``revision`` and leave none out: each change has one at least."""
    numbers = [revision, *(line.revision for line in lines)]
    return all(later - earlier in {0, 1} for earlier, later in pairwise(numbers))


def _can_be_followed(line: Line) -> bool:
    """Return whether it can be told which documents may be others: who was in a place that is gone, nobody knows."""
    noun = line.subject.partition("/")[0]
    if noun in _WHOLE_NOUNS:
        return True
    return _one(line) is not None and (noun == "device" or line.before is None or line.after is not None)


def _one(line: Line) -> One | None:
    """Return the device or place that a line is about, if it is about one."""
    match = _ONE.fullmatch(line.subject)
    return None if match is None else (match[1], match[2], match[3])


def _is_moved(line: Line) -> bool:
    """Return whether a line tells of a place by which those in it and below may have another building."""
    is_changed = line.before is not None and line.after is not None
    return (
        is_changed and line.subject.startswith("place/") and not _OWN_DOCUMENT.issuperset({*line.before, *line.after})
    )


async def _in_and_below(connection: AsyncConnection, places: set[Key]) -> set[One]:
    """Return these places, what is below them, and the devices there."""
    found, around = set(places), places
    while around and len(found) <= MOST_BELOW:
        around = {*await rows.places_in(connection, around)} - found
        found |= around
    devices = await rows.devices_at(connection, found)
    return {("place", *key) for key in found} | {("device", *key) for key in devices}


def _nouns_of(what: str) -> tuple[str, ...]:
    return ("device", "barred") if what == "device" else (what,)


async def _documents(connection: AsyncConnection, sites: Sequence[Site], named: Iterable[One]) -> dict[str, bytes]:
    """Return the documents that there are of what is named, of ``sites``."""
    mine = {site.id: site for site in sites}
    keys: dict[str, set[Key]] = {"device": set(), "place": set()}
    for what, site, name in named:
        if site in mine:
            keys[what].add((site, name))
    devices = await rows.some_devices(connection, keys["device"])
    wanted = keys["place"] | {(device.site, device.place) for device in devices}
    tree = documents.tree_of(await _up(connection, wanted))
    places = [tree[key] for key in sorted(keys["place"]) if key in tree]
    zones = documents.zones_of(sites)
    bodies = documents.of_sites(mine[site] for site, name in sorted(keys["place"]) if site == name)
    return bodies | documents.of_places(zones, tree, places) | documents.of_devices(zones, tree, devices)


async def _up(connection: AsyncConnection, keys: set[Key]) -> list[Place]:
    """Return places and those around them, but for the sites' own."""
    found: dict[Key, Place] = {}
    while keys:
        some = await rows.some_places(connection, keys)
        found |= {(place.site, place.id): place for place in some}
        keys = {(place.site, place.parent) for place in some if place.parent} - found.keys()
    return list(found.values())


async def _circumstances(connection: AsyncConnection, sites: Sequence[Site], nouns: set[str]) -> dict[str, bytes]:
    entries = await rows.entries(connection) if "list" in nouns else []
    params = await rows.params(connection) if "params" in nouns else []
    off = await rows.scenes_off(connection) if "off" in nouns else []
    return dict(documents.circumstances(sites, entries, params)) | dict(documents.switches(sites, off))
