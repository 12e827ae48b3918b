"""The stages of a hub, and which of them hangs: what its watchdog, /healthz and /readyz go by.

A stage *stands still* while it has something to do and has not moved since the last look, a second before. It *hangs*
when it has stood still for 60 looks in a row, in none of which anything else explained it:

- what waits for another stage does not stand still, that one does: hearing and judging wait for a file's thread, the
  hearing also for the judging, a sink for the state file;
- what tries again moves: a disk that is full or read-only, a Redis or a store that is away, refuses or says nothing
  within its deadline costs an attempt every few seconds;
- a thread of a file that was on a processor meanwhile works;
- while any thread of ours waits for the disk (state D) nothing hangs: a restart would wait for the same disk.

Looks are counted, not seconds: a process that was stopped, or a machine that slept, has looked at nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import structlog

from hub.bridge.uplink import Inbox
from hub.clock import Clock
from hub.engine.apply import Engine
from hub.journal.journal import Journal
from hub.journal.outbox import Outbox
from hub.journal.own_thread import OwnThread
from hub.journal.state_file import StateFile
from hub.model.effects import LineWork, StreamWork
from hub.pipeline import Applying, Hearing
from hub.sinks.stream_sink import StreamSink
from hub.sinks.timeseries.writer import SeriesWriter

LOOK_EVERY_NS = 950_000_000
"""Whoever asks every second, or ten times as often, is answered once a second."""
HUNG_LOOKS = 60
THREADS = Path("/proc/self/task")

log = structlog.get_logger(__name__)


@dataclass(slots=True, kw_only=True)
class Stage:
    """One stage: whether it ``owes`` anything, what changes as it moves, and whether it works though it does not move.

    ``still`` and ``hung`` are looks in a row.
    """

    name: str
    owes: Callable[[], bool]
    moved: Callable[[], object]
    works: Callable[[], bool] = lambda: False
    still: int = 0
    hung: int = 0
    _seen: object = None

    def look(self, *, disk_is_awaited: Callable[[], bool]) -> None:
        """Compare with the last look."""
        seen, before = self.moved(), self._seen
        self._seen = seen
        if seen != before or not self.owes():
            self.still = self.hung = 0
            return
        self.still += 1
        self.hung = 0 if self.works() or disk_is_awaited() else self.hung + 1
        if self.hung == HUNG_LOOKS:
            log.error("stage_hung", stage=self.name, looks=self.still)


class Stages:
    """All stages of one hub; ``disk_is_awaited`` says whether a thread of this process waits for the disk now."""

    def __init__(self, stages: Sequence[Stage] = (), *, disk_is_awaited: Callable[[], bool] | None = None) -> None:
        self._stages = stages
        self._disk_is_awaited = disk_is_awaited or waits_for_disk
        self._next_look = 0

    def look_if_due(self, now: int) -> None:
        """Look, at monotonic time ``now``, unless the last look was less than a second ago."""
        if now >= self._next_look:
            self._next_look = now + LOOK_EVERY_NS
            self.look()

    def look(self) -> None:
        """Look at every stage."""
        for stage in self._stages:
            stage.look(disk_is_awaited=self._disk_is_awaited)

    @property
    def still(self) -> Mapping[str, int]:
        """Return for how many seconds each stage stands still."""
        return {stage.name: stage.still for stage in self._stages}

    @property
    def hung(self) -> Sequence[str]:
        """Return the stages that hang."""
        return [stage.name for stage in self._stages if stage.hung >= HUNG_LOOKS]


class Parts(Protocol):
    """The parts of a hub that stages are made of."""

    clock: Clock
    inbox: Inbox
    hearing: Hearing
    applying: Applying
    engine: Engine
    journal: Journal
    state_file: StateFile
    streams_box: Outbox[StreamWork]
    timeseries_box: Outbox[LineWork]
    stream_sink: StreamSink
    writer: SeriesWriter


def stages_of(hub: Parts) -> Stages:
    """Return the stages of ``hub`` in the order in which a message meets them."""
    journal, state = hub.journal.thread, hub.state_file.thread
    hearing, applying = hub.hearing, hub.applying
    sink, writer = hub.stream_sink, hub.writer
    return Stages(
        [
            _thread("journal", journal),
            _thread("state", state),
            Stage(
                name="hearing",
                owes=lambda: hub.inbox.is_waiting and not (journal.owes or hearing.heard.full()),
                moved=lambda: hearing.attempts,
            ),
            Stage(
                name="judging",
                owes=lambda: hub.journal.last > hub.engine.state.clock.position and not state.owes,
                moved=lambda: (hub.engine.state.clock.position, applying.steps, applying.checkpoints.steps),
            ),
            Stage(
                name="streams",
                owes=lambda: not (hub.streams_box.is_empty or state.owes),
                moved=lambda: (hub.streams_box.cursor, sink.transactions, sink.retries),
            ),
            Stage(
                name="timeseries",
                owes=lambda: not (hub.timeseries_box.is_empty or state.owes or writer.rests(hub.clock.monotonic_ns())),
                moved=lambda: (hub.timeseries_box.cursor, writer.writes, writer.writes_failed),
            ),
        ]
    )


def _thread(name: str, thread: OwnThread) -> Stage:
    return Stage(
        name=f"{name}.thread", owes=lambda: thread.owes, moved=lambda: thread.answered, works=thread.has_worked
    )


def waits_for_disk() -> bool:
    """Return whether a thread of this process sleeps and cannot be woken, as one does that waits for a disk."""
    return any(state == "D" for state in _states())


def _states() -> Iterator[str]:
    for thread in THREADS.glob("*/stat"):
        try:
            yield thread.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
        except (OSError, IndexError):  # it has ended meanwhile
            continue
