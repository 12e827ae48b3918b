"""The end mark: a few bytes beside a file that say how far it reached: it cannot become shorter, or empty, unseen.

SQLite drops the tail of a WAL from the first damaged frame on and says nothing; the last acknowledged records would
be gone. The mark is written after each fsync and not fsynced itself (1.5 us an append): a killed process leaves the
right one, a power failure an older one. It is never ahead of its file.
"""

from __future__ import annotations

import os
import zlib
from contextlib import suppress
from pathlib import Path

import structlog

from hub.errors import CorruptError

log = structlog.get_logger(__name__)


class EndMark:
    """The file of one mark, ``path``; closed until ``write`` is first called."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def read(self) -> tuple[str, int] | None:
        """Return (whose, how far); None where there is none, or a damaged one, which is logged."""
        try:
            words = self.path.read_bytes().split()
            owner, position, seal = words[0].decode(), int(words[1]), int(words[2])
        except FileNotFoundError:
            return None
        except (ValueError, IndexError):
            seal, owner, position = -1, "", 0
        if seal != _seal(owner, position):
            log.warning("end_mark_damaged", file=str(self.path))
            return None
        return owner, position

    def write(self, owner: str, position: int) -> None:
        """Say that the file of ``owner`` reaches ``position``; a disk that refuses it costs the check, nothing else."""
        text = b"%s %020d %010d\n" % (owner.encode(), position, _seal(owner, position))
        with suppress(OSError):
            if self._descriptor is None:
                self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.pwrite(self._descriptor, text, 0)

    def close(self) -> None:
        """Close the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def refuse_emptiness(path: Path, *, must_exist: bool) -> None:
    """CorruptError ``missing_file`` when SQLite would begin anew what was there before.

    It makes a missing file, and deletes the WAL of an empty one; a WAL never is beside an empty file after a crash.
    """
    if not _size(path) and (must_exist or _size(Path(f"{path}-wal"))):
        raise CorruptError(
            "missing_file",
            "it is gone or empty, its neighbours are there",
            file=str(path),
            hint="restore it from a backup; to begin anew move the whole directory away",
        )


def _seal(owner: str, position: int) -> int:
    return zlib.crc32(repr((owner, position)).encode())


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
