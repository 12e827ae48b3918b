"""A whole registry into an empty one, of another sort of database if need be: to a server, from it, into a backup."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Table, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import ConfigError
from hub.registry import schema
from hub.registry.database import Database

_AT_ONCE = 1_000

Row = Mapping[str, Any]


async def copy(source: Database, target: Database) -> int:
    """Copy every row, the audit and the revision included; return how many. ConfigError ``registry_not_empty``."""
    async with source.transaction() as reading, target.transaction() as writing:
        await _refuse_what_is_there(writing, target.shown_url)
        count = 0
        for table in schema.metadata.sorted_tables:
            rows = [dict(row) for row in (await reading.execute(table.select())).mappings()]
            if table is schema.state:
                await writing.execute(table.update().values(revision=rows[0]["revision"]))
                continue
            await _insert(writing, table, _parents_first(rows) if table is schema.places else rows)
            count += len(rows)
        if writing.dialect.name == "postgresql":
            highest = "SELECT setval(pg_get_serial_sequence('audit', 'id'), (SELECT coalesce(max(id), 1) FROM audit))"
            await writing.execute(text(highest))
    return count


async def _refuse_what_is_there(connection: AsyncConnection, url: str) -> None:
    for table in schema.metadata.sorted_tables:
        if table is not schema.state and await connection.scalar(select(func.count()).select_from(table)):
            hint = "another registry is only copied into one that nobody has used yet"
            raise ConfigError("registry_not_empty", f"there are {table.name} in {url}", hint=hint)


async def _insert(connection: AsyncConnection, table: Table, rows: Sequence[Row]) -> None:
    for start in range(0, len(rows), _AT_ONCE):
        await connection.execute(table.insert(), [*rows[start : start + _AT_ONCE]])


def _parents_first(rows: Sequence[Row]) -> list[Row]:
    below: dict[tuple[str, str | None], list[Row]] = {}
    for row in rows:
        below.setdefault((row["site"], row["parent"]), []).append(row)
    found = [row for row in rows if row["parent"] is None]
    for row in found:  # which grows meanwhile
        found.extend(below.get((row["site"], row["id"]), ()))
    return found
