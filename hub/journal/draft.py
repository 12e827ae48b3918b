"""The draft of a checkpoint: full pieces of it, in a file without a name, so that memory need not hold them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Protocol
from zlib import crc32

from hub.errors import CorruptError


class Piece(Protocol):
    """A part of a checkpoint to which nothing is added any more."""

    def pack(self) -> bytes:
        """Return all of it."""
        ...

    def leave(self, fetch: Callable[[], bytes], /) -> None:
        """Hold nothing any more: ``fetch`` returns what was packed."""
        ...


class Draft:
    """Where pieces lie until their checkpoint is written; all of it from one thread.

    The file is gone with the process: what was not written is in the journal. A disk that takes nothing leaves pieces
    where they are.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._file: IO[bytes] | None = None
        self._end = 0

    def take(self, pieces: Sequence[Piece]) -> None:
        """Hold ``pieces`` from now on, if the disk can."""
        for piece in pieces:
            self._take(piece)

    def _take(self, piece: Piece) -> None:
        packed = piece.pack()
        try:
            if self._file is None:
                self._file = TemporaryFile(dir=self._directory, buffering=0)  # noqa: SIM115 -- until ``close``
            descriptor, written = self._file.fileno(), 0
            while written < len(packed):
                written += os.pwrite(descriptor, memoryview(packed)[written:], self._end + written)
        except OSError:
            return
        piece.leave(partial(self._read, self._end, len(packed), crc32(packed)))
        self._end += len(packed)

    def _read(self, start: int, size: int, seal: int) -> bytes:
        packed = b"" if self._file is None else os.pread(self._file.fileno(), size, start)
        if crc32(packed) != seal:
            raise CorruptError("corrupt_draft", "what was set aside for a checkpoint is not what was written")
        return packed

    def clear(self) -> None:
        """Forget every piece: the checkpoint is written."""
        self._end = 0
        if self._file is not None:
            os.ftruncate(self._file.fileno(), 0)

    def close(self) -> None:
        """Give the file up."""
        if self._file is not None:
            self._file.close()
            self._file = None
