"""Where an engine begins again: a checkpoint, the first record, or (behind a trimmed journal) documents alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import msgspec

from hub.bridge import topics
from hub.bridge.frames import decode_packets
from hub.engine.apply import Engine
from hub.engine.rows import Document
from hub.engine.state import Clock
from hub.errors import ConfigError, CorruptError
from hub.journal.archive import archived
from hub.journal.files import RESTORE, connect, translate
from hub.journal.neighbours import state_path
from hub.journal.records import is_sealed
from hub.model.effects import Effects
from hub.model.records import NewRevision, Record
from hub.replay.tape import Tape
from hub.rules.states import CompiledRule

Entries = Mapping[str, bytes]
DOCUMENT = "document/"


class Fidelity(StrEnum):
    """How sure the state is: made of everything that was ever heard, or of what is left of it."""

    EXACT = "exact"
    APPROXIMATE = "approximate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """The entries of a state, and the record behind which it goes on."""

    position: int
    entries: Entries
    fidelity: Fidelity
    journal: str = ""


def saved(state: Path) -> Beginning | None:
    """Return the checkpoint of a running or stopped hub; None without one, CorruptError when it is damaged."""
    if not state.exists():
        return None
    try:
        with closing(connect(state, read_only=True)) as connection:
            connection.execute("BEGIN")  # one look: entries and position belong together
            meta = dict(connection.execute("SELECT name, value FROM meta"))
            rows = connection.execute("SELECT key, body, checksum FROM entries ORDER BY key").fetchall()
    except sqlite3.DatabaseError as error:
        raise translate(error, state) from error
    for key, body, seal in rows:
        if not is_sealed(seal, body, key):
            raise CorruptError("corrupt_row", f"the entry {key!r} fails its checksum", file=str(state), hint=RESTORE)
    if not rows:
        return None
    entries = {key: body for key, body, _ in rows}
    return Beginning(position=int(meta["position"]), entries=entries, fidelity=Fidelity.EXACT, journal=meta["journal"])


Find = Callable[[int], Beginning | None]
"""The checkpoint from which a record is best reached; None where there is none."""


def checkpoints(directory: Path, tape: Tape) -> Find:
    """Return what finds the nearest checkpoint before a record: the hub's newest one, or one that was put aside.

    Where there is none before it, it is the first one behind it: what that knows of rules and devices comes closest.
    """

    def find(at: int) -> Beginning | None:
        newest = saved(state_path(directory))
        if newest is not None and newest.position < at:
            return newest
        aside = [each for each in archived(directory) if each.position >= tape.first - 1]
        near = [each.path for each in reversed(aside) if each.position < at] + [each.path for each in aside]
        for path in near:
            with suppress(CorruptError, FileNotFoundError):  # there are others
                found = saved(path)
                if found is not None and found.journal == tape.journal:
                    return found
        return newest

    return find


def beginning(tape: Tape, checkpoint: Beginning | None, at: int) -> Beginning:
    """Return the nearest state from which record ``at`` can be reached.

    A journal that lost its front to retention gives an approximate one: the documents of the checkpoint, and devices
    of which nothing is known; what is heard from there on makes it better.
    """
    if checkpoint is not None and tape.first - 1 <= checkpoint.position < at:
        return checkpoint
    if tape.is_whole:
        return Beginning(position=tape.first - 1, entries={}, fidelity=Fidelity.EXACT)
    if checkpoint is None:
        raise ConfigError(
            "beginning_missing",
            f"the journal begins at record {tape.first}, and there is no checkpoint beside it",
            hint="restore state.sqlite from a backup",
        )
    return bare(tape, documents_of(checkpoint.entries), tape.first - 1)


def bare(tape: Tape, documents: Entries, position: int) -> Beginning:
    """Return a state that knows ``documents`` and nothing else, awake behind ``position``."""
    following = next(iter(tape.read(position)), None)
    t, received_at = (1, 1) if following is None else (following.t - 1, following.received_at - 1)
    began = tape.began
    clock = Clock(journal=tape.journal, position=position, t=t, received_at=received_at, blind_since=None, began=began)
    encode = msgspec.msgpack.encode
    entries = {DOCUMENT + key: encode(Document(body)) for key, body in documents.items()} | {"clock": encode(clock)}
    return Beginning(position=position, entries=entries, fidelity=Fidelity.APPROXIMATE)


def documents_of(entries: Entries) -> dict[str, bytes]:
    """Return the documents among the entries of a state."""
    decode = msgspec.msgpack.Decoder(Document).decode
    return {key.removeprefix(DOCUMENT): decode(body).body for key, body in entries.items() if key.startswith(DOCUMENT)}


def engine_at(tape: Tape, where: Beginning, compiled: Callable[..., CompiledRule] = CompiledRule) -> Engine:
    """Return an engine in that state; ConfigError when another version of the hub wrote what it holds."""
    engine = Engine(tape.journal, topics, decode_packets, compiled=compiled)
    if where.entries:
        engine.restore(sorted(where.entries.items()))
    return engine


def entries_of(engine: Engine, before: Entries) -> dict[str, bytes]:
    """Return the whole state of ``engine``, which began with the entries ``before``."""
    state = engine.state
    state.begin_checkpoint()
    found = dict(before)
    for key, body in state.take_checkpoint().items():
        if body is None:
            found.pop(key, None)
        else:
            found[key] = body
    return found


def revise_now(engine: Engine, note: NewRevision) -> Effects:
    """Give ``engine`` a revision between two records; return what it wants done for that."""
    clock = engine.state.clock
    return engine.apply(Record(clock.position, clock.t, clock.received_at, note.revision, (), note.bodies))
