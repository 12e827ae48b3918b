"""The registry: what exists, in one database, with a revision that moves with every change."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from sqlite3 import Connection as SqliteConnection
from types import TracebackType
from typing import Self

from sqlalchemy import Connection as SyncConnection
from sqlalchemy import event, make_url, select
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from hub.errors import ConfigError, CorruptError, UnavailableError
from hub.registry import documents, rows, schema, validation
from hub.registry.nouns import Connection, Device, DeviceState, Place, Site, Source


class Registry:
    """The registry at a SQLAlchemy ``url`` (``sqlite+aiosqlite:///path``, or a server's), for an ``async with``.

    Every writing method is one transaction: all of it and the next revision, or nothing and a ConfigError.
    """

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self._engine = create_async_engine(self._url)
        if self._url.get_backend_name() == "sqlite":
            event.listen(self._engine.sync_engine, "connect", _prepare_sqlite)
            event.listen(self._engine.sync_engine, "begin", _begin)

    async def __aenter__(self) -> Self:
        if self._url.get_backend_name() == "sqlite" and self._url.database:
            Path(self._url.database).parent.mkdir(parents=True, exist_ok=True)
        try:
            async with self.transaction() as connection:
                await connection.run_sync(schema.upgrade)
        except BaseException:
            await self._engine.dispose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._engine.dispose()

    # ------------------------------------------------------------------------------------------------- changes

    async def add_site(self, site: Site) -> None:
        """Add a site; its partition and time zone stay what they are."""
        validation.refuse("site_invalid", validation.site_problems(site))
        async with self.change() as connection:
            if site.id in {known.id for known in await rows.sites(connection)}:
                raise ConfigError("site_exists", f"site {site.id!r} exists already")
            await connection.execute(schema.places.insert(), [rows.site_values(site)])

    async def add_places(self, places: Sequence[Place]) -> None:
        """Add all of ``places``, or none; parents before their children."""
        async with self.change() as connection:
            validation.refuse("place_invalid", validation.place_problems(places, await rows.place_keys(connection)))
            if places:
                await connection.execute(schema.places.insert(), [rows.place_values(place) for place in places])

    async def add_source(self, source: Source) -> None:
        """Add a foreign network; its partition stays what it is."""
        validation.refuse("source_invalid", validation.source_problems(source))
        async with self.change() as connection:
            if source.id in {known.id for known in await rows.sources(connection)}:
                raise ConfigError("source_exists", f"source {source.id!r} exists already")
            await connection.execute(schema.sources.insert(), [asdict(source)])

    async def remove_source(self, source: str) -> None:
        """Forget a foreign network that no device is of any more; ConfigError ``source_unknown``, ``source_used``."""
        async with self.change() as connection:
            users = [device.id for device in await rows.devices(connection) if device.source == source]
            if users:
                raise ConfigError("source_used", f"{len(users)} devices are of source {source!r}, such as {users[0]!r}")
            found = await connection.execute(schema.sources.delete().where(schema.sources.c.id == source))
            if found.rowcount == 0:
                raise ConfigError("source_unknown", f"there is no source {source!r}")

    async def add_devices(self, devices: Sequence[Device]) -> None:
        """Add all of ``devices``, or none."""
        async with self.change() as connection:
            existing = await rows.devices(connection)
            validation.refuse("device_invalid", await device_problems(connection, devices, existing))
            if devices:
                await connection.execute(schema.devices.insert(), [rows.device_values(device) for device in devices])

    async def set_device_state(self, site: str, device: str, state: DeviceState) -> None:
        """Let a device be judged and connect, or not; ConfigError ``device_unknown``."""
        async with self.change() as connection:
            found = await connection.execute(
                schema.devices.update()
                .where(schema.devices.c.site == site, schema.devices.c.id == device)
                .values(state=state.value)
            )
            if found.rowcount == 0:
                raise ConfigError("device_unknown", f"site {site!r} has no device {device!r}")

    async def remove_device(self, site: str, device: str) -> None:
        """Forget a device; ConfigError ``device_unknown``."""
        async with self.change() as connection:
            found = await connection.execute(
                schema.devices.delete().where(schema.devices.c.site == site, schema.devices.c.id == device)
            )
            if found.rowcount == 0:
                raise ConfigError("device_unknown", f"site {site!r} has no device {device!r}")

    async def set_password_hashes(self, hashes: Mapping[str, str]) -> None:
        """Set the password hash of each user; only hashes are ever stored."""
        bad = (f"user {user!r} is not a valid name" for user in hashes if not validation.IDENTIFIER.fullmatch(user))
        validation.refuse("user_invalid", bad)
        async with self.change() as connection:
            table = schema.credentials
            await connection.execute(table.delete().where(table.c.user.in_(list(hashes))))
            if hashes:
                known = [{"user": user, "password_hash": password_hash} for user, password_hash in hashes.items()]
                await connection.execute(table.insert(), known)

    # --------------------------------------------------------------------------------------------------- reads

    async def revision(self) -> int:
        """Return the number of changes so far; cheap enough to ask every few seconds."""
        async with self.transaction() as connection:
            return int((await connection.execute(select(schema.state.c.revision))).scalar_one())

    async def sites(self) -> list[Site]:
        """Return all sites by id."""
        async with self.transaction() as connection:
            return await rows.sites(connection)

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

    async def connections(self) -> list[Connection]:
        """Return the users that have a password and an active device, by name, for a broker."""
        async with self.transaction() as connection:
            hashes = {row.user: row.password_hash for row in await connection.execute(schema.credentials.select())}
            carried: dict[str, list[tuple[str, str]]] = {}
            for device in await rows.devices(connection):
                if device.state is DeviceState.ACTIVE and device.user in hashes:
                    carried.setdefault(device.user, []).append((device.site, device.id))
        return [
            Connection(user=user, password_hash=hashes[user], devices=tuple(devices))
            for user, devices in sorted(carried.items())
        ]

    async def snapshot(self, partition: str | None = None) -> tuple[int, dict[str, bytes]]:
        """Return the revision and, of that very moment, the documents of one partition (of all with None)."""
        async with self.transaction() as connection:
            revision = int((await connection.execute(select(schema.state.c.revision))).scalar_one())
            sites = [site for site in await rows.sites(connection) if partition in {None, site.partition}]
            mine = {site.id for site in sites}
            places = [place for place in await rows.places(connection) if place.site in mine]
            devices = [
                device
                for device in await rows.devices(connection)
                if device.site in mine and device.state is DeviceState.ACTIVE
            ]
            sources = [source for source in await rows.sources(connection) if partition in {None, source.partition}]
            entries, params = await rows.entries(connection), await rows.params(connection)
        bodies = documents.documents(sites, places, devices, sources)
        return revision, bodies | dict(documents.circumstances(sites, entries, params))

    async def documents(self, partition: str | None = None) -> dict[str, bytes]:
        """Return the documents of :meth:`snapshot`."""
        return (await self.snapshot(partition))[1]

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Begin a transaction: what is read in it is of one moment."""
        try:
            async with self._engine.begin() as connection:
                yield connection
        except OperationalError as error:
            raise UnavailableError("registry_unavailable", str(error.orig), url=self._shown_url()) from error
        except DatabaseError as error:
            if self._url.get_backend_name() == "sqlite" and "not a database" in str(error.orig):
                raise CorruptError("registry_corrupt", str(error.orig), file=self._url.database) from error
            raise

    @asynccontextmanager
    async def change(self) -> AsyncIterator[AsyncConnection]:
        """Begin a transaction that makes the next revision."""
        async with self.transaction() as connection:
            # First, so that the write lock is held before anything is read: two writers cannot both pass the checks.
            await connection.execute(schema.state.update().values(revision=schema.state.c.revision + 1))
            yield connection

    def _shown_url(self) -> str:
        return self._url.render_as_string(hide_password=True)


async def device_problems(
    connection: AsyncConnection, devices: Sequence[Device], beside: Sequence[Device]
) -> list[validation.Problem]:
    """Return what is wrong with ``devices`` beside others, which are registered already."""
    own = validation.device_problems(
        devices,
        {(device.site, device.id) for device in beside},
        await rows.place_keys(connection),
        {device.serial for device in beside if device.serial is not None},
    )
    foreign = validation.network_id_problems(
        devices,
        {(device.source, device.network_id) for device in beside if device.source},
        {source.id: source for source in await rows.sources(connection)},
        {site.id: site.partition for site in await rows.sites(connection)},
    )
    return [*own, *foreign]


def _prepare_sqlite(connection: SqliteConnection, _record: ConnectionPoolEntry) -> None:
    # The driver begins a transaction before a write only; two reads of a snapshot would then see two moments.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("foreign_keys=ON", "journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: SyncConnection) -> None:
    connection.exec_driver_sql("BEGIN")
