"""The first tables: places, devices, credentials, and the revision."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision: str | None = None


def upgrade() -> None:
    op.create_table(
        "registry_state",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("schema", sa.Integer, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
    )
    op.execute("INSERT INTO registry_state VALUES (1, 1, 0)")
    op.create_table(
        "places",
        sa.Column("site", sa.String(64), primary_key=True),
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("parent", sa.String(64)),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("zone", sa.String(64)),
        sa.Column("partition", sa.String(64)),
        sa.Column("label", sa.JSON, nullable=False),
        sa.Column("facts", sa.JSON, nullable=False),
        sa.ForeignKeyConstraint(["site", "parent"], ["places.site", "places.id"]),
    )
    op.create_table(
        "devices",
        sa.Column("site", sa.String(64), primary_key=True),
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("profile", sa.String(128), nullable=False),
        sa.Column("place", sa.String(64), nullable=False),
        sa.Column("params", sa.JSON, nullable=False),
        sa.Column("serial", sa.String(128), unique=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("user", sa.String(64), nullable=False),
        sa.ForeignKeyConstraint(["site", "place"], ["places.site", "places.id"]),
    )
    op.create_index("devices_by_user", "devices", ["user"])
    op.create_table(
        "credentials",
        sa.Column("user", sa.String(64), primary_key=True),
        sa.Column("password_hash", sa.String(256), nullable=False),
    )
