"""What the registry refuses: bad names, unknown parents, what exists already."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from hub.errors import ConfigError
from hub.model.values import PlaceType
from hub.registry.addresses import geometry_problems, site_code_problems
from hub.registry.nouns import NEXT_STATES, Device, DeviceState, Place, Site, Source

# What is safe in a topic segment, a broker's user file, a Redis key and a tag without escaping.
IDENTIFIER = re.compile(r"[A-Za-z0-9._-]{1,64}")
PROFILE = re.compile(r"[a-z0-9._-]+/[a-z0-9._-]+")
RESERVED = "_"
TAG = re.compile(r"[^\s,;]{1,64}")
NETWORK_ID_SIZE, SERIAL_SIZE = 128, 128
SHOWN_PROBLEMS = 5
VALUE_SIZE = 128
CONSENTED = frozenset({"care_watch"})
"""Facts about a person, who must have agreed."""

Key = tuple[str, str]
Problem = tuple[int, str]
"""Which of many it is, and what is wrong with it."""


def refuse(code: str, problems: Iterable[str | Problem]) -> None:
    """Raise one ConfigError that tells the first few ``problems``; nothing when there are none."""
    found = [problem if isinstance(problem, str) else problem[1] for problem in problems]
    if found:
        more = f" and {len(found) - SHOWN_PROBLEMS} more" if len(found) > SHOWN_PROBLEMS else ""
        raise ConfigError(code, "; ".join(found[:SHOWN_PROBLEMS]) + more)


def site_problems(site: Site) -> Iterator[str]:
    """Yield what is wrong with a site on its own."""
    yield from _name_problems("site", site.id)
    yield from _name_problems("partition", site.partition)
    yield from site_code_problems(site.id, site.code)
    if site.id.startswith(RESERVED):
        yield f"site {site.id!r} starts with {RESERVED!r}, which the hub keeps for itself"
    try:
        ZoneInfo(site.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        yield f"site {site.id!r} has the time zone {site.zone!r}, which is not an IANA name such as Asia/Shanghai"


def place_problems(places: Sequence[Place], existing: Collection[Key]) -> Iterator[Problem]:
    """Yield what is wrong with ``places`` beside the ``existing`` (site, id); parents come before their children."""
    known = set(existing)
    for index, place in enumerate(places):
        for text in _problems_of_place(place, known):
            yield index, text
        known.add((place.site, place.id))


def _problems_of_place(place: Place, known: Collection[Key]) -> Iterator[str]:
    yield from _name_problems("place", place.id)
    yield from geometry_problems(place.id, place.geometry)
    parent = place.parent or place.site
    if place.type is PlaceType.SITE:
        yield f"place {place.id!r} is a site: add it as one"
    if (place.site, parent) not in known:
        yield f"place {place.id!r} is below {parent!r}, which site {place.site!r} does not have"
    if (place.site, place.id) in known:
        yield f"place {place.id!r} exists already in site {place.site!r}"
    for name in sorted(CONSENTED & place.facts.keys()):
        if place.facts[name] is not False and not place.consents.get(name):
            yield f"place {place.id!r} has {name}, which is about a person, without a consent"


def device_problems(
    devices: Sequence[Device], existing: Collection[Key], places: Collection[Key], serials: Collection[str]
) -> Iterator[Problem]:
    """Yield what is wrong with ``devices`` beside what exists, and among themselves."""
    known, taken = set(existing), set(serials)
    all_ids = known | {(device.site, device.id) for device in devices}
    for index, device in enumerate(devices):
        for text in _problems_of_device(device, places):
            yield index, text
        if device.gateway and (device.gateway == device.id or (device.site, device.gateway) not in all_ids):
            yield index, f"device {device.id!r} has the gateway {device.gateway!r}, no other device of its site"
        if (device.site, device.id) in known:
            yield index, f"device {device.id!r} exists already in site {device.site!r}"
        if device.serial is not None and device.serial in taken:
            yield index, f"device {device.id!r} has the serial {device.serial!r} of another device"
        known.add((device.site, device.id))
        taken.update({device.serial} if device.serial is not None else ())


def state_problems(old: Device, state: DeviceState) -> Iterator[str]:
    """Yield why a device cannot go to ``state``."""
    if state not in NEXT_STATES[old.state]:
        able = ", ".join(sorted(NEXT_STATES[old.state])) or "nothing any more"
        yield f"device {old.id!r} is {old.state} and cannot become {state}: it can become {able}"


def _problems_of_device(device: Device, places: Collection[Key]) -> Iterator[str]:
    yield from _name_problems("device", device.id)
    for tag in device.tags:
        if not TAG.fullmatch(tag):
            yield f"device {device.id!r} has the tag {tag!r}: a word of 1 to 64 without blanks and commas"
    if device.serial is not None and not (0 < len(device.serial) <= SERIAL_SIZE and device.serial.isprintable()):
        yield f"device {device.id!r} has the serial {device.serial!r}: 1 to {SERIAL_SIZE} printable"
    yield from _name_problems("kind", device.kind)
    if device.user:
        yield from _name_problems("user", device.user)
    if device.profile and not PROFILE.fullmatch(device.profile):
        yield f"device {device.id!r} has the profile {device.profile!r}, which is not vendor/model"
    place = device.place or device.site
    if (device.site, place) not in places and place == device.site:
        yield f"device {device.id!r} is in site {place!r}, which is not there: hub sites list"
    elif (device.site, place) not in places:
        yield f"device {device.id!r} is at {place!r}, which site {device.site!r} does not have: hub places list"


def source_problems(source: Source) -> Iterator[str]:
    """Yield what is wrong with a source on its own."""
    yield from _name_problems("source", source.id)
    yield from _name_problems("network", source.network)
    yield from _name_problems("partition", source.partition)


def network_id_problems(
    devices: Sequence[Device],
    existing: Collection[Key],
    sources: Mapping[str, Source],
    partitions: Mapping[str, str],
) -> Iterator[Problem]:
    """Yield what is wrong with the foreign names of ``devices``.

    ``existing`` are the (source, network id) of others, ``partitions`` those of the sites: a source and its devices are
    heard by one hub.
    """
    taken = set(existing)
    for index, device in enumerate(devices):
        if not (device.source or device.network_id):
            continue
        key = (device.source, device.network_id)
        source = sources.get(device.source)
        if source is None:
            known = ", ".join(sorted(sources)) or "none"
            yield index, f"device {device.id!r} is of source {device.source!r}, which does not exist; known: {known}"
        elif source.partition != partitions.get(device.site, source.partition):
            here = partitions[device.site]
            yield index, f"device {device.id!r} is in partition {here!r}, its source in {source.partition!r}"
        if not is_network_id(device.network_id):
            text = f"device {device.id!r} has the network id {device.network_id!r}: 1 to 128 printable, without + and #"
            yield index, text
        if key in taken:
            text = f"device {device.id!r} has the network id {device.network_id!r} of another device of {device.source}"
            yield index, text
        taken.add(key)


def is_network_id(text: str) -> bool:
    """Return whether a network may call a device so: a DevEUI, a number, a name in any script."""
    return 0 < len(text) <= NETWORK_ID_SIZE and text.isprintable() and not set(text) & set("+#")


def _name_problems(what: str, name: str) -> Iterator[str]:
    if not IDENTIFIER.fullmatch(name):
        yield f"{what} {name!r} is not 1 to 64 of A-Z a-z 0-9 . _ -"
