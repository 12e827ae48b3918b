"""Whose a site is: the desk of the partition that it lies in, for commands that ask its hub or read its files."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from hub.errors import ConfigError
from hub.partitions import partitions_of
from hub.registry.nouns import Device, Place
from hub.registry.registry import Registry
from hub.ui.desk.desk import Desk

N = TypeVar("N", Device, Place)


async def desk_for(desk: Desk, site: str) -> Desk:
    """Return the desk of the partition of ``site``; where one partition is meant it is that one, and nobody asks.

    ConfigError ``site_unknown``, and ``partition_unknown`` for a partition that another machine runs. What is of no
    site leaves the choice open.
    """
    if len(partitions_of(desk.settings)) == 1 or not site:
        return desk
    async with desk.registry() as registry:
        return desk.at(await partition_of(registry, site))


async def heard_by(desk: Desk, name: str) -> Desk:
    """Return the desk of the partition that hears ``site/device``, or what a network calls so: ``@source/name``.

    ConfigError ``option_invalid`` for what is no such name, ``source_unknown``, and what :func:`desk_for` says.
    """
    whose, _, device = name.partition("/")
    if not (whose and device):
        hint = "SITE/ID, or @SOURCE/NAME of a stranger in a foreign network, as `hub devices pending` lists it"
        raise ConfigError("option_invalid", f"{name!r} names no device", hint=hint)
    if not whose.startswith("@"):
        return await desk_for(desk, whose)
    if len(partitions_of(desk.settings)) == 1:
        return desk
    async with desk.registry() as registry:
        found = {f"@{each.id}": each.partition for each in await registry.sources()}
    if whose not in found:
        raise ConfigError("source_unknown", f"there is no source {whose[1:]!r}", hint="`hub sources list` shows them")
    return desk.at(found[whose])


def names_of(device: Device) -> tuple[str, str]:
    """Return what dead letters call a device: ``site/id``, and until it is registered ``@source/name``, if any."""
    return f"{device.site}/{device.id}", f"@{device.source}/{device.network_id}" if device.source else ""


async def partition_of(registry: Registry, site: str) -> str:
    """Return the partition of a site; ConfigError ``site_unknown``."""
    found = {each.id: each.partition for each in await registry.sites()}
    if site not in found:
        raise no_site(site)
    return found[site]


def no_site(site: str) -> ConfigError:
    """Return the refusal of a site that is not there."""
    return ConfigError("site_unknown", f"there is no site {site!r}", hint="`hub sites list` shows them")


def of_site(desk: Desk, read: Callable[[Registry], Awaitable[list[N]]], site: str | None) -> list[N]:
    """Return those of a site, for None of all; ConfigError ``site_unknown``: of none there is nothing to be seen."""

    async def found(registry: Registry) -> list[N]:
        if site is not None:
            await partition_of(registry, site)
        return [noun for noun in await read(registry) if site in {None, noun.site}]

    return desk.in_registry(found)
