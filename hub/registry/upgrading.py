"""How the registry's tables come to be, and how those of an older hub become the present ones: by Alembic."""

from __future__ import annotations

from pathlib import Path

import structlog
from sqlalchemy import Connection, inspect, text

from hub.errors import ConfigError

log = structlog.get_logger(__name__)

HEAD = "0009"
"""The newest of ``migrations/versions``: with it Alembic is not even imported. A test holds the two together."""
MIGRATIONS = Path(__file__).parent / "migrations"


def version(connection: Connection) -> str:
    """Return the version of the tables; empty for an empty database."""
    found = inspect(connection)
    if found.has_table("alembic_version"):
        return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one())
    if found.has_table("registry_state"):  # from before Alembic: the first versions bear its numbers
        number = connection.execute(text("SELECT schema FROM registry_state")).scalar_one()
        return f"{number:04d}"
    return ""


def upgrade(connection: Connection) -> None:
    """Make the tables, or bring them to :data:`HEAD`, in this transaction; ConfigError ``registry_too_new``.

    A hub of an older version then refuses this registry: there is no way back but a backup.
    """
    found = version(connection)
    if found == HEAD:
        return
    if found > HEAD:
        raise ConfigError(
            "registry_too_new",
            f"the registry has version {found}, this hub knows {HEAD}",
            hint="run the hub that wrote it, or restore a backup",
        )
    _migrate(connection, found)
    if found:
        log.info("registry_upgraded", was=found, now=HEAD)


def _migrate(connection: Connection, found: str) -> None:
    from alembic import command  # noqa: PLC0415 -- 0.1 s that only an upgrade pays
    from alembic.config import Config  # noqa: PLC0415 -- as above

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    if found and not inspect(connection).has_table("alembic_version"):
        command.stamp(config, found)
    command.upgrade(config, HEAD)
