"""The demo's view: one line a second in a pipe, a picture that moves on a terminal, JSON lines for programs."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from typing import Protocol

import msgspec
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text
from typing_extensions import override

from hub.app import Hub
from hub.model.effects import Event
from hub.ui.demo.accounts import Check
from hub.ui.pages.observing import lag, waiting_points
from hub.ui.printing import say_json
from hub.ui.words import COLOURS, clock_time, sentence

SHOWN_LINES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """How far a hub is at one moment; ``lag`` is records heard and not yet judged."""

    time: int
    heard: int
    applied: int
    events: int
    alarms: int
    written: int
    waiting: int
    lag: int


def frame_of(hub: Hub) -> Frame:
    """Return how far ``hub`` is."""
    ledger = hub.engine.state.ledger
    return Frame(
        time=hub.clock.wall_ns(),
        heard=ledger.heard,
        applied=ledger.applied,
        events=ledger.events,
        alarms=sum(alarm.is_real for alarm in hub.engine.alarms()),
        written=hub.timeseries_box.tally.get("written", 0),
        waiting=waiting_points(hub),
        lag=lag(hub),
    )


class View(Protocol):
    """Who is told what happens."""

    def open(self) -> AbstractContextManager[object]:
        """Return what must be open while there are frames."""
        ...

    def show(self, frame: Frame) -> None:
        """Show how far the hub is."""
        ...

    def tell(self, event: Event) -> None:
        """Show an event that came out of the streams."""
        ...

    def note(self, text: str) -> None:
        """Say anything else."""
        ...

    def close_books(self, checks: Sequence[Check]) -> None:
        """Show the ledger and whether it adds up."""
        ...


class Lines:
    """Plain lines, for pipes and dumb terminals."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def open(self) -> AbstractContextManager[object]:
        return nullcontext()

    def show(self, frame: Frame) -> None:
        numbers = " ".join(f"{name}={value}" for name, value in asdict(frame).items() if name != "time")
        self._say(f"{clock_time(frame.time)} {numbers}")

    def tell(self, event: Event) -> None:
        self._say(f"  {sentence(event)}")

    def note(self, text: str) -> None:
        self._say(text)

    def close_books(self, checks: Sequence[Check]) -> None:
        self._say("")
        for check in checks:
            self._say(f"{'  ok' if check.holds else 'FAIL'}  {check.text}")
        self._say("adds up" if all(check.holds for check in checks) else "does not add up")

    def _say(self, text: str) -> None:
        print(text, file=self._console.file, flush=True)  # rich would end the process when nobody reads


class Picture(Lines):
    """A table of numbers over the newest lines, redrawn once a second."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._lines: deque[Text] = deque(maxlen=SHOWN_LINES)
        self._live = Live(console=console, auto_refresh=False)
        self._frame: Frame | None = None

    @override
    def open(self) -> AbstractContextManager[object]:
        return self._live

    @override
    def show(self, frame: Frame) -> None:
        time, *numbers = asdict(frame).values()
        table = Table(*asdict(frame), expand=True, box=None)
        table.add_row(clock_time(time), *(f"{number:,}" for number in numbers))
        self._live.update(Group(Panel(table, title="hub"), Panel(Group(*self._lines), title="newest")), refresh=True)

    @override
    def tell(self, event: Event) -> None:
        self._lines.append(Text(sentence(event), style=COLOURS[event.severity], no_wrap=True, overflow="ellipsis"))

    @override
    def note(self, text: str) -> None:
        if self._live.is_started:
            self._lines.append(Text(text, style="bold", no_wrap=True, overflow="ellipsis"))
        else:
            super().note(text)


class JsonLines:
    """One JSON object a line, named by its only key."""

    def open(self) -> AbstractContextManager[object]:
        return nullcontext()

    def show(self, frame: Frame) -> None:
        say_json({"frame": asdict(frame)})

    def tell(self, event: Event) -> None:
        say_json({"event": msgspec.to_builtins(event)})

    def note(self, text: str) -> None:
        say_json({"note": text})

    def close_books(self, checks: Sequence[Check]) -> None:
        say_json({"ledger": [asdict(check) for check in checks], "adds_up": all(check.holds for check in checks)})


def view_for(console: Console, *, as_json: bool) -> View:
    """Return the view that fits where the output goes."""
    if as_json:
        return JsonLines()
    return Picture(console) if console.is_terminal and not console.is_dumb_terminal else Lines(console)
