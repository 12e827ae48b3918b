"""The tables of the registry, and how an older file becomes the present one."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import JSON, Column, Connection, ForeignKeyConstraint, Index, Integer, MetaData, String, Table, inspect

from hub.errors import ConfigError

metadata = MetaData()

# One row: the version of these tables, and the revision that every change bumps in its own transaction.
state = Table(
    "registry_state",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("schema", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
)

places = Table(
    "places",
    metadata,
    Column("site", String(64), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("parent", String(64)),
    Column("type", String(32), nullable=False),
    Column("zone", String(64)),  # of a site only
    Column("partition", String(64)),  # of a site only
    Column("label", JSON, nullable=False),
    Column("facts", JSON, nullable=False),
    Column("consents", JSON, nullable=False, server_default="{}"),
    ForeignKeyConstraint(["site", "parent"], ["places.site", "places.id"]),
)

sources = Table(
    "sources",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("network", String(64), nullable=False),
    Column("partition", String(64), nullable=False),
    Column("params", JSON, nullable=False),
)

devices = Table(
    "devices",
    metadata,
    Column("site", String(64), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("kind", String(64), nullable=False),
    Column("profile", String(128), nullable=False),
    Column("place", String(64), nullable=False),
    Column("params", JSON, nullable=False),
    Column("serial", String(128), unique=True),
    Column("state", String(16), nullable=False),
    Column("user", String(64), nullable=False),
    Column("source", String(64)),
    Column("network_id", String(128)),
    ForeignKeyConstraint(["site", "place"], ["places.site", "places.id"]),
    Index("devices_by_user", "user"),
    Index("devices_by_network_id", "source", "network_id", unique=True),
)

# The site is empty for what holds at every site, so it is no foreign key.
entries = Table(
    "list_entries",
    metadata,
    Column("site", String(64), primary_key=True),
    Column("list", String(64), primary_key=True),
    Column("value", String(128), primary_key=True),
    Column("valid", String(64), nullable=False),
    Column("note", String(256), nullable=False),
)

params = Table(
    "params",
    metadata,
    Column("rule", String(64), primary_key=True),
    Column("profile", String(128), primary_key=True),
    Column("site", String(64), primary_key=True),
    Column("place", String(64), primary_key=True),
    Column("device", String(64), primary_key=True),
    Column("values", JSON, nullable=False),
)

credentials = Table(
    "credentials",
    metadata,
    Column("user", String(64), primary_key=True),
    Column("password_hash", String(256), nullable=False),
)


def _add_sources(connection: Connection) -> None:
    sources.create(connection)
    for column in ("source VARCHAR(64)", "network_id VARCHAR(128)"):
        connection.exec_driver_sql(f"ALTER TABLE devices ADD COLUMN {column}")
    next(index for index in devices.indexes if index.name == "devices_by_network_id").create(connection)


def _add_circumstances(connection: Connection) -> None:
    entries.create(connection)
    params.create(connection)
    connection.exec_driver_sql("ALTER TABLE places ADD COLUMN consents JSON DEFAULT '{}' NOT NULL")


MIGRATIONS: tuple[Callable[[Connection], None], ...] = (_add_sources, _add_circumstances)
"""Step n takes tables of version n + 1 to version n + 2."""

VERSION = 1 + len(MIGRATIONS)


def upgrade(connection: Connection) -> None:
    """Create the tables, or bring them to :data:`VERSION`; ConfigError when a newer hub has written them."""
    if not inspect(connection).has_table(state.name):
        metadata.create_all(connection)
        connection.execute(state.insert().values(id=1, schema=VERSION, revision=0))
        return
    found = connection.execute(state.select()).one().schema
    if found > VERSION:
        raise ConfigError(
            "registry_too_new",
            f"the registry has schema {found}, this hub knows {VERSION}",
            hint="run the hub that wrote it",
        )
    for step in MIGRATIONS[found - 1 :]:
        step(connection)
    connection.execute(state.update().values(schema=VERSION))
