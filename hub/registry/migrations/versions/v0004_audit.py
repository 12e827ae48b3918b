"""The audit, which can only grow: the database itself refuses to change or remove a line of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

SQLITE = """
CREATE TRIGGER audit_is_never_{verb} BEFORE {what} ON audit
BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END
"""
POSTGRES = """
CREATE FUNCTION refuse_to_touch_the_audit() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the audit is append-only'; END $$;
CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_touch_the_audit()
"""


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.String(128), nullable=False),
        sa.Column("os_user", sa.String(128), nullable=False),
        sa.Column("what", sa.String(64), nullable=False),
        sa.Column("subject", sa.String(256), nullable=False),
        sa.Column("before", sa.JSON),
        sa.Column("after", sa.JSON),
        sa.Column("reason", sa.String(256), nullable=False),
        sa.Column("revision", sa.Integer),
        sqlite_autoincrement=True,
    )
    op.create_index("audit_by_time", "audit", ["at"])
    if op.get_bind().dialect.name == "sqlite":
        for verb, what in (("changed", "UPDATE"), ("removed", "DELETE")):
            op.execute(SQLITE.format(verb=verb, what=what))
    else:
        op.execute(POSTGRES)
    # What hubs from before Alembic read: they refuse what they do not know. It stays so.
    op.execute("UPDATE registry_state SET schema = 4")
