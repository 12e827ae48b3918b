"""The registry as the engine reads it: canonical JSON of each place, device, source, list and set of parameters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import orjson

from hub.model.values import PlaceType, Scalar
from hub.registry.nouns import BARRED, Device, DeviceState, Entry, Params, Place, SceneOff, Site, Source
from hub.registry.rows import Described

Key = tuple[str, str]
Tree = Mapping[Key, Place]
"""Places by site and id."""


def documents(
    sites: Sequence[Site], places: Sequence[Place], devices: Iterable[Device], sources: Sequence[Source] = ()
) -> dict[str, bytes]:
    """Return ``place/{site}/{id}``, ``device/{site}/{id}`` and ``source/{id}`` to bodies; equal content is equal bytes.

    A place: site, place, type, parent, building, zone, label, facts. A device: site, device, kind, profile, building,
    place, zone, params; one of a foreign network also source and network_id. A source: source, network, params.
    ``building`` is the nearest one up the tree, empty when there is none; ``place`` of a device that is nowhere else
    is its site; the site's own place has no parent. Of a device that is disabled or retired there is ``barred/…`` with
    its ``state`` instead; of one that is pending there is nothing: the engine does not know it yet.
    """
    zones, tree = zones_of(sites), tree_of(places)
    bodies = of_sites(sites) | of_places(zones, tree, places)
    bodies |= of_devices(zones, tree, devices)
    for source in sources:
        bodies[f"source/{source.id}"] = _canonical(
            {"source": source.id, "network": source.network, "params": source.params}
        )
    return bodies


def of_sites(sites: Iterable[Site]) -> dict[str, bytes]:
    """Return the documents of sites' own places."""
    return {
        f"place/{site.id}/{site.id}": _canonical(
            {
                "site": site.id,
                "place": site.id,
                "type": PlaceType.SITE,
                "parent": "",
                "building": "",
                "zone": site.zone,
                "label": site.label,
                "facts": site.facts,
            }
        )
        for site in sites
    }


def of_places(zones: Mapping[str, str], tree: Tree, places: Iterable[Place]) -> dict[str, bytes]:
    """Return the documents of ``places`` alone, of sites in ``zones``; those around them are in the ``tree``."""
    return {
        f"place/{place.site}/{place.id}": _canonical(
            {
                "site": place.site,
                "place": place.id,
                "type": place.type,
                "parent": place.parent or place.site,
                "building": _building(tree, place.site, place.id),
                "zone": zones[place.site],
                "label": place.label,
                "facts": place.facts,
            }
        )
        for place in places
    }


def zones_of(sites: Iterable[Site]) -> dict[str, str]:
    """Return the time zone of each site."""
    return {site.id: site.zone for site in sites}


def tree_of(places: Iterable[Place]) -> dict[Key, Place]:
    """Return places by site and id."""
    return {(place.site, place.id): place for place in places}


def of_devices(zones: Mapping[str, str], tree: Tree, devices: Iterable[Device | Described]) -> dict[str, bytes]:
    """Return the documents of ``devices`` alone, of sites in ``zones`` with the places of ``tree``."""
    bodies: dict[str, bytes] = {}
    for device in devices:
        row: dict[str, object] = {
            "site": device.site,
            "device": device.id,
            "kind": device.kind,
            "profile": device.profile,
            "building": _building(tree, device.site, device.place),
            "place": device.place or device.site,
            "zone": zones[device.site],
            "params": device.params,
        }
        if device.source:
            row |= {"source": device.source, "network_id": device.network_id}
        if device.state is DeviceState.ACTIVE:
            bodies[f"device/{device.site}/{device.id}"] = _canonical(row)
        elif device.state in BARRED:
            bodies[f"barred/{device.site}/{device.id}"] = _canonical({**row, "state": device.state})
    return bodies


def circumstances(
    sites: Sequence[Site], entries: Sequence[Entry], params: Sequence[Params]
) -> Iterator[tuple[str, bytes]]:
    """Yield ``list/{site}/{list}`` and ``params/{site}/{rule}/{scope}`` with their bodies.

    A list: site, list, entries (value to true, or to ``FROM/UNTIL``); what counts at one place only is
    ``list/{site}/{list}/{place}``, which says its place. Parameters: rule, values, and what they are for:
    profile, site, place, device. What holds at every site is written for each. Facts are in the place's document:
    true, false, ``FROM/UNTIL``, or something else that is so. FROM and UNTIL are days of the site (both included) or
    moments, either may be empty; whether it is so now is judged by the engine in its own time.
    """
    for site in sites:
        lists: dict[tuple[str, str], dict[str, Scalar]] = {}
        for entry in entries:
            if entry.site in {"", site.id}:
                lists.setdefault((entry.list, entry.place), {})[entry.value] = entry.valid or True
        for (name, place), found in lists.items():
            body: dict[str, object] = {"site": site.id, "list": name, "entries": found}
            if place:
                yield f"list/{site.id}/{name}/{place}", _canonical({**body, "place": place})
            else:
                yield f"list/{site.id}/{name}", _canonical(body)
        for each in params:
            if each.site in {"", site.id}:
                yield (
                    f"params/{site.id}/{each.rule}/{scope_of(each)}",
                    _canonical(
                        {
                            "rule": each.rule,
                            "values": each.values,
                            "profile": each.profile,
                            "site": site.id,
                            "place": each.place,
                            "device": each.device,
                        }
                    ),
                )


def switches(sites: Iterable[Site], off: Iterable[SceneOff]) -> Iterator[tuple[str, bytes]]:
    """Yield ``off/{site}/{scene}`` with its body (site, scene) for each scene that is switched off at one of ``sites``.

    Why and since when stay in the registry.
    """
    mine = {site.id for site in sites}
    for each in off:
        if each.site in mine:
            yield f"off/{each.site}/{each.scene}", _canonical({"site": each.site, "scene": each.scene})


def scope_of(params: Params) -> str:
    """Return what parameters are for: ``profile:v/m``, ``site``, ``place:id`` or ``device:id``."""
    named = (("profile", params.profile), ("place", params.place), ("device", params.device))
    return next((f"{what}:{name}" for what, name in named if name), "site")


def _building(tree: Tree, site: str, place: str) -> str:
    here = tree.get((site, place))
    while here is not None:
        if here.type is PlaceType.BUILDING:
            return here.id
        here = tree.get((site, here.parent))
    return ""


def _canonical(content: dict[str, object]) -> bytes:
    """Return canonical JSON; copied, because what orjson 3.13 returns holds 4 KiB however short it is (measured)."""
    return bytes(memoryview(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)))
