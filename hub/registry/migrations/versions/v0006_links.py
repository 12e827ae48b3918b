"""The five codes: which person, household, vehicle, device and place belong together, and when."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "links",
        sa.Column("one", sa.String(160), primary_key=True),
        sa.Column("other", sa.String(160), primary_key=True),
        sa.Column("begins", sa.String(10), primary_key=True),
        sa.Column("ends", sa.String(10), nullable=False),
    )
    op.create_index("links_by_other", "links", ["other"])
