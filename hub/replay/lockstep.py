"""Two engines in lockstep over one tape: as it was, and as it would be under other rules and profiles."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from hub import __version__
from hub.engine.apply import Engine
from hub.model.effects import Effects
from hub.model.records import Record, Revision
from hub.replay.beginning import Beginning, engine_at, entries_of, revise_now
from hub.replay.tape import Tape
from hub.revisions.revision import revise

Progress = Callable[[Record], None]


class Pair(NamedTuple):
    """What one record came to, and what it would have come to."""

    record: Record
    was: Effects
    would_be: Effects


@dataclass(slots=True)
class Lockstep:
    """Applies records ``after`` to ``last`` of ``tape`` to both engines, warmed up on what comes before them.

    ``wanted`` are kinds, profiles, networks and rules as they would be from ``after`` on; devices and places are
    those of the tape in both. ``progress`` is told of every record; counts are of the compared ones.
    """

    tape: Tape
    begin: Beginning
    wanted: Mapping[str, bytes]
    after: int
    last: int
    progress: Progress = lambda _record: None
    records: int = 0
    messages: int = 0
    first_at: int = 0
    last_at: int = 0
    _was: Engine = field(init=False)
    _other: Engine = field(init=False)

    def __iter__(self) -> Iterator[Pair]:
        """Yield a pair for each record."""
        self._fork(warm(self.tape, self.begin, self.after, self.progress))
        was, other = self._was.apply, self._other.apply
        for record in self.tape.read(self.after):
            if record.position > self.last:
                break
            effects = was(record)
            self.records += 1
            self.messages += len(record.messages)
            self.first_at = self.first_at or record.received_at
            self.last_at = record.received_at + max(0, len(record.messages) - 1)
            self.progress(record)
            yield Pair(record, effects, other(self._revised(record) if isinstance(record.body, Revision) else record))

    def _fork(self, entries: Mapping[str, bytes]) -> None:
        here = Beginning(position=max(self.after, self.begin.position), entries=entries, fidelity=self.begin.fidelity)
        self._was, self._other = engine_at(self.tape, here), engine_at(self.tape, here)
        known = self._other.content.bodies()
        note = revise(known, overlaid(known, self.wanted), __version__) if known else None
        if note is not None:
            revise_now(self._other, note)

    def _revised(self, record: Record) -> Record:
        """Return a revision as the other engine would get it: the tape's devices under ``wanted``."""
        wanted = overlaid(self._was.content.bodies(), self.wanted)
        note = revise(self._other.content.bodies(), wanted, __version__)
        body, bodies = (Revision(__version__, {}), {}) if note is None else (note.revision, note.bodies)
        return Record(record.position, record.t, record.received_at, body, (), bodies)


def warm(tape: Tape, begin: Beginning, until: int, progress: Progress) -> dict[str, bytes]:
    """Apply what lies between ``begin`` and record ``until``; return the state behind it."""
    if begin.position >= until:
        return dict(begin.entries)
    engine = engine_at(tape, begin)
    for record in tape.read(begin.position):
        if record.position > until:
            break
        engine.apply(record)
        progress(record)
    return entries_of(engine, begin.entries)


def overlaid(known: Mapping[str, bytes], yaml: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return ``known`` with the kinds, profiles, networks, rules and scenes of ``yaml`` in place of its own.

    Rules and scenes that ``yaml`` lacks are gone; profiles and kinds that it lacks stay: a device may be of them.
    """
    return {key: body for key, body in known.items() if not key.startswith(("rule/", "scene/"))} | dict(yaml)
