"""What lets a foreign network in: the secret of the network server or gateway behind a source, made and taken back."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import ConfigError
from hub.registry import rows
from hub.registry.credentials import Secret, forgotten, renewed
from hub.registry.logins import owner_of_source
from hub.registry.registry import Registry


async def rotate_source(registry: Registry, source: str, overlap: timedelta) -> Secret:
    """Make the next secret of the network behind ``source``, as a device's is made; ConfigError ``source_unknown``."""
    async with registry.change() as change:
        await _known_source(change.connection, source)
        return await renewed(change, registry.now(), owner_of_source(source), overlap, ())


async def revoke_source(registry: Registry, source: str, reason: str = "") -> str:
    """Take from the network behind ``source`` what lets it in; return its user. ConfigError as of a device."""
    owner = owner_of_source(source)
    async with registry.change() as change:
        await _known_source(change.connection, source)
        await forgotten(change, registry.now(), owner, reason)
    return owner


async def _known_source(connection: AsyncConnection, source: str) -> None:
    if source not in {each.id for each in await rows.sources(connection)}:
        raise ConfigError("source_unknown", f"there is no source {source!r}", hint="hub sources list")
