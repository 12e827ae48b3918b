"""What tests of the registry get: a database of SQLite and of PostgreSQL in turn, and a registry in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hub.registry.registry import Registry
from tests.machine import needs
from tests.ready_registry import lay_ready
from tests.servers.postgres import PostgresServer

SQLITE, POSTGRES = "sqlite", "postgres"


def sqlite_url(directory: Path) -> str:
    """Return the URL of a file in ``directory``."""
    return f"sqlite+aiosqlite:///{directory / 'data' / 'registry.sqlite'}"


def ready_url(directory: Path) -> str:
    """Return the URL of a file in ``directory`` that has the tables of a registry."""
    lay_ready(directory / "data")
    return sqlite_url(directory)


each_database = pytest.fixture(params=[SQLITE, pytest.param(POSTGRES, marks=needs("postgres"))])


@each_database
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database."""
    if request.param == SQLITE:
        return sqlite_url(tmp_path)
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.database()


@each_database
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a registry with nothing in it: its tables are made."""
    if request.param == SQLITE:
        return ready_url(tmp_path)
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.registry()


@pytest.fixture
async def registry(url: str) -> AsyncIterator[Registry]:
    async with Registry(url, actor="mei") as opened:
        yield opened
