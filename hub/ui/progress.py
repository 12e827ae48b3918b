"""Long jobs: a bar on a terminal, silence elsewhere, and how fast it went."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
    track,
)

from hub.clock import Clock
from hub.model.records import Record
from hub.ui.words import moment

EVERY = 256
T = TypeVar("T")


def steps(what: str, found: Sequence[T]) -> Iterable[T]:
    """Yield what was found; on a terminal a bar shows how many are left."""
    console = Console(stderr=True)
    return track(found, what, console=console, transient=True, disable=not console.is_terminal)


@contextmanager
def bar(what: str, begins_at: int, ends_at: int) -> Iterator[Callable[[Record], None]]:
    """Show how far the records that are told have come from one moment to another (wall ns).

    The collector rests meanwhile: what the engine keeps lives long, and looking at it again costs a third of the time.
    """
    columns = (TextColumn(what), BarColumn(), TextColumn("{task.fields[at]}"), TimeRemainingColumn())
    seen = 0
    with _shown(*columns) as progress:
        task = progress.add_task("", total=max(1, ends_at - begins_at), at="")

        def tell(record: Record) -> None:
            nonlocal seen
            seen += 1
            if seen % EVERY == 0:
                done = min(record.received_at, ends_at) - begins_at
                progress.update(task, completed=done, at=moment(record.received_at))

        gc.freeze()
        gc.disable()
        try:
            yield tell
        finally:
            gc.enable()
            gc.unfreeze()


@contextmanager
def bytes_bar(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show how many bytes are done."""
    with _shown(TextColumn(what), BarColumn(), DownloadColumn(), TimeRemainingColumn()) as progress:
        task = progress.add_task("", total=total)
        yield lambda done: progress.advance(task, done)


@contextmanager
def recording_bar(seconds: float | None) -> Iterator[Callable[[int], None]]:
    """Show how long it has gone on; told once a second, of how many messages."""
    with _shown(TextColumn("recording"), BarColumn(), TextColumn("{task.fields[messages]:,} messages")) as progress:
        task = progress.add_task("", total=seconds, messages=0)
        yield lambda messages: progress.update(task, advance=1, messages=messages)


class Begin(Protocol):
    """Begins a stage of a long job, of so many rows where they are counted; returns what is told how many are done."""

    def __call__(self, stage: str, rows: int | None = None) -> Callable[[int], None]: ...


@contextmanager
def stages(console: Console | None = None) -> Iterator[Begin]:
    """Show one stage after the other; call what is returned as each begins."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with _shown(*columns, console=console) as progress:
        task = progress.add_task("", total=None)

        def begin(stage: str, rows: int | None = None) -> Callable[[int], None]:
            progress.reset(task, total=rows, description=stage)
            return lambda done: progress.advance(task, done)

        yield begin


@contextmanager
def _shown(*columns: ProgressColumn, console: Console | None = None) -> Iterator[Progress]:
    console = console or Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How much was applied in how long; ``factor`` compares it with how long it took to be heard."""

    records: int
    messages: int
    heard_seconds: float
    seconds: float

    @property
    def factor(self) -> float:
        """Times real time."""
        return self.heard_seconds / self.seconds if self.seconds else 0.0

    @property
    def sentence(self) -> str:
        """What it is, in words."""
        each = f", {self.seconds / self.messages * 1e6:.1f} µs a message" if self.messages else ""
        return (
            f"{self.messages:,} messages in {self.records:,} records of {self.heard_seconds:,.1f} s,"
            f" applied in {self.seconds:,.1f} s: {self.factor:,.0f} × real time{each}"
        )


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began = clock.monotonic_ns()

    @property
    def seconds(self) -> float:
        """Seconds so far."""
        return (self._clock.monotonic_ns() - self._began) / 1e9
