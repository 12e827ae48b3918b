"""The engine as it is now: the checkpoint and what the journal holds behind it, beside a running hub."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from hub.commands.life import Command
from hub.engine.apply import Engine
from hub.errors import UnavailableError
from hub.replay.beginning import Entries, Fidelity, beginning, checkpoints, engine_at, entries_of
from hub.replay.tape import JournalTape, tape_of

TRIES = 3


@dataclass(slots=True)
class Present:
    """A copy of the engine, its journal, the entries of its state when they were last asked for, and how sure it is."""

    engine: Engine
    tape: JournalTape
    entries: Entries
    fidelity: Fidelity

    def state(self) -> Entries:
        """Return every entry of the engine's state as it is now."""
        self.entries = entries_of(self.engine, self.entries)
        return self.entries

    def commands(self, alarm: str) -> list[Command]:
        """Return the commands of an alarm that are open or ended lately, in the order in which they were made."""
        mine = [body for key, body in self.state().items() if key.startswith(f"command/{alarm}-")]
        found = [msgspec.msgpack.decode(body, type=Command) for body in mine]
        return sorted(found, key=lambda command: (command.created_at, command.id))


def present(directory: Path, at: int | None = None) -> Present:
    """Return the engine of a data directory as it is now, or was at wall time ``at``; ConfigError where no hub worked.

    The hub may write a checkpoint and trim between our two looks: then we look again. A moment that lies before all
    checkpoints of a journal without its front is known from there on only; ``fidelity`` says so.
    """
    for left in reversed(range(TRIES)):
        tape = tape_of(directory)
        try:
            last = tape.last if at is None else tape.before(at)
            where = beginning(tape, checkpoints(directory, tape)(last + 1), last + 1)
            if at is None and where.fidelity is Fidelity.APPROXIMATE and left:
                continue
            engine = engine_at(tape, where)
            for record in tape.read(where.position):
                if at is not None and record.position > last:
                    break
                engine.apply(record)
        except UnavailableError:
            if not left:
                raise
        else:
            return Present(engine, tape, where.entries, where.fidelity)
    raise AssertionError  # the last try returned or raised
