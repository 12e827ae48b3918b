"""Dead letters between engine and state file: buried within a second, and put into a request to take some again."""

from __future__ import annotations

from collections.abc import Container
from functools import partial

import msgspec
from msgspec.structs import replace

from hub.errors import HubError, UnavailableError
from hub.journal.letter_rows import Found, Wanted, letters_behind
from hub.journal.state_file import StateFile
from hub.model.effects import DeadLetter, Effects, Settled
from hub.model.records import Control, Letter

RETRY = "retry"


class Letters:
    """Those that are not yet in the file, and which are none any more there, in the order of records.

    No number is given out to be taken again while it is on its way: until what became of it is in the file.
    """

    def __init__(self, state_file: StateFile) -> None:
        self._state_file = state_file
        self._waiting: list[DeadLetter | Settled] = []
        self._asked: dict[str, list[int]] = {}
        """By request, until it is answered."""

    def add(self, effects: Effects) -> None:
        """Take what a record said of letters, and which requests it answered."""
        self._waiting += effects.dead_letters
        self._waiting += effects.settled
        for reply in effects.replies if self._asked else ():
            self._asked.pop(reply.id, None)

    @property
    def are_waiting(self) -> bool:
        """Whether there is anything that is not in the file."""
        return bool(self._waiting)

    @property
    def waiting_bytes(self) -> int:
        """How much memory holds of them, about."""
        return sum(len(letter.payload) for letter in self._waiting if isinstance(letter, DeadLetter))

    async def bury(self) -> bool:
        """Write them ahead of the checkpoint; False when the disk does not take them: the checkpoint waits for it."""
        letters = self._waiting[:]
        try:
            await self._state_file.bury(letters)
        except UnavailableError:
            return False  # they go with it
        del self._waiting[: len(letters)]
        return True

    def until(self, position: int) -> list[DeadLetter | Settled]:
        """Return what records up to ``position`` said."""
        return [letter for letter in self._waiting if letter.position <= position]

    def saved(self, position: int) -> None:
        """Forget what records up to ``position`` said: it is in the file."""
        self._waiting = [letter for letter in self._waiting if letter.position > position]

    # ----------------------------------------------------------------------------------------------------- taken again

    async def name(self, control: Control) -> Control:
        """Return a request to take letters again with some of them, and in ``args`` how far they reach.

        What is wrong with it, or that the file cannot be read, is said in ``args`` too: the engine answers so.
        """
        try:
            wanted = msgspec.convert(dict(control.args), Wanted)
            gone = self._gone()  # before the file is read and after: the one is buried meanwhile, the other comes so
            found = await self._state_file.letters(partial(letters_behind, wanted=wanted, path=self._state_file.path))
        except (msgspec.ValidationError, HubError, ValueError) as error:  # the last: half a character
            return replace(control, args={"refused": str(error)})
        return self._named(control, found, gone | self._gone())

    def _named(self, control: Control, found: Found, gone: set[int]) -> Control:
        letters = named(found, gone)
        self._asked.setdefault(control.id, []).extend(letter.number for letter in letters)  # it may have come before
        return replace(control, args={**control.args, **found.args}, letters=letters)

    def _gone(self) -> set[int]:
        asked = {number for numbers in self._asked.values() for number in numbers}
        return asked | {each.number for each in self._waiting if isinstance(each, Settled)}


def named(found: Found, gone: Container[int]) -> tuple[Letter, ...]:
    """Return what a request names of the letters that were found: those whose number is not ``gone``."""
    return tuple(
        Letter(each.topic, each.payload, number=each.number, received_at=each.received_at)
        for each in found.letters
        if each.number not in gone
    )
