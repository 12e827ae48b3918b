"""Checkpoints: the engine's state, what sinks are owed and dead letters, as of one record, on the disk now and then."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

import structlog

from hub.clock import Clock
from hub.durations import nanoseconds
from hub.engine.state import State
from hub.errors import UnavailableError
from hub.failpoints import Failpoints, Place
from hub.journal.outbox import Outbox
from hub.journal.state_file import StateFile
from hub.model.effects import DeadLetter, LineWork, StreamWork
from hub.model.records import Body, Tick

DISK_RETRY_SECONDS = 0.5

log = structlog.get_logger(__name__)


class Due(Protocol):
    """When to make one, and where to die meanwhile."""

    @property
    def checkpoint_messages(self) -> int: ...
    @property
    def checkpoint_every(self) -> timedelta: ...
    @property
    def failpoints(self) -> Failpoints: ...


class Checkpoints:
    """Made a little at a time between records; dead letters wait here for the disk.

    ``position`` is the record that the last one on the disk covers, ``written`` how many were, ``steps`` moves with
    each portion and attempt; ``held_up_by``: why the disk does not take one now.
    """

    def __init__(  # noqa: PLR0913, PLR0917 -- all that goes into one transaction
        self,
        state: State,
        file: StateFile,
        streams: Outbox[StreamWork],
        timeseries: Outbox[LineWork],
        clock: Clock,
        limits: Due,
    ) -> None:
        self._state = state
        self._file = file
        self._boxes = streams, timeseries
        self._clock = clock
        self._limits = limits
        self._due = clock.monotonic_ns() + nanoseconds(limits.checkpoint_every)
        self._dead_letters: list[DeadLetter] = []
        self._messages = self._encoding_to = self.written = self.steps = 0
        self.position = state.clock.position
        self.is_stopping, self.held_up_by = False, ""

    def bring(self, dead_letters: list[DeadLetter]) -> None:
        """Hold what the next one takes along, unless it is buried before."""
        self._dead_letters += dead_letters

    async def bury_at(self, body: Body) -> None:
        """Let people see dead letters within a second; memory need not hold them until the checkpoint does."""
        if not (self._dead_letters and isinstance(body, Tick)):
            return
        letters, self._dead_letters = self._dead_letters, []
        try:
            await self._file.bury(letters)
        except UnavailableError:
            self._dead_letters = letters  # the checkpoint waits for the disk; they go with it
        else:
            self._limits.failpoints.reach(Place.BURIED)

    async def make(self) -> None:
        """Write a whole one now: at stop, and before a revision of more than devices and places."""
        while self._state.is_checkpointing or self.position < self._state.clock.position:
            if not self._state.is_checkpointing:
                self._begin()
            while not (self._state.encode_some() or self._state.has_only_unsettled):  # others go on meanwhile
                self.steps += 1
                await self._file.set_aside(self._state.full_pieces())
                await self._clock.sleep(0)
            await self._finish()

    async def go_on(self, messages: int) -> None:
        """Make a little of the next one, if it is due, behind a record of so many messages."""
        self._messages += messages
        if not self._state.is_checkpointing:
            is_due = self._clock.monotonic_ns() >= self._due
            if self._messages < max(self._limits.checkpoint_messages, self._state.worth_messages) and not is_due:
                return
            self._begin()
        is_made = self._state.encode_some()
        await (self._finish() if is_made else self._file.set_aside(self._state.full_pieces()))

    def _begin(self) -> None:
        self._state.begin_checkpoint()
        self._encoding_to = self._state.clock.position
        self._messages = 0
        self._due = self._clock.monotonic_ns() + nanoseconds(self._limits.checkpoint_every)

    async def _finish(self) -> None:
        position = self._encoding_to
        self._limits.failpoints.reach(Place.CHECKPOINT_BEGUN)
        entries = self._state.take_checkpoint()
        letters = [letter for letter in self._dead_letters if letter.position <= position]
        rows = [row for box in self._boxes for row in box.unsaved(position)]
        taken = [each for box in self._boxes for each in box.confirmed(position)]
        while True:
            self.steps += 1
            try:
                await self._file.checkpoint(position, entries, rows, letters, taken)
                break
            except UnavailableError as error:
                if self.is_stopping:
                    raise
                if not self.held_up_by:
                    log.error("checkpoint_held_up", reason=str(error))  # noqa: TRY400 -- its traceback says nothing more
                self.held_up_by = str(error)  # nothing is judged, and soon nothing heard
                await self._clock.sleep(DISK_RETRY_SECONDS)
        self.held_up_by = ""
        self._limits.failpoints.reach(Place.CHECKPOINT_WRITTEN)
        for box in self._boxes:
            box.saved(position)
        self._dead_letters = self._dead_letters[len(letters) :]
        self.position = position
        self.written += 1
