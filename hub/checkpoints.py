"""Checkpoints: the engine's state, what sinks are owed and dead letters, as of one record, on the disk now and then."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple, Protocol

import structlog

from hub.clock import Clock
from hub.durations import nanoseconds
from hub.engine.state import State
from hub.errors import UnavailableError
from hub.failpoints import Failpoints, Place
from hub.journal.letters import Letters
from hub.journal.outbox import MEMORY_BYTES, Outbox
from hub.journal.owed_rows import Confirmed, OwedRow
from hub.journal.state_file import StateFile
from hub.model.effects import DeadLetter, LineWork, Settled, StreamWork
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


class _Taken(NamedTuple):
    """All that one transaction writes, as of ``position``; nothing of it changes while more is judged."""

    position: int
    entries: Mapping[str, bytes | None]
    rows: list[OwedRow]
    dead_letters: list[DeadLetter | Settled]
    confirmed: list[Confirmed]


class Checkpoints:
    """Begun, encoded a little at a time, taken, written, settled: only then the next one; dead letters wait here too.

    What is taken is written while more is judged, and what changes meanwhile is for the next one. Where the disk does
    not take it now, it is tried again behind the next record, and until it is written nothing is judged, and soon
    nothing heard: it would be for memory to hold.

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
        self.letters = Letters(file)
        self._taken: _Taken | None = None
        self._writing: asyncio.Task[UnavailableError | None] | None = None
        self._messages = self._encoding_to = self.written = self.steps = 0
        self.position = state.clock.position
        self.is_stopping, self.held_up_by = False, ""

    # ----------------------------------------------------------------------------------------------------- dead letters

    async def bury_at(self, body: Body) -> None:
        """Let people see dead letters within a second; memory need not hold them until the checkpoint does.

        While one is written they wait for the next tick, and judging does not, unless that is too much for memory.
        """
        if not (self.letters.are_waiting and isinstance(body, Tick)):
            return
        if self._taken is not None:
            if self.letters.waiting_bytes <= MEMORY_BYTES:
                return
            await self._settle()
        if await self.letters.bury():
            self._limits.failpoints.reach(Place.BURIED)

    # ------------------------------------------------------------------------------------------------------ making them

    async def go_on(self, messages: int, beside: asyncio.TaskGroup) -> None:
        """Make a little of the next one, if it is due, behind a record of so many messages; write it ``beside``."""
        self._messages += messages
        if self._writing is not None:
            if not self._writing.done():
                return
            await self._settle()
        if not self._state.is_checkpointing:
            is_due = self._clock.monotonic_ns() >= self._due
            if self._messages < max(self._limits.checkpoint_messages, self._state.worth_messages) and not is_due:
                return
            self._begin()
        if self._state.encode_some():
            self._writing = beside.create_task(self._write(self._take()), name="hub.pipeline.checkpoint")
        else:
            await self._file.set_aside(self._state.full_pieces())

    async def make(self) -> None:
        """Write a whole one now, and judge nothing meanwhile: at stop, and before a revision of more than devices."""
        await self._settle()
        while self._state.is_checkpointing or self.position < self._state.clock.position:
            if not self._state.is_checkpointing:
                self._begin()
            while not (self._state.encode_some() or self._state.has_only_unsettled):  # others go on meanwhile
                self.steps += 1
                await self._file.set_aside(self._state.full_pieces())
                await self._clock.sleep(0)
            self._take()
            await self._settle()

    def _begin(self) -> None:
        self._state.begin_checkpoint()
        self._encoding_to = self._state.clock.position
        self._messages = 0
        self._due = self._clock.monotonic_ns() + nanoseconds(self._limits.checkpoint_every)

    def _take(self) -> _Taken:
        """Fix what is written, of the state as it was when this began."""
        self._limits.failpoints.reach(Place.CHECKPOINT_BEGUN)
        position = self._encoding_to
        self._taken = _Taken(
            position,
            self._state.take_checkpoint(),
            [row for box in self._boxes for row in box.unsaved(position)],
            self.letters.until(position),
            [each for box in self._boxes for each in box.confirmed(position)],
        )
        return self._taken

    async def _write(self, taken: _Taken) -> UnavailableError | None:
        """Write what was taken, and settle with whoever waits for it; or return why the disk does not take it now."""
        self.steps += 1
        try:
            await self._file.checkpoint(*taken)
        except UnavailableError as error:
            return error
        self._limits.failpoints.reach(Place.CHECKPOINT_WRITTEN)
        for box in self._boxes:
            box.saved(taken.position)
        self.letters.saved(taken.position)
        self.position = taken.position
        self.written += 1
        self._taken = None
        return None

    async def _settle(self) -> None:
        """Return when nothing is left that was taken and is not written."""
        while self._taken is not None:
            error = await (self._writing or self._write(self._taken))
            self._writing = None
            if error is not None:
                if self.is_stopping:
                    raise error
                if not self.held_up_by:
                    log.error("checkpoint_held_up", reason=str(error))
                self.held_up_by = str(error)
                await self._clock.sleep(DISK_RETRY_SECONDS)
        self._writing = None
        self.held_up_by = ""
