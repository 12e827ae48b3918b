"""What stands on a list may count at one place only: a visitor's pass for a building. The key grows, so a new table."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "entries",
        sa.Column("site", sa.String(64), primary_key=True),
        sa.Column("list", sa.String(64), primary_key=True),
        sa.Column("value", sa.String(128), primary_key=True),
        sa.Column("place", sa.String(64), primary_key=True),
        sa.Column("valid", sa.String(64), nullable=False),
        sa.Column("note", sa.String(256), nullable=False),
    )
    op.execute("INSERT INTO entries SELECT site, list, value, '', valid, note FROM list_entries")
    op.drop_table("list_entries")
    op.rename_table("entries", "list_entries")
