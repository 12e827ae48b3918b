"""A registry that is made already: the steps of Alembic take 0.1 s, and the file that they leave can be copied."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from hub.registry.registry import Registry

FILE = "registry.sqlite"
MARK = "registry.end"


def lay_ready(directory: Path) -> Path:
    """Put an empty registry into ``directory``, as a hub would make it there; return its file."""
    directory.mkdir(parents=True, exist_ok=True)
    assert not (directory / FILE).exists()
    for name, body in _made().items():
        (directory / name).touch(mode=0o600)
        (directory / name).write_bytes(body)
    return directory / FILE


@cache
def _made() -> dict[str, bytes]:
    """Return what a registry leaves that was opened for the first time, and closed; once for all tests."""
    with TemporaryDirectory() as directory:
        make(f"sqlite+aiosqlite:///{Path(directory) / FILE}")
        found = {each.name: each.read_bytes() for each in Path(directory).iterdir()}
    assert found.keys() == {FILE, MARK}, found.keys()
    return found


def make(url: str) -> None:
    """Open the registry at ``url`` for the first time, beside a loop that may be running here."""
    with ThreadPoolExecutor(1) as aside:
        aside.submit(lambda: asyncio.run(_open(url))).result()


async def _open(url: str) -> None:
    async with Registry(url):
        pass
