"""The reference: an engine that was never interrupted, fed with what is durable; slow, simple, and always right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import msgspec

from hub.bridge import topics
from hub.bridge.frames import decode_packets
from hub.engine.apply import Engine
from hub.model.effects import Effects
from hub.model.records import Batch, Record
from hub.model.values import Quality, Scalar
from hub.sinks.timeseries.lines import WRITING, event_line
from tests.engine.desk import JOURNAL

E = TypeVar("E", bound=Engine)
encode = msgspec.msgpack.encode


def engine(sort: type[E]) -> E:
    """Return an engine as the hub makes it."""
    return sort(JOURNAL, topics, decode_packets, WRITING)


class Came(NamedTuple):
    """What came of one record."""

    effects: Effects
    encoded: bytes
    points: int


class Repeated(NamedTuple):
    """A message that was heard before; ``surely``: and that has the packet id of then, so that the hub can tell."""

    what: str
    surely: bool


class Reference:
    """What every record did, and what the state was after it, entry by entry."""

    def __init__(self, accuse: Callable[[str], None]) -> None:
        self.engine = engine(Engine)
        self.records: list[Record] = []
        self.came: list[Came] = []
        self.keys: set[str] = set()
        self._accuse = accuse
        self._changes: list[dict[str, bytes | None]] = []
        self._folded: dict[str, bytes] = {}
        self._folded_to = 0
        self._shown: dict[tuple[str, str, str], int] = {}

    def take(self, record: Record, repeated: Sequence[Repeated]) -> None:
        """Apply a durable record, of whose messages ``repeated`` had been heard before."""
        ledger = self.engine.state.ledger
        duplicates, points = ledger.duplicate, ledger.points
        effects = self.engine.apply(record)
        self.records.append(record)
        self.came.append(Came(effects, encode(effects), ledger.points - points))
        state = self.engine.state
        state.begin_checkpoint()
        changes = dict(state.take_checkpoint())
        self._changes.append(changes)
        self.keys -= {key for key, body in changes.items() if body is None}
        self.keys |= {key for key, body in changes.items() if body is not None}
        if not ledger.is_balanced:
            self._accuse(f"the ledger does not add up after record {record.position}: {ledger}")
        if len(effects.lines) != ledger.points - points:
            self._accuse(f"{len(effects.lines)} lines, {ledger.points - points} points in record {record.position}")
        found = ledger.duplicate - duplicates
        if not sum(each.surely for each in repeated) <= found <= len(repeated):
            where = record.body.connection if isinstance(record.body, Batch) else "no connection"
            self._accuse(f"record {record.position} of {where} has {found} duplicates, should have {repeated}")
        self._look_at_twins()

    def _look_at_twins(self) -> None:
        """Nothing older replaces what is newer: of what a device measured by its own clock, and we believed."""
        changed, removed = self.engine.take_changed_twins()
        for gone in removed:
            self._shown = {key: at for key, at in self._shown.items() if key[:2] != gone}
        for twin in changed:
            for name, (_, measured_at, quality) in twin.reported.items():
                key = (twin.site, twin.name, name)
                has_clock = twin.name == "room-2" and quality is Quality.GOOD
                if has_clock and measured_at < self._shown.get(key, 0):
                    self._accuse(f"{key}: {measured_at} replaced {self._shown[key]}, which was newer")
                if has_clock:
                    self._shown[key] = measured_at
                else:
                    self._shown.pop(key, None)

    def at(self, position: int) -> dict[str, bytes]:
        """Return the state after a record, encoded; positions only grow."""
        for changes in self._changes[self._folded_to : position]:
            for key, body in changes.items():
                if body is None:
                    self._folded.pop(key, None)
                else:
                    self._folded[key] = body
        self._folded_to = max(self._folded_to, position)
        return self._folded

    def points_to(self, position: int) -> int:
        """Return how many points the records up to one came to."""
        return sum(came.points for came in self.came[:position])

    def lines(self) -> list[bytes]:
        """Return everything that the store is owed."""
        found: list[bytes] = []
        for came in self.came:
            found += [*came.effects.lines, *map(event_line, came.effects.events)]
        return found

    def events(self) -> list[tuple[str, str]]:
        """Return (name, id) of every event in order."""
        return [(event.name, event.id) for came in self.came for event in came.effects.events]

    def twin(self, site: str, name: str) -> dict[str, Scalar]:
        """Return the values of a twin."""
        found = {twin.name: twin for twin in self.engine.twins_of(site)}
        return {key: value for key, (value, _, _) in found[name].reported.items()} if name in found else {}


def differences(found: dict[str, bytes], wanted: dict[str, bytes], settled: Sequence[str] = ()) -> list[str]:
    """Return the keys of entries that differ."""
    return [
        key
        for key in sorted({*found, *wanted})
        if found.get(key) != wanted.get(key) and not (key in settled and key in found)
    ]
