"""Lists, parameters of rules, and who agreed to a fact about a person."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "list_entries",
        sa.Column("site", sa.String(64), primary_key=True),
        sa.Column("list", sa.String(64), primary_key=True),
        sa.Column("value", sa.String(128), primary_key=True),
        sa.Column("valid", sa.String(64), nullable=False),
        sa.Column("note", sa.String(256), nullable=False),
    )
    op.create_table(
        "params",
        sa.Column("rule", sa.String(64), primary_key=True),
        sa.Column("profile", sa.String(128), primary_key=True),
        sa.Column("site", sa.String(64), primary_key=True),
        sa.Column("place", sa.String(64), primary_key=True),
        sa.Column("device", sa.String(64), primary_key=True),
        sa.Column("values", sa.JSON, nullable=False),
    )
    op.add_column("places", sa.Column("consents", sa.JSON, nullable=False, server_default="{}"))
