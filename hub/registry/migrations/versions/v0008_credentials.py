"""Two secrets of one user while they overlap, client certificates, and the hub's own users of every partition."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "logins",
        sa.Column("user", sa.String(160), primary_key=True),
        sa.Column("owner", sa.String(160), nullable=False),
        sa.Column("password_hash", sa.String(256), nullable=False),
        sa.Column("made_at", sa.BigInteger, nullable=False),
        sa.Column("ends_at", sa.BigInteger),
    )
    op.create_index("logins_by_owner", "logins", ["owner"])
    op.execute('INSERT INTO logins SELECT "user", "user", password_hash, 0, NULL FROM credentials')
    op.drop_table("credentials")
    op.create_table(
        "certificates",
        sa.Column("serial", sa.String(40), primary_key=True),
        sa.Column("owner", sa.String(160), nullable=False),
        sa.Column("made_at", sa.BigInteger, nullable=False),
        sa.Column("ends_at", sa.BigInteger),
        sa.Column("not_after", sa.BigInteger, nullable=False),
        sa.Column("revoked_at", sa.BigInteger),
    )
    op.create_index("certificates_by_owner", "certificates", ["owner"])
    op.create_table(
        "hub_logins",
        sa.Column("user", sa.String(160), primary_key=True),
        sa.Column("partition", sa.String(64), nullable=False),
        sa.Column("connection", sa.String(16), nullable=False),
        sa.Column("password_hash", sa.String(256), nullable=False),
    )
