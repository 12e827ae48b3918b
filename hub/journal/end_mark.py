"""The end mark: a few bytes beside the journal that say how far it reached, so that it cannot become shorter unseen.

SQLite drops the tail of a WAL from the first damaged frame on and says nothing; the last acknowledged records would
be gone. The mark is written after each fsync and not fsynced itself (1.5 us an append): a killed process leaves the
right one, a power failure an older one. It is never ahead of the journal.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import structlog

from hub.journal.records import checksum

log = structlog.get_logger(__name__)


class EndMark:
    """The file of one mark; closed until ``write`` is first called."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def read(self) -> tuple[str, int] | None:
        """Return (journal id, last position); None where there is none, or a damaged one, which is logged."""
        try:
            words = self.path.read_bytes().split()
            journal, position, seal = words[0].decode(), int(words[1]), int(words[2])
        except FileNotFoundError:
            return None
        except (ValueError, IndexError):
            seal, journal, position = -1, "", 0
        if seal != checksum(b"", journal, position):
            log.warning("end_mark_damaged", file=str(self.path))
            return None
        return journal, position

    def write(self, journal: str, position: int) -> None:
        """Say that the journal reaches ``position``; a disk that refuses it costs the check, not the record."""
        text = b"%s %020d %010d\n" % (journal.encode(), position, checksum(b"", journal, position))
        with suppress(OSError):
            if self._descriptor is None:
                self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.pwrite(self._descriptor, text, 0)

    def close(self) -> None:
        """Close the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
