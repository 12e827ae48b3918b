"""Who may connect, as rows: secrets by their hashes, certificates by their numbers, the hub's own users."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import NamedTuple

from sqlalchemy import bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.registry import schema
from hub.registry.nouns import CONNECTING, Device


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A user that comes in by a secret; ``ends_at`` (wall ns) is set once its successor has been made."""

    user: str
    owner: str
    password_hash: str
    made_at: int
    ends_at: int | None = None

    def is_alive(self, now: int) -> bool:
        """Whether it may still come in."""
        return self.ends_at is None or self.ends_at > now


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A client certificate of the hub's own authority; ``serial`` in hexadecimal digits, times are wall ns."""

    serial: str
    owner: str
    made_at: int
    not_after: int
    ends_at: int | None = None
    revoked_at: int | None = None

    def is_alive(self, now: int) -> bool:
        """Whether it may still come in."""
        return self.revoked_at is None and self.not_after > now and (self.ends_at is None or self.ends_at > now)


@dataclass(frozen=True, slots=True, kw_only=True)
class HubLogin:
    """A user of a hub: ``connection`` is telemetry, events, downlink, record or doctor."""

    user: str
    partition: str
    connection: str
    password_hash: str


def owner_of(device: Device) -> str:
    """Return who carries a device to the broker: the gateway that it names, else itself, ``site/device``."""
    return device.user or f"{device.site}/{device.id}"


def owner_of_source(source: str) -> str:
    """Return the user that the network server or gateway of a source is; no device's, for no name holds a ``~``."""
    return f"source~{source}"


class Carried(NamedTuple):
    """A device as the broker sees it."""

    owner: str
    key: tuple[str, str]
    may_connect: bool
    is_foreign: bool


async def carried(connection: AsyncConnection, owners: Collection[str] | None = None) -> list[Carried]:
    """Return all devices, or those whom some ``owners`` carry (fewer than a query may name), by site and id.

    Only what is asked for is read: a whole device costs ten times as much.
    """
    table = schema.devices
    query = select(table.c.site, table.c.id, table.c.user, table.c.state, table.c.source)
    if owners is not None:
        owner = func.coalesce(func.nullif(table.c.user, ""), table.c.site + "/" + table.c.id)
        query = query.where(owner.in_(list(owners)))
    return [
        Carried(user or f"{site}/{device}", (site, device), state in CONNECTING, bool(source))
        for site, device, user, state, source in await connection.execute(query.order_by(table.c.site, table.c.id))
    ]


async def logins(connection: AsyncConnection, owners: Collection[str] | None = None) -> list[Login]:
    """Return the users with a secret, the older before its successor; of ``owners`` only."""
    query = schema.logins.select().order_by(schema.logins.c.made_at, schema.logins.c.user)
    if owners is not None:
        query = query.where(schema.logins.c.owner.in_(list(owners)))
    return [Login(**row) for row in (await connection.execute(query)).mappings()]


async def certificates(connection: AsyncConnection, owner: str | None = None) -> list[Certificate]:
    """Return every certificate that was ever made, the oldest first; of ``owner`` only."""
    query = schema.certificates.select().order_by(schema.certificates.c.made_at, schema.certificates.c.serial)
    if owner is not None:
        query = query.where(schema.certificates.c.owner == owner)
    return [Certificate(**row) for row in (await connection.execute(query)).mappings()]


async def hub_logins(connection: AsyncConnection) -> list[HubLogin]:
    """Return the hubs' own users by name."""
    query = schema.hub_logins.select().order_by(schema.hub_logins.c.user)
    return [HubLogin(**row) for row in (await connection.execute(query)).mappings()]


async def put_logins(connection: AsyncConnection, logins: Collection[Login]) -> None:
    """Write ``logins``, over those of the same users."""
    table = schema.logins
    if logins:
        old = table.delete().where(table.c.user == bindparam("its_user"))
        await connection.execute(old, [{"its_user": login.user} for login in logins])
        await connection.execute(table.insert(), [asdict(login) for login in logins])


async def forget(connection: AsyncConnection, owner: str, now: int) -> bool:
    """Take everything from ``owner`` that lets it in; False when there was nothing."""
    table, papers = schema.logins, schema.certificates
    gone = await connection.execute(table.delete().where(table.c.owner == owner))
    mine = papers.update().where(papers.c.owner == owner, papers.c.revoked_at.is_(None))
    revoked = await connection.execute(mine.values(revoked_at=now))
    return bool(gone.rowcount + revoked.rowcount)
