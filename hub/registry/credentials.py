"""What lets devices in: secrets and certificates made, rotated and revoked; and the roster that a broker is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import ConfigError
from hub.registry import logins, rows, schema
from hub.registry.audit import Change
from hub.registry.brokers.broker import BrokerUser, Roster
from hub.registry.brokers.grants import ANY, Grant, SourceTopics, of_devices, of_hub
from hub.registry.certificates import Authority
from hub.registry.certificates import Issued as Paper
from hub.registry.hashing import PASSWORD_ROUNDS, hash_secret, matches, new_secret
from hub.registry.logins import Certificate, HubLogin, Login, owner_of_source
from hub.registry.registry import Registry
from hub.registry.validation import Key

SECOND = "~2"
"""The mark of a second secret: a broker's password file has room for one secret a user. No identifier holds a ``~``."""

EXPIRED_STAYS_NS = 86_400_000_000_000
"""An expired certificate is on the list of revoked ones for a day, so that who is connected by it is cut off too."""

_DEFAULT = SourceTopics()


def users_of(owner: str) -> tuple[str, str]:
    """Return the users that somebody may have."""
    return owner, owner + SECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """A secret that was just made, to be shown once; ``replaces`` is the user whose secret works until ``until``."""

    user: str
    secret: str
    devices: tuple[Key, ...]
    replaces: str = ""
    until: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What is asked for a certificate: how long it holds, how long older ones still do, the device's request (PEM)."""

    life: timedelta
    overlap: timedelta
    request: str = ""


async def make_secrets(
    registry: Registry, keys: Collection[Key], hand_over: Callable[[Sequence[Secret]], None] | None = None
) -> list[Secret]:
    """Make a secret for whoever carries these devices and has nothing yet that lets it in; return the new ones.

    ``hand_over`` is called before they count: when it fails, there are none.
    """
    async with registry.transaction() as connection:
        carried = await _carried(connection, keys)
        lacking = carried.keys() - await _provided(connection, registry.now())
    if not lacking:
        if hand_over is not None:
            hand_over([])
        return []
    made = [Secret(user=owner, secret=new_secret(), devices=tuple(carried[owner])) for owner in sorted(lacking)]
    async with registry.change() as change:
        now = registry.now()
        still = lacking - await _provided(change.connection, now)
        made = [each for each in made if each.user in still]
        await logins.put_logins(
            change.connection,
            [
                Login(user=each.user, owner=each.user, password_hash=hash_secret(each.secret), made_at=now)
                for each in made
            ],
        )
        for each in made:
            change.note("credential.added", f"credential/{each.user}")
        if not made:
            change.note("credential.added", "credential/", reason="somebody else was faster")
        if hand_over is not None:
            hand_over(made)
    return made


async def put_secrets(registry: Registry, secrets: Mapping[str, str]) -> None:
    """Let these users in by secrets that were made elsewhere (a load generator's file), instead of those they have."""
    async with registry.change() as change:
        now = registry.now()
        for owner in secrets:
            await _drop(change.connection, owner)
            change.note("credential.set", f"credential/{owner}")
        made = [
            Login(user=user, owner=user, password_hash=hash_secret(secret), made_at=now)
            for user, secret in secrets.items()
        ]
        await logins.put_logins(change.connection, made)


async def rotate(registry: Registry, key: Key, overlap: timedelta) -> Secret:
    """Make the next secret of whoever carries a device: under another user while both work, ``overlap`` long.

    Without an overlap the user stays and the old secret ends at once. The first secret, where there was none. A
    rotation before the last one is over replaces its secret, which perhaps never arrived. ConfigError
    ``device_unknown``.
    """
    async with registry.change() as change:
        owner, devices = await _owner(change.connection, key)
        return await renewed(change, registry.now(), owner, overlap, devices)


async def renewed(change: Change, now: int, owner: str, overlap: timedelta, devices: tuple[Key, ...]) -> Secret:
    """Write the next secret of ``owner`` in a change that is under way; return it."""
    known = [each for each in await logins.logins(change.connection, [owner]) if each.is_alive(now)]
    await _drop(change.connection, owner)
    secret = new_secret()
    until = now + overlap // timedelta(microseconds=1) * 1_000
    kept = [replace(known[0], ends_at=until)] if known and overlap else []
    user = known[-1].user if known else owner
    if kept:
        user = owner + SECOND if kept[0].user == owner else owner
    fresh = Login(user=user, owner=owner, password_hash=hash_secret(secret), made_at=now)
    await logins.put_logins(change.connection, [*kept, fresh])
    before = {"users": [each.user for each in known]}
    change.note("credential.rotated", f"credential/{owner}", before, {"user": user})
    return Secret(
        user=user,
        secret=secret,
        devices=devices,
        replaces=kept[0].user if kept else "",
        until=kept[0].ends_at if kept else None,
    )


async def certify(registry: Registry, authority: Authority, key: Key, terms: Terms) -> tuple[str, Paper]:
    """Make a certificate for whoever carries a device, or sign its request; return the user and the paper.

    ConfigError ``device_unknown``, ``request_invalid``, ``name_too_long``.
    """
    async with registry.change() as change:
        now = registry.now()
        owner, _ = await _owner(change.connection, key)
        paper = (
            authority.sign(owner, terms.request, terms.life) if terms.request else authority.issue(owner, terms.life)
        )
        table, until = schema.certificates, now + terms.overlap // timedelta(microseconds=1) * 1_000
        for known in await logins.certificates(change.connection, owner):
            if known.is_alive(now):
                mine = table.update().where(table.c.serial == known.serial)
                await change.connection.execute(mine.values(ends_at=min(until, known.ends_at or until)))
        made = Certificate(serial=paper.serial, owner=owner, made_at=now, not_after=paper.not_after)
        await change.connection.execute(table.insert(), [asdict(made)])
        change.note("certificate.made", f"credential/{owner}", None, {"serial": paper.serial})
    return owner, paper


async def revoke(registry: Registry, key: Key, reason: str = "") -> tuple[str, tuple[Key, ...]]:
    """Take from whoever carries a device all that lets it in; return who that is, and the devices that it carried.

    ConfigError ``device_unknown``, ``no_credentials``.
    """
    async with registry.change() as change:
        owner, devices = await _owner(change.connection, key)
        await forgotten(change, registry.now(), owner, reason)
    return owner, devices


async def hub_logins(registry: Registry, partition: str, passwords: Mapping[tuple[str, str], str]) -> list[HubLogin]:
    """Return the users of the hub of ``partition``: (user, connection) to its password, hashed anew only if another."""
    async with registry.transaction() as connection:
        known = {each.user: each for each in await logins.hub_logins(connection)}
    return [
        HubLogin(user=user, partition=partition, connection=connection, password_hash=_hash(known.get(user), password))
        for (user, connection), password in passwords.items()
    ]


async def keep_hub_logins(registry: Registry, partition: str, wanted: Sequence[HubLogin]) -> None:
    """Let the hub of ``partition`` in by these users, and by no others."""
    async with registry.transaction() as connection:
        known = [each for each in await logins.hub_logins(connection) if each.partition == partition]
    old, new = sorted(each.user for each in known), sorted(each.user for each in wanted)
    if {*wanted} == {*known}:
        return
    async with registry.change() as change:
        table = schema.hub_logins
        await change.connection.execute(table.delete().where(table.c.user.in_([*old, *new])))
        if wanted:
            await change.connection.execute(table.insert(), [asdict(login) for login in wanted])
        change.note("hub_logins.set", f"partition/{partition}", {"users": old}, {"users": new})


async def read_roster(
    registry: Registry, foreign: Mapping[str, SourceTopics], ours: Collection[HubLogin] = ()
) -> Roster:
    """Return who may come in now: devices in service or about to be, and hubs; ``foreign`` are the topics of sources.

    It is by partition: one that is alone hears every site. ``ours`` are hubs that perhaps are not in the registry yet.
    """
    now = registry.now()
    async with registry.transaction() as connection:
        carried: dict[str, list[Key]] = {}
        for device in await logins.carried(connection):
            if device.may_connect:
                carried.setdefault(device.owner, []).append(device.key)
        networks = {owner_of_source(name): grant for topics in foreign.values() for name, grant in topics.networks}
        secrets = [
            each
            for each in await logins.logins(connection)
            if (each.owner in carried or each.owner in networks) and each.is_alive(now)
        ]
        papers = await logins.certificates(connection)
        hubs = await _hub_users(connection, foreign, ours)
    valid = [paper for paper in papers if paper.owner in carried and paper.is_alive(now)]
    hashes = {paper.owner: (paper.owner, "") for paper in valid}
    hashes |= {each.user: (each.owner, each.password_hash) for each in secrets}
    users = await asyncio.to_thread(_users, hashes, carried, networks)
    stolen = users.keys() & hubs.keys()
    if stolen:
        raise ConfigError("user_invalid", f"{min(stolen)!r} is a user of the hub: no device can be it")
    numbers = {paper.serial for paper in valid}
    ends = [
        *(each.ends_at for each in secrets),
        *(paper.ends_at for paper in valid),
        *(paper.not_after for paper in valid),
    ]
    return Roster(
        users={**users, **hubs},
        revoked={
            each.serial: each.owner
            for each in papers
            if each.serial not in numbers and each.not_after > now - EXPIRED_STAYS_NS
        },
        next_end=min((end for end in ends if end is not None), default=None),
    )


# ------------------------------------------------------------------------------------------------------------- inside


def _users(
    hashes: Mapping[str, tuple[str, str]], carried: Mapping[str, Sequence[Key]], networks: Mapping[str, Grant]
) -> dict[str, BrokerUser]:
    """Return users with their topics; ``hashes``: user to owner and hash. In a thread: 10,000 of them take 0.1 s."""
    users: dict[str, BrokerUser] = {}
    for user, (owner, password_hash) in hashes.items():
        grant = networks[owner] if owner in networks else of_devices(carried[owner])
        users[user] = BrokerUser(user=user, password_hash=password_hash, reads=grant.reads, writes=grant.writes)
    return users


async def _hub_users(
    connection: AsyncConnection, foreign: Mapping[str, SourceTopics], ours: Collection[HubLogin]
) -> dict[str, BrokerUser]:
    """Return the hubs' users; one that is alone hears every site by one rule, for the broker asks rule by rule."""
    sites: dict[str, list[str]] = {}
    for site in await rows.sites(connection):
        sites.setdefault(site.partition, []).append(site.id)
    found: dict[str, BrokerUser] = {}
    mine_now = {each.partition for each in ours}
    others = [each for each in await logins.hub_logins(connection) if each.partition not in mine_now]
    for login in [*others, *ours]:
        is_alone = not sites.keys() - {login.partition}
        mine = [ANY] if is_alone else sites.get(login.partition, [])
        grant = of_hub(login.connection, login.partition, mine, foreign.get(login.partition, _DEFAULT))
        found[login.user] = BrokerUser(
            user=login.user, password_hash=login.password_hash, reads=grant.reads, writes=grant.writes
        )
    return found


def _hash(known: HubLogin | None, secret: str) -> str:
    is_same = known is not None and matches(secret, known.password_hash)
    return known.password_hash if known is not None and is_same else hash_secret(secret, rounds=PASSWORD_ROUNDS)


async def _owner(connection: AsyncConnection, key: Key) -> tuple[str, tuple[Key, ...]]:
    """Return who carries the device ``key``, and all devices that it carries."""
    mine = await rows.device(connection, key)
    if mine is None:
        raise ConfigError("device_unknown", f"site {key[0]!r} has no device {key[1]!r}", hint="hub devices list")
    owner = logins.owner_of(mine)
    if mine.source:
        message = f"{owner!r} does not come to the broker itself: its network does"
        raise ConfigError("device_foreign", message, hint="hub sources rotate SOURCE makes the secret of its network")
    return owner, tuple(device.key for device in await logins.carried(connection, [owner]))


async def _carried(connection: AsyncConnection, keys: Collection[Key]) -> dict[str, list[Key]]:
    """Return those who carry some of ``keys``, each with all devices that it carries."""
    if len(keys) > rows.NAMED_AT_ONCE:
        devices = await logins.carried(connection)
        wanted = {device.owner for device in devices if device.key in keys and not device.is_foreign}
    else:
        named = await rows.some_devices(connection, keys)
        wanted = {logins.owner_of(device) for device in named if not device.source}
        devices = await logins.carried(connection, wanted)
    found: dict[str, list[Key]] = {}
    for device in devices:
        if device.owner in wanted:
            found.setdefault(device.owner, []).append(device.key)
    return found


async def _provided(connection: AsyncConnection, now: int) -> set[str]:
    """Return those who have something that lets them in."""
    secrets = {each.owner for each in await logins.logins(connection) if each.is_alive(now)}
    return secrets | {each.owner for each in await logins.certificates(connection) if each.is_alive(now)}


async def forgotten(change: Change, now: int, owner: str, reason: str) -> None:
    """Take from ``owner`` all that lets it in, in a change that is under way; ConfigError ``no_credentials``."""
    if not await logins.forget(change.connection, owner, now):
        raise ConfigError("no_credentials", f"{owner!r} has neither a secret nor a certificate")
    change.note("credential.revoked", f"credential/{owner}", reason=reason)


async def _drop(connection: AsyncConnection, owner: str) -> None:
    await connection.execute(schema.logins.delete().where(schema.logins.c.owner == owner))
