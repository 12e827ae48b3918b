"""Address codes and geometry of places, names of cities and streets, gateways and tags of devices."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "divisions",
        sa.Column("code", sa.String(12), primary_key=True),
        sa.Column("label", sa.JSON, nullable=False),
    )
    op.add_column("places", sa.Column("code", sa.String(40), nullable=False, server_default=""))
    op.add_column("places", sa.Column("geometry", sa.JSON, nullable=False, server_default="{}"))
    op.add_column("devices", sa.Column("gateway", sa.String(64), nullable=False, server_default=""))
    op.add_column("devices", sa.Column("tags", sa.JSON, nullable=False, server_default="[]"))
