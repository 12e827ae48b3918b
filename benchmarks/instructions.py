"""What apply does, in Python instructions by function: no clock, so a busy machine says the same as a quiet one.

    .venv/bin/python -m benchmarks.instructions                            # the functions that do most
    .venv/bin/python -m benchmarks.instructions --against before=../before # and what they do more than there

Of the mixture with the shipped rules, as :mod:`benchmarks.mixed` has it. What C does is not counted.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.mixed import WARM_UP, MixedDesk, checkouts, said_elsewhere
from hub.ui.process.logs import LogLevel, configure_logging

if TYPE_CHECKING:
    from _typeshed import TraceFunction

FUNCTIONS = 30

Found = dict[str, float]
"""Instructions a message, by function."""


class Counting:
    """Counts the instructions of every Python function that is called while it is entered."""

    def __init__(self) -> None:
        self._found: Counter[CodeType] = Counter()

    def __enter__(self) -> None:
        sys.settrace(self._trace)

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def _trace(self, frame: FrameType, event: str, _: Any) -> TraceFunction:  # noqa: ANN401 -- as sys.settrace has it
        # f_trace first: from 3.12 on nothing is counted of a frame that is not traced yet when it is asked for.
        frame.f_trace, frame.f_trace_opcodes, frame.f_trace_lines = self._trace, True, False
        if event == "opcode":
            self._found[frame.f_code] += 1
        return self._trace

    def by_function(self, messages: int) -> Found:
        """Return what was counted for each of so many messages."""
        found: Counter[str] = Counter()
        for code, count in self._found.items():
            found[f"{Path(code.co_filename).name} {code.co_qualname}"] += count
        return {name: count / messages for name, count in found.items()}


def count(desk: MixedDesk) -> Found:
    """Return what applying the messages of ``desk`` takes, but for the first records."""
    engine, counting, messages = desk.engine(is_bare=False), Counting(), 0
    for number, record in enumerate(desk.records(engine.state.clock.position + 1)):
        if number < WARM_UP:
            engine.apply(record)
            continue
        messages += len(record.messages)
        with counting:
            engine.apply(record)
    return counting.by_function(messages)


def table(found: Mapping[str, Found]) -> Table:
    """Return the functions in which the checkouts differ most, or do most where there is one; and all together."""
    first, last = (list(found.values())[at] for at in (0, -1))
    shown = Table("Python instructions a message")
    for name in found:
        shown.add_column(name, justify="right")
    base = first if len(found) > 1 else {}
    names = sorted({*first, *last}, key=lambda name: -abs(last.get(name, 0) - base.get(name, 0)))
    for name in names[:FUNCTIONS]:
        shown.add_row(name, *(f"{each.get(name, 0):.2f}" for each in found.values()))
    shown.add_section()
    shown.add_row("in all", *(f"{sum(each.values()):.1f}" for each in found.values()))
    return shown


def _of(path: Path, words: Sequence[str]) -> Found:
    said = said_elsewhere("benchmarks.instructions", path, words)
    return msgspec.json.decode(said, type=dict[str, Found])["now"]


app = typer.Typer(add_completion=False)


@app.command()
def main(
    *,
    messages: int = 16_000,
    family: Annotated[str, typer.Option(help="Only what smoke, door, lift, plates, leak, gas or air says.")] = "",
    against: Annotated[list[str] | None, typer.Option(help="name=path of another checkout.")] = None,
    json: bool = False,
) -> None:
    """Say what Python does for a message of the mixture, by function; the first 10,000 only warm it up."""
    configure_logging(LogLevel.ERROR, sys.stderr)
    words = ["--messages", str(messages), "--family", family]
    found = {name: _of(path, words) for name, path in checkouts(against or ()).items()}
    found["now"] = count(MixedDesk(messages, family))
    if json:
        typer.echo(msgspec.json.encode(found))
    else:
        Console(width=None if sys.stdout.isatty() else 140).print(table(found))


if __name__ == "__main__":
    app()
