"""A change of the registry that is cancelled, wherever it is: nothing of it is kept, and nobody waits for its lock."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from hub.registry.nouns import Site
from hub.registry.registry import Registry
from tests.interrupted import Interrupted, here
from tests.registry.conftest import sqlite_url
from tests.waiting import wait_until


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Keep the collector away, which comes by when it likes."""
    gc.disable()
    yield
    gc.enable()


def is_free(file: Path) -> bool:
    """Return whether a change could begin now."""
    with closing(sqlite3.connect(file, timeout=0, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
    return True


@pytest.mark.usefixtures("uncollected")
async def test_a_change_that_is_cancelled_anywhere_is_in_nobodys_way(tmp_path: Path) -> None:
    """Behind a cut off SELECT its lock outlived its connection until the collector came by: "database is locked"."""
    file, at, reached = tmp_path / "data" / "registry.sqlite", 0, True
    async with Registry(sqlite_url(tmp_path)) as registry:
        while reached:
            at += 1
            adding = Interrupted(registry.add_site(Site(id=f"s{at}", zone="Asia/Shanghai")), at)
            try:
                await adding
            except asyncio.CancelledError:
                here().uncancel()
            reached = adding.reached
            await wait_until(lambda: is_free(file))
        assert at > 10
        assert f"s{at}" in {site.id for site in await registry.sites()}
