"""The files of a running or stopped hub, read from outside."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from hub.errors import CorruptError
from hub.journal.files import RESTORE, read_rows
from hub.journal.records import COLUMNS, Decode, from_row, is_sealed
from hub.journal.state_file import META
from hub.model.records import Record


class Progress(NamedTuple):
    """How far a state file is: its journal ("" without a file), the checkpoint, the highest record a sink confirmed."""

    journal: str
    position: int
    highest: int


def read_last(path: Path, limit: int, decode: Decode) -> list[Record]:
    """Return the last ``limit`` records in order, without bodies of revisions; CorruptError for a damaged one."""
    query = f"SELECT {COLUMNS} FROM records ORDER BY position DESC LIMIT ?"  # noqa: S608 -- a constant
    return [from_row(row, decode, lambda _: {}) for row in reversed(read_rows(path, query, (limit,)))]


def read_progress(path: Path) -> Progress:
    """Return how far the state is; CorruptError when that cannot be read."""
    if not path.exists():
        return Progress("", 0, 0)
    meta = read_rows(path, "SELECT name, value, checksum FROM meta")
    cursors = read_rows(path, "SELECT sink, record, checksum FROM cursors")
    if not all(is_sealed(row[-1], b"", *row[:-1]) for row in (*meta, *cursors)) or {row[0] for row in meta} != META:
        raise CorruptError("corrupt_row", "nobody knows how far it is", file=str(path), hint=RESTORE)
    words = {name: value for name, value, _ in meta}
    position = int(words["position"])
    return Progress(words["journal"], position, max(position, *(row[1] for row in cursors), 0))
