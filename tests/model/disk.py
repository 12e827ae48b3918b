"""The disk of the model: SQLite in memory behind the hub's own journal and state file; it outlives the process."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from enum import Enum, auto
from pathlib import Path
from typing import Self, TypeVar

from typing_extensions import override

from hub.bridge.frames import decode_packets
from hub.errors import UnavailableError
from hub.journal.files import SqliteFile
from hub.journal.journal import SCHEMA as JOURNAL_SCHEMA
from hub.journal.journal import VERSION, Journal
from hub.journal.records import COLUMNS, bodies_of, from_row
from hub.journal.state_file import SCHEMA as STATE_SCHEMA
from hub.journal.state_file import StateFile
from hub.model.records import Record
from tests.engine.desk import JOURNAL
from tests.model.still import Doors

R = TypeVar("R")
PARTITION = "p1"
ROOM_BYTES = 1 << 40
NAMES = {"journal": JOURNAL_SCHEMA, "state": STATE_SCHEMA}


class Space(Enum):
    """What the disk still takes: anything; anything but states; what the journal has kept room for; nothing."""

    PLENTY = auto()
    NO_STATE = auto()
    LITTLE = auto()
    NONE = auto()


class Disk:
    """Two files, and the space for them. ``on_journaled`` hears of what became durable, ``on_saved`` of states."""

    def __init__(self) -> None:
        self.connections = {name: sqlite3.connect(":memory:", isolation_level=None) for name in NAMES}
        for name, schema in NAMES.items():
            self.connections[name].executescript(schema)
        known = [("id", JOURNAL), ("partition", PARTITION), ("version", VERSION)]
        self.connections["journal"].executemany("INSERT INTO meta VALUES (?, ?)", known)
        self.space = Space.PLENTY
        self.mark: tuple[str, int] | None = None
        self.on_journaled: Callable[[list[Record]], None] = lambda _: None
        self.on_saved: Callable[[], None] = lambda: None
        self._last = 0

    def journal(self, doors: Doors) -> Journal:
        """Return the hub's journal, on this disk."""
        journal = Journal(Path("model/journal.sqlite"), PARTITION, decode_packets, free=self._free)
        journal._file = DiskFile("journal", self, doors)  # noqa: SLF001 -- the file and its thread are what is simulated
        journal._mark = _Mark(self)  # type: ignore[assignment] # noqa: SLF001 -- as above
        return journal

    def state_file(self, doors: Doors) -> StateFile:
        """Return the hub's state file, on this disk."""
        state_file = StateFile(Path("model/state.sqlite"), JOURNAL)
        state_file._file = DiskFile("state", self, doors)  # noqa: SLF001 -- as above
        return state_file

    def takes(self, name: str) -> bool:
        """Return whether there is space for a write to a file."""
        return self.space is Space.PLENTY or (name == "journal" and self.space is not Space.NONE)

    def _free(self, _path: Path) -> int:
        return ROOM_BYTES if self.space in {Space.PLENTY, Space.NO_STATE} else 0

    def journaled(self) -> None:
        """Tell of the records that became durable."""
        connection = self.connections["journal"]
        query = f"SELECT {COLUMNS} FROM records WHERE position > ? ORDER BY position"  # noqa: S608 -- a constant
        rows = connection.execute(query, (self._last,)).fetchall()
        records = [from_row(row, decode_packets, lambda revision: bodies_of(connection, revision)) for row in rows]
        if records:
            self._last = records[-1].position
            self.on_journaled(records)

    def entries(self) -> tuple[int, dict[str, bytes]]:
        """Return the checkpoint: its position and its entries."""
        connection = self.connections["state"]
        position = connection.execute("SELECT value FROM meta WHERE name = 'position'").fetchone()
        entries = dict(connection.execute("SELECT key, body FROM entries"))
        return (0 if position is None else int(position[0])), entries

    def confirmed(self, sink: str) -> tuple[int, dict[str, int]]:
        """Return how far a sink is, and its counts."""
        connection = self.connections["state"]
        cursor = connection.execute("SELECT record FROM cursors WHERE sink = ?", (sink,)).fetchone()
        tally = dict(connection.execute("SELECT name, value FROM tallies WHERE sink = ?", (sink,)))
        return (0 if cursor is None else cursor[0]), tally

    def covered(self) -> list[tuple[str, int]]:
        """Return what the outbox holds though the cursor of its sink covers it: it would lie there for ever."""
        query = "SELECT sink, outbox.record FROM outbox JOIN cursors USING (sink) WHERE outbox.record <= cursors.record"
        return self.connections["state"].execute(query).fetchall()

    def close(self) -> None:
        """Free the memory."""
        for connection in self.connections.values():
            connection.close()


class DiskFile(SqliteFile):
    """The hub's SQLite file without a file: its transactions wait at a door instead of in a thread."""

    def __init__(self, name: str, disk: Disk, doors: Doors) -> None:
        super().__init__(Path(f"model/{name}.sqlite"), NAMES[name])
        self._name = name
        self._disk = disk
        self._doors = doors

    @override
    async def __aenter__(self) -> Self:
        self._connection = self._disk.connections[self._name]
        return self

    @override
    async def __aexit__(self, *_exc: object) -> None:
        self._connection = None

    @override
    async def call(self, work: Callable[[], R]) -> R:
        return await self._doors.through(self._name, "transaction", work)

    @override
    def _transact(
        self, work: Callable[[sqlite3.Connection], R], then: Callable[[], None] | None, begin: str = "BEGIN IMMEDIATE"
    ) -> R:
        before = self._disk.connections[self._name].total_changes

        def full(connection: sqlite3.Connection) -> R:
            result = work(connection)
            if not self._disk.takes(self._name) and connection.total_changes != before:
                raise UnavailableError("disk_full", "the model's disk is full")
            return result

        self._connection = self._disk.connections[self._name]
        result = super()._transact(full, then, begin)
        if self._name == "state" and self._disk.connections[self._name].total_changes != before:
            self._disk.on_saved()
        return result


class _Mark:
    """The end mark, without its file; written right after the fsync, so that is when a record is durable."""

    def __init__(self, disk: Disk) -> None:
        self.path = Path("model/journal.end")
        self._disk = disk

    def read(self) -> tuple[str, int] | None:
        return self._disk.mark

    def write(self, journal: str, position: int) -> None:
        self._disk.mark = journal, position
        self._disk.journaled()

    def close(self) -> None:
        pass
