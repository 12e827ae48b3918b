"""The tables of the registry as they are now; `migrations/` makes them."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, ForeignKeyConstraint, Index, Integer, MetaData, String, Table

metadata = MetaData()

# One row: the revision that every change bumps in its own transaction; `schema` is what hubs before Alembic read.
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
    Column("code", String(40), nullable=False, server_default=""),
    Column("geometry", JSON, nullable=False, server_default="{}"),
    ForeignKeyConstraint(["site", "parent"], ["places.site", "places.id"]),
)

# What cities, streets and communities are called, by their standard codes.
divisions = Table(
    "divisions",
    metadata,
    Column("code", String(12), primary_key=True),
    Column("label", JSON, nullable=False),
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
    Column("gateway", String(64), nullable=False, server_default=""),
    Column("tags", JSON, nullable=False, server_default="[]"),
    ForeignKeyConstraint(["site", "place"], ["places.site", "places.id"]),
    Index("devices_by_user", "user"),
    Index("devices_by_network_id", "source", "network_id", unique=True),
)

# Site and place are empty for what holds at every site, and at all of a site, so they are no foreign keys.
entries = Table(
    "list_entries",
    metadata,
    Column("site", String(64), primary_key=True),
    Column("list", String(64), primary_key=True),
    Column("value", String(128), primary_key=True),
    Column("place", String(64), primary_key=True),
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

# What is on has no row: a scene that a newer hub brings is on, and so is what nobody has ever switched.
scenes_off = Table(
    "scenes_off",
    metadata,
    Column("site", String(64), primary_key=True),
    Column("scene", String(64), primary_key=True),
    Column("reason", String(256), nullable=False),
    Column("since", BigInteger, nullable=False),
)

# Codes that belong together, the lesser first, from a day until a day (both included; empty: always).
links = Table(
    "links",
    metadata,
    Column("one", String(160), primary_key=True),
    Column("other", String(160), primary_key=True),
    Column("begins", String(10), primary_key=True),
    Column("ends", String(10), nullable=False),
    Index("links_by_other", "other"),
)

# Whom the broker lets in by a secret; `owner` is who that is, with two users while secrets overlap. Times are wall ns.
logins = Table(
    "logins",
    metadata,
    Column("user", String(160), primary_key=True),
    Column("owner", String(160), nullable=False),
    Column("password_hash", String(256), nullable=False),
    Column("made_at", BigInteger, nullable=False),
    Column("ends_at", BigInteger),
    Index("logins_by_owner", "owner"),
)

# Rows stay when their owner is gone: who was revoked stays revoked.
certificates = Table(
    "certificates",
    metadata,
    Column("serial", String(40), primary_key=True),
    Column("owner", String(160), nullable=False),
    Column("made_at", BigInteger, nullable=False),
    Column("ends_at", BigInteger),
    Column("not_after", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    Index("certificates_by_owner", "owner"),
)

# The users of the hubs themselves, one for each connection of each partition.
hub_logins = Table(
    "hub_logins",
    metadata,
    Column("user", String(160), primary_key=True),
    Column("partition", String(64), nullable=False),
    Column("connection", String(16), nullable=False),
    Column("password_hash", String(256), nullable=False),
)

# Nobody changes or removes a row: triggers refuse it. `at` is wall ns, `revision` that of the change, none for a look.
audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("actor", String(128), nullable=False),
    Column("os_user", String(128), nullable=False),
    Column("what", String(64), nullable=False),
    Column("subject", String(256), nullable=False),
    Column("before", JSON(none_as_null=True)),
    Column("after", JSON(none_as_null=True)),
    Column("reason", String(256), nullable=False),
    Column("revision", Integer),
    Index("audit_by_time", "at"),
    sqlite_autoincrement=True,
)
