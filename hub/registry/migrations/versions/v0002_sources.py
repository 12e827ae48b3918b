"""Foreign networks, and what they call their devices."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "sources",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("network", sa.String(64), nullable=False),
        sa.Column("partition", sa.String(64), nullable=False),
        sa.Column("params", sa.JSON, nullable=False),
    )
    op.add_column("devices", sa.Column("source", sa.String(64)))
    op.add_column("devices", sa.Column("network_id", sa.String(128)))
    op.create_index("devices_by_network_id", "devices", ["source", "network_id"], unique=True)
