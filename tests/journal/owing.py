"""An outbox of a test, what it owes, and what is taken from it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from hub.journal.outbox import TIMESERIES, Outbox, Places
from hub.journal.state_file import StateFile
from hub.model.effects import LineWork
from tests.journal.papers import lines

NOW = timedelta(0)

SHORT = timedelta(milliseconds=20)


@asynccontextmanager
async def outbox(directory: Path, places: Places = TIMESERIES) -> AsyncIterator[tuple[Outbox[LineWork], StateFile]]:
    """Open an outbox as the hub does at start."""
    async with StateFile(directory / "state.sqlite", "j") as file:
        saved = await file.load()
        box = Outbox(places, file, LineWork, cursor=saved.cursors.get(places.sink, 0))
        await box.open(saved.tallies.get(places.sink, {}))
        yield box, file


def owe(box: Outbox[LineWork], *positions: int, size: int = 10) -> None:
    for position in positions:
        box.add(position, lines(b"%d" % position), 1, size)


def told(taken: list[tuple[int, LineWork]]) -> list[int]:
    """Return the positions; each work must be the one that was owed there."""
    assert [work.lines for _, work in taken] == [[b"%d" % position] for position, _ in taken]
    return [position for position, _ in taken]


async def take(box: Outbox[LineWork], items: int = 1_000) -> list[int]:
    return told(await box.take(items=items, linger=NOW))


def owed(box: Outbox[LineWork]) -> tuple[int, int]:
    return box.owed.number, box.owed.size
