"""``python -m benchmarks.turns before=../before now=.``: hubs of several checkouts in turns, at a rate or flooded."""

from __future__ import annotations

import asyncio
import re
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.figures import FULL, percentile
from benchmarks.hub_process import Setup
from benchmarks.load import MIXED, Advance, Load, loaded
from benchmarks.timing import Trial, timed
from benchmarks.traffic import SITE
from hub.clock import SystemClock
from hub.errors import UnavailableError
from simulators.mixture import Mixture

RECORDS = "hub_journal_records_appended_total"
WAITS = re.compile(r"^voluntary_ctxt_switches:\s+(\d+)$", re.MULTILINE)

app = typer.Typer(add_completion=False)


@dataclass(slots=True, kw_only=True)
class Hub:
    """What one checkout cost: CPU us a message of each window, ms of each event; records and waits of a second."""

    name: str
    cpu_us: list[float] = field(default_factory=list)
    latency_ms: list[float] = field(default_factory=list)
    records: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)


@app.command()
def main(  # noqa: PLR0913 -- its options
    checkouts: Annotated[list[str], typer.Argument(help="name=path of each")],
    *,
    rate: int = 1_000,
    flood: Annotated[int, typer.Option(help="So many messages as fast as the broker takes them, and no rate.")] = 0,
    mixed: Annotated[bool, typer.Option("--mixed", help="Of the mixture, judged by the shipped rules.")] = False,
    devices: Annotated[int, typer.Option(help="Each has spoken before.")] = FULL.devices,
    seconds: int = 10,
    rounds: int = 3,
    json: bool = False,
) -> None:
    """Start a hub of each checkout; then each has its turn, in the other order every second round."""
    paths = {name: Path(path).resolve() for name, path in (each.split("=", 1) for each in checkouts)}
    console = Console(stderr=json)
    with Progress(console=console, transient=True) as progress, tempfile.TemporaryDirectory() as directory:
        bar = progress.add_task("flooded" if flood else f"{rate} a second", total=rounds * len(paths))
        plan = _Plan(rate=rate, flood=flood, mixed=mixed, devices=devices, seconds=seconds, rounds=rounds)
        hubs = asyncio.run(_turns(Path(directory), paths, plan, lambda: progress.advance(bar)))
    if json:
        typer.echo(msgspec.json.encode(hubs))
    else:
        console.print(_table(hubs))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    rate: int
    flood: int
    mixed: bool
    devices: int
    seconds: int
    rounds: int


async def _turns(directory: Path, paths: Mapping[str, Path], plan: _Plan, advance: Advance) -> list[Hub]:
    hubs: list[Hub] = []
    async with AsyncExitStack() as stack:
        turns: list[tuple[Hub, Load]] = []
        for name, path in paths.items():
            (directory / name).mkdir()
            load = await stack.enter_async_context(_loaded(directory / name, path, plan))
            hubs.append(Hub(name=name))
            turns.append((hubs[-1], load))
        for number in range(plan.rounds):
            for hub, load in turns[:: -1 if number % 2 else 1]:
                await _turn(hub, load, plan)
                advance()
        for _, load in turns:
            if (losses := await load.hub.stop()).total:
                raise UnavailableError("lost_at_a_steady_rate", str(losses))
    return hubs


def _loaded(directory: Path, checkout: Path, plan: _Plan) -> AbstractAsyncContextManager[Load]:
    if not plan.mixed:
        warm_up = max(FULL.warm_up, plan.devices)
        return loaded(directory, Setup(checkout=checkout), plan.devices, warm_up=warm_up)
    speech, setup = Mixture(SITE, FULL.mixture_devices), replace(MIXED, checkout=checkout)
    return loaded(directory, setup, FULL.mixture_devices, warm_up=FULL.warm_up, speech=speech)


async def _turn(hub: Hub, load: Load, plan: _Plan) -> None:
    pid, clock = load.hub.pid, SystemClock()
    records, switches, began = (await load.hub.metrics())[RECORDS], _switches(pid), clock.monotonic_ns()
    if plan.flood:
        hub.cpu_us.append(await load.flood(plan.flood))
    else:
        count = plan.rate * plan.seconds
        events, url = load.events(count), load.stage.redis_url
        trial = Trial(pid=pid, redis_url=url, rate=plan.rate, seconds=plan.seconds, events=events)
        found = await timed(trial, load.send)
        hub.cpu_us += found.cpu_us
        hub.latency_ms += found.latency_ms
    seconds = (clock.monotonic_ns() - began) / 1e9 if plan.flood else plan.seconds
    hub.records.append(((await load.hub.metrics())[RECORDS] - records) / seconds)
    hub.waits.append((_switches(pid) - switches) / seconds)


def _switches(pid: int) -> int:
    """Return how often the threads of a process waited for something, so far."""
    texts = [(each / "status").read_text(encoding="ascii") for each in Path(f"/proc/{pid}/task").iterdir()]
    return sum(int(WAITS.findall(text)[0]) for text in texts)


def _table(hubs: Sequence[Hub]) -> Table:
    table = Table("", "CPU us a message", "to the first", "p50 ms", "p99 ms", "records a second", "waits a second")
    first = statistics.median(hubs[0].cpu_us)
    for hub in hubs:
        cpu, latency = statistics.median(hub.cpu_us), hub.latency_ms
        spread = f"{cpu:.1f} ({min(hub.cpu_us):.1f} to {max(hub.cpu_us):.1f})"
        seconds = (f"{statistics.median(each):.0f}" for each in (hub.records, hub.waits))
        times = (f"{percentile(latency, each):.0f}" if latency else "" for each in (50, 99))
        table.add_row(hub.name, spread, f"{cpu / first:.2f}", *times, *seconds)
    return table


if __name__ == "__main__":
    app()
