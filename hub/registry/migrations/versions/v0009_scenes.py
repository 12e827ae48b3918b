"""Which scenes (packs of rules) are switched off at a site, since when and why."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "scenes_off",
        sa.Column("site", sa.String(64), primary_key=True),
        sa.Column("scene", sa.String(64), primary_key=True),
        sa.Column("reason", sa.String(256), nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
    )
