"""``make chaos``: faults for as long as you like, in towns side by side; the lost ranges and exit 1 when one costs."""

from __future__ import annotations

import asyncio
import os
import platform
import secrets
import signal
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from hub.clock import SystemClock
from tests.chaos import report
from tests.chaos.beside import Model
from tests.chaos.campaign import endless, shuffled, strike_all
from tests.chaos.faults.fault import Fault
from tests.chaos.faults.table import FAULTS, ROWS
from tests.chaos.outcome import Outcome, fault_log
from tests.chaos.storm import RATE, SERVERS
from tests.machine import find

ENDED = 130
"""What a shell says of what Ctrl-C ended."""

console = Console(stderr=True)


class Broken(Exception):  # noqa: N818 -- it ends a campaign, and is what its log says
    """An invariant did not hold; the text is the fault log and what is wrong."""


class Chronicle:
    """Hears every outcome, tells it, and ends the campaign at the first that is wrong."""

    def __init__(self, progress: Progress, measure: Callable[[], float]) -> None:
        self.outcomes: list[Outcome] = []
        self.logs: list[str] = []
        self._progress = progress
        self._measure = measure
        self._task = progress.add_task("the first faults", total=1.0)

    def tell(self, of_town: Sequence[Outcome]) -> None:
        """Take the newest outcome of a town."""
        outcome = of_town[-1]
        self.outcomes.append(outcome)
        self._progress.update(self._task, completed=self._measure(), description=outcome.fault)
        verdict = "[red]BROKEN[/red]" if outcome.wrong else f"back in {outcome.recovery:.1f} s"
        console.print(f"{outcome.at:7.1f} s  {outcome.fault}: {outcome.bounds}; {verdict}", highlight=False)
        if outcome.wrong:
            self.logs.append(fault_log(of_town))
            raise Broken(self.logs[-1])


def chosen(names: Iterable[str]) -> list[Fault]:
    """Return the faults of those names, all for none; exit 2 for a name that is no fault."""
    wanted = list(names)
    if strange := [name for name in wanted if name not in FAULTS]:
        console.print(f"no such fault: {', '.join(strange)}. There are: {', '.join(FAULTS)}")
        raise typer.Exit(2)
    return [FAULTS[name] for name in wanted] or list(ROWS)


@contextmanager
def ending_on_signals() -> Iterator[None]:
    """Let SIGTERM end us as Ctrl-C does, also where a shell had that ignored: all that was started ends with us."""
    wanted = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: lambda *_: signal.raise_signal(signal.SIGINT)}
    before = {number: signal.signal(number, handler) for number, handler in wanted.items()}
    try:
        yield
    except KeyboardInterrupt:
        console.print("ended by a signal, with everything that was started")
        raise typer.Exit(ENDED) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def main(
    minutes: Annotated[float, typer.Option(help="For how long; 0: every fault once.")] = 0,
    seed: Annotated[int, typer.Option(help="The order and the moments of the faults.")] = 5,
    towns: Annotated[int, typer.Option(min=1, help="How many hubs suffer side by side.")] = 3,
    fault: Annotated[list[str] | None, typer.Option(help="Only this fault; may be given again.")] = None,
    *,
    json: Annotated[bool, typer.Option("--json", help="Everything that happened, for programs.")] = False,
    readme: Annotated[bool, typer.Option("--readme", help="Write the table of the README.")] = False,
) -> None:
    """Strike real hubs, brokers and stores in running traffic; every invariant is checked after each fault.

    With ``--minutes`` the model plays beside it, with another seed each time.
    """
    if missing := [server for server in SERVERS if find(server) is None]:
        console.print(f"chaos needs {' and '.join(missing)}: apt-get install mosquitto influxdb")
        raise typer.Exit(2)
    faults, clock = chosen(fault or ()), SystemClock()
    began = clock.monotonic_ns()

    def passed() -> float:
        """Return how much of the campaign is over, 0 to 1."""
        if minutes:
            return (clock.monotonic_ns() - began) / (minutes * 60e9)
        return len(chronicle.outcomes) / len(faults)

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with (
        ending_on_signals(),
        Model(minutes, secrets.randbelow(2**32)) as model,
        Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress,
    ):
        chronicle = Chronicle(progress, passed)
        wrong = _run(faults, seed, towns, chronicle, (lambda: passed() < 1) if minutes else None) or model.end()
    if json:
        sys.stdout.buffer.write(report.as_json(seed, chronicle.outcomes, chronicle.logs) + b"\n")
    else:
        Console().print(report.table(faults, chronicle.outcomes))
    if wrong:
        console.print(wrong, highlight=False)
        raise typer.Exit(1)
    if model.examples:
        console.print(f"the model held beside it, {model.examples} examples with seed {model.seed}")
    if readme:
        report.write_readme(ROWS, report.rows(ROWS, chronicle.outcomes), _sentence(towns))


def _run(faults: list[Fault], seed: int, towns: int, chronicle: Chronicle, goes_on: Callable[[], bool] | None) -> str:
    """Let the faults happen; return what is wrong. Faults that measure come last, each in a town of its own."""
    together = [each for each in faults if not each.is_alone]
    alone = [each for each in faults if each.is_alone]
    order: Iterator[Fault] = iter(shuffled(together, seed))
    if goes_on is not None and together:
        order = takewhile(lambda _fault: goes_on(), endless(together, seed))

    async def all_of_it(directory: Path) -> None:
        await strike_all(directory / "together", order, seed, towns, chronicle.tell)
        await strike_all(directory / "alone", alone, seed, 1, chronicle.tell)

    with tempfile.TemporaryDirectory(prefix="chaos-") as directory:
        try:
            asyncio.run(all_of_it(Path(directory)))
        except* Broken:
            pass  # the chronicle has its words
    return "\n\n".join(chronicle.logs)


def _sentence(towns: int) -> str:
    return (
        f"Written by `make chaos-table`: faults in {towns} towns side by side on one machine"
        f" ({platform.machine()}, {os.cpu_count()} processors, load average at its end {os.getloadavg()[1]:.0f}, Python"
        f" {platform.python_version()}), {RATE} messages a second in each, mosquitto, Valkey and influxd real."
        " *Recovery*: from the end of the fault until a fresh message was in the store and a fresh event in the stream."
        " Messages whose effect came twice carried no time and no identity of their own, and the broker, which had"
        " forgotten that it ever sent them, did not mark them as sent before."
    )


if __name__ == "__main__":
    typer.run(main)
