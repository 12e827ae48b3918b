"""Pieces of a checkpoint that lie in a file without a name until it is written."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from hub.engine.encoded import PIECE_BYTES, Encoded
from hub.errors import ConfigError, HubError
from hub.journal import state_file
from hub.journal.room import AMPLE_BYTES
from hub.journal.state_file import StateFile, _put_meta

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
    return StateFile(tmp_path / "state.sqlite", "journal-1", free=lambda _: 2**40)


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


def unreadable(*_: object) -> bytes:
    raise OSError(errno.EIO, "input/output error")


@pytest.mark.parametrize("damage", ["a changed byte", "an unreadable one"])
async def test_a_draft_that_is_damaged_leaves_the_checkpoint_before_and_says_that_a_restart_mends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    checkpoint = encoded(40)
    async with state(tmp_path) as file:
        await file.checkpoint(3, {"device/s1/000": b"before"}, [], [])
        await file.set_aside(checkpoint.full())
        draft = file._draft._file  # noqa: SLF001 -- it has no name
        assert draft is not None
        if damage == "a changed byte":
            os.pwrite(draft.fileno(), b"?", PIECE_BYTES // 2)
        else:
            monkeypatch.setattr(os, "pread", unreadable)
        with pytest.raises(HubError, match="a restart makes the checkpoint anew") as caught:
            await file.checkpoint(7, checkpoint, [], [])
        assert caught.value.code == "draft_lost"
        assert not isinstance(caught.value, ConfigError)  # which would say that somebody must mend something
        assert ((await file.load()).position, await saved(file)) == (3, {"device/s1/000": b"before"})


async def test_a_draft_that_cannot_be_emptied_gives_way_to_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with state(tmp_path) as file:
        for position in (1, 2):
            checkpoint = encoded(30, first=position * 30)
            await file.set_aside(checkpoint.full())
            assert checkpoint.full() == []
            with monkeypatch.context() as patch:
                patch.setattr(os, "ftruncate", unreadable)
                await file.checkpoint(position, checkpoint, [], [])
        assert await saved(file) == entries(60, first=30)


async def test_a_disk_without_ample_room_keeps_it_for_the_journal_and_the_checkpoint(tmp_path: Path) -> None:
    checkpoint = encoded(40)
    async with StateFile(tmp_path / "state.sqlite", "journal-1", free=lambda _: 100 * 2**20) as file:
        await file.set_aside(checkpoint.full())
        assert len(checkpoint.full()) == 3
        await file.checkpoint(7, checkpoint, [], [])
        assert await saved(file) == entries(40)


async def test_a_draft_leaves_twice_its_own_size_for_the_checkpoint(tmp_path: Path) -> None:
    checkpoint = encoded(80)
    async with StateFile(tmp_path / "state.sqlite", "journal-1", free=lambda _: AMPLE_BYTES + 5 * PIECE_BYTES) as file:
        total = len(checkpoint.full())
        await file.set_aside(checkpoint.full())
        assert total - len(checkpoint.full()) == 3


async def test_a_checkpoint_that_the_disk_refuses_gets_the_room_that_its_draft_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``put`` stands for a disk that refuses the write as long as the draft lies on it."""
    checkpoint = encoded(40)
    async with state(tmp_path) as file:
        await file.set_aside(checkpoint.full())
        draft = file._draft._file  # noqa: SLF001 -- it has no name
        assert draft is not None

        def put(connection: sqlite3.Connection, name: str, value: str) -> None:
            if os.fstat(draft.fileno()).st_size:
                full = sqlite3.OperationalError("database or disk is full")
                full.sqlite_errorcode = sqlite3.SQLITE_FULL
                raise full
            _put_meta(connection, name, value)

        monkeypatch.setattr(state_file, "_put_meta", put)
        await file.checkpoint(7, checkpoint, [], [])
        assert await saved(file) == entries(40)
        assert len(checkpoint.full()) == 3
