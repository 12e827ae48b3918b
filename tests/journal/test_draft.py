"""Pieces of a checkpoint that lie in a file without a name until it is written."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from hub.engine.encoded import PIECE_BYTES, Encoded
from hub.errors import CorruptError
from hub.journal.state_file import StateFile

LONG = "x" * (PIECE_BYTES // 8)


def encoded(count: int, first: int = 0) -> Encoded:
    """Return ``count`` entries, every third one gone, of which eight make a full piece."""
    found = Encoded()
    for number in range(first, first + count):
        found.add(f"device/s1/{number:03}", None if number % 3 == 2 else [number, LONG])
    return found


def entries(count: int, first: int = 0) -> dict[str, bytes]:
    numbers = (number for number in range(first, first + count) if number % 3 != 2)
    return {f"device/s1/{number:03}": msgspec.msgpack.encode([number, LONG]) for number in numbers}


async def saved(file: StateFile) -> Mapping[str, bytes]:
    return dict((await file.load()).entries)


def state(tmp_path: Path) -> StateFile:
    return StateFile(tmp_path / "state.sqlite", "journal-1")


async def test_a_checkpoint_whose_full_pieces_lie_elsewhere_holds_what_it_would_hold(tmp_path: Path) -> None:
    checkpoint = encoded(40)
    assert len(checkpoint.full()) == 3
    async with state(tmp_path) as file:
        await file.set_aside(checkpoint.full())
        assert checkpoint.full() == []
        checkpoint.add("device/s1/999", None)
        assert dict(checkpoint.items()) == {**encoded(40), "device/s1/999": None}
        await file.checkpoint(7, checkpoint, [], [])
        assert await saved(file) == entries(40)
    assert {path.name for path in tmp_path.iterdir()} == {"state.sqlite"}


async def test_the_next_checkpoint_begins_with_an_empty_draft(tmp_path: Path) -> None:
    async with state(tmp_path) as file:
        for position in (1, 2):
            checkpoint = encoded(30, first=position * 30)
            await file.set_aside(checkpoint.full())
            await file.checkpoint(position, checkpoint, [], [])
        assert await saved(file) == entries(60, first=30)


async def test_what_is_set_aside_takes_no_memory(tmp_path: Path) -> None:
    checkpoint = encoded(80)
    async with state(tmp_path) as file:
        await file.set_aside(checkpoint.full())
        held = checkpoint._pieces  # noqa: SLF001 -- its memory is the point
        assert sum(len(piece.bodies) + len(piece.keys) for piece in held) < PIECE_BYTES


async def test_pieces_stay_where_they_are_when_the_disk_takes_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "no space left on device")

    checkpoint = encoded(40)
    async with state(tmp_path) as file:
        with monkeypatch.context() as patch:
            patch.setattr(os, "pwrite", full)
            await file.set_aside(checkpoint.full())
        assert len(checkpoint.full()) == 3
        await file.checkpoint(7, checkpoint, [], [])
        assert await saved(file) == entries(40)


async def test_a_draft_that_is_damaged_leaves_the_checkpoint_before(tmp_path: Path) -> None:
    checkpoint = encoded(40)
    async with state(tmp_path) as file:
        await file.checkpoint(3, {"device/s1/000": b"before"}, [], [])
        await file.set_aside(checkpoint.full())
        draft = file._draft._file  # noqa: SLF001 -- it has no name
        assert draft is not None
        os.pwrite(draft.fileno(), b"?", PIECE_BYTES // 2)
        with pytest.raises(CorruptError) as caught:
            await file.checkpoint(7, checkpoint, [], [])
        assert caught.value.code == "corrupt_draft"
        assert ((await file.load()).position, await saved(file)) == (3, {"device/s1/000": b"before"})
