"""What tests of backups look at: the rows of a database, the members of a file, an office with secrets."""

from __future__ import annotations

import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.ui.office import Office

SECRET = "planted-secret-7f3a"


def rows(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return everything in a SQLite file."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {table: sorted(database.execute(f"SELECT * FROM {table}"), key=repr) for table in tables}  # noqa: S608 -- names of its own


def with_secrets(office: Office) -> Office:
    """Put secrets into both files of an office."""
    office.json("places", "add", "garden", "b1", "--type", "building")
    settings = office.directory / "hub.toml"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(f'{text}[redis]\nurl = "redis://:{SECRET}@127.0.0.1/0"\n', encoding="utf-8")
    secrets = f'[mqtt.passwords]\nevents = "{SECRET}-too"\n'
    (office.directory / "secrets.toml").write_text(secrets, encoding="utf-8")
    return office


def members(file: Path) -> dict[str, bytes]:
    """Return what is in a backup."""
    with tarfile.open(file) as archive:
        found = {member.name: archive.extractfile(member) for member in archive}
        return {name: part.read() for name, part in found.items() if part is not None}
