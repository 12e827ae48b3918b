"""A gate with two doors: its kind, who owns what of it, and the law of the last word on the wire."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from hub.catalogue import Kind
from hub.commands.arbitration import Claim
from hub.commands.life import OPEN, Command, CommandState, Lease, Standing
from hub.model.effects import Transmission
from hub.rules.rule import Priority

EN = {"en": "x"}
GATE = Kind.model_validate({
    "kind": "gate", "label": EN, "properties": {"door": {"type": "bool"}},
    "commands": {
        "hold_door": {"label": EN, "args": {"ttl": {"type": "duration"}}, "release": "release_door", "sets": "lock"},
        "release_door": {"label": EN, "sets": "lock"},
        "unlock": {"label": EN, "args": {"ttl": {"type": "duration"}}, "release": "lock", "sets": "lock"},
        "lock": {"label": EN, "sets": "lock"},
        "bolt": {"label": EN, "sets": "lock"},
    },
})  # fmt: skip
DOORS = ("door-1", "door-2")
HOLDS, LETS_GO, SETS = ("hold_door", "unlock"), ("release_door", "lock"), ("bolt",)
RANKS = list(Priority)


class Way(NamedTuple):
    """A command on its way to the gate."""

    transmission: Transmission
    part: str
    name: str


def overlap(one: Claim, other: Claim) -> bool:
    """Return whether two claims are about the same door."""
    return one.part == other.part or "" in {one.part, other.part}


def word_of(claim: Claim) -> str:
    """Return what is claimed."""
    return claim.command if isinstance(claim, Lease) else claim.name


def is_owner(claim: Claim) -> bool:
    """Return whether whoever claims has it, and does not only wait."""
    return not isinstance(claim, Lease) or claim.standing is Standing.HOLDS


class LastWords:
    """The law of the last word on the wire: a release is as old as the end of its hold, however late it is sent.

    ``knows``: the gate has spoken of its doors. A release of a gate that has not, which is overtaken on one door, goes
    out for the whole again: it always goes out.
    """

    def __init__(self) -> None:
        self.knows = True
        self._newest: dict[str, Command | None] = dict.fromkeys(DOORS)
        self._let_go: dict[str, int] = {}
        self._undone: dict[str, str] = {}

    def started(self, known: Mapping[str, Command]) -> None:
        """Go on with the commands as another process knows them."""
        for door, said in self._newest.items():
            self._newest[door] = said and known.get(said.id, said)

    def left(self, command: Command) -> None:
        """Take the next command on the wire."""
        hold = re.split("[#~]", command.lease)[0]
        is_hold = command.name in HOLDS
        if is_hold:
            self._let_go.pop(hold, None)
        age = self._let_go.setdefault(hold, command.number) if command.lease and not is_hold else command.number
        for door in [command.part] if command.part else DOORS:
            self._undone.pop(door, None)
            said = self._newest[door]
            is_other = said is not None and said.name != command.name  # the same again undoes nothing
            if said is not None and is_other and age < said.number and stands(said) and self._is_of(said, command):
                self._undone[door] = f"{command} undoes {said}"
            if is_hold or not command.lease:
                self._newest[door] = None if is_hold else command

    def _is_of(self, said: Command, command: Command) -> bool:
        return self.knows or said.part == command.part

    def check(self) -> None:
        """Say it at the end of a record: what undoes a newer word may be followed by who has it now."""
        assert not self._undone, f"the newest is the last on the wire: {self._undone}"


def stands(command: Command) -> bool:
    """Return whether a command is on its way, or has come to its device, which did not refuse it."""
    has_failed = command.state in {CommandState.REJECTED, CommandState.FAILED}
    return command.state in OPEN or (command.is_delivered and not has_failed)
