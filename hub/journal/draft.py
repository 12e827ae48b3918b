"""The draft of a checkpoint: full pieces of it, in a file without a name, so that memory need not hold them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Protocol
from zlib import crc32

from hub.errors import HubError
from hub.journal.room import AMPLE_BYTES


class Piece(Protocol):
    """A part of a checkpoint to which nothing is added any more."""

    def pack(self) -> bytes:
        """Return all of it."""
        ...

    def leave(self, fetch: Callable[[], bytes], /) -> None:
        """Hold nothing any more: ``fetch`` returns what was packed."""
        ...

    def come_back(self) -> None:
        """Hold again what ``fetch`` returns."""
        ...


class Draft:
    """Where pieces lie until their checkpoint is written; all of it from one thread.

    The file is gone with the process: what was not written is in the journal. A disk without ample room, as ``free``
    says, leaves pieces where they are: the checkpoint needs the room twice, in its WAL and where its rows come to lie.
    """

    def __init__(self, directory: Path, free: Callable[[Path], int]) -> None:
        self._directory = directory
        self._free = free
        self._file: IO[bytes] | None = None
        self._held: list[Piece] = []
        self._end = 0

    def take(self, pieces: Sequence[Piece]) -> None:
        """Hold ``pieces`` from now on, if the disk can."""
        with suppress(OSError):
            for piece in pieces:
                if self._free(self._directory) < AMPLE_BYTES + 2 * self._end:
                    break
                self._take(piece)

    def _take(self, piece: Piece) -> None:
        packed = piece.pack()
        if self._file is None:
            self._file = TemporaryFile(dir=self._directory, buffering=0)  # noqa: SIM115 -- until ``close``
        descriptor, written = self._file.fileno(), 0
        while written < len(packed):
            written += os.pwrite(descriptor, memoryview(packed)[written:], self._end + written)
        piece.leave(partial(self._read, self._end, len(packed), crc32(packed)))
        self._held.append(piece)
        self._end += len(packed)

    def _read(self, start: int, size: int, seal: int) -> bytes:
        try:
            packed = b"" if self._file is None else os.pread(self._file.fileno(), size, start)
        except OSError as error:
            raise _lost(str(error)) from error
        if crc32(packed) != seal:
            reason = "it is not what was written"
            raise _lost(reason)
        return packed

    def give_back(self) -> bool:
        """Let every piece be where it was, and the disk have its room; False when there was none."""
        for piece in self._held:
            piece.come_back()
        had_pieces = bool(self._held)
        self.clear()
        return had_pieces

    def clear(self) -> None:
        """Forget every piece: the checkpoint is written."""
        self._held, self._end = [], 0
        if self._file is not None:
            try:
                os.ftruncate(self._file.fileno(), 0)
            except OSError:  # then another file takes the next pieces
                self.close()

    def close(self) -> None:
        """Give the file up."""
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):
                file.close()


def _lost(reason: str) -> HubError:
    message = f"what was set aside for a checkpoint cannot be read again: {reason}"
    return HubError("draft_lost", f"{message}; the journal is whole, and a restart makes the checkpoint anew from it")
