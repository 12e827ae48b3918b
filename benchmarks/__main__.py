"""``python -m benchmarks [--quick] [--json FILE]``: every figure in one run, with its baseline."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import baseline, load, micro, profiles, report
from benchmarks.figures import FULL, QUICK, Figure, Plan, Results
from hub.config import TimeseriesStore
from hub.ui.logs import LogLevel, configure_logging

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    *,
    quick: Annotated[bool, typer.Option("--quick", help="Tiny counts: does it all run, is nothing lost?")] = False,
    json: Annotated[Path | None, typer.Option("--json", help="Write every figure to this file, too.")] = None,
) -> None:
    """Measure the hub against the tutorial way, on real servers. Exit code 1 when the hub lost anything."""
    configure_logging(LogLevel.WARNING, sys.stderr)
    console = Console(width=None if sys.stdout.isatty() else 150)
    results = asyncio.run(run(QUICK if quick else FULL, Console(stderr=True)))
    report.show(results, console)
    if json is not None:
        json.write_bytes(report.as_json(results))
    if any(figure.lost for figure in results.figures):
        raise typer.Exit(1)


async def run(plan: Plan, console: Console) -> Results:
    """Measure everything, one thing after the other; bars on ``console`` meanwhile."""
    columns = (TextColumn("{task.description:<28}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with tempfile.TemporaryDirectory(prefix="hub-bench-") as name, Progress(*columns, console=console) as progress:
        directory = Path(name)

        def bar(what: str, total: int) -> load.Advance:
            task = progress.add_task(what, total=total)
            return lambda: progress.advance(task)

        costs = profiles.measure(plan.profile_calls, plan.micro_runs)
        pieces = await micro.measure(plan, bar("single steps", plan.micro_runs))
        advance = bar("tutorial way", plan.tutorial_runs + len(plan.rates))
        baselines = [await baseline.flood(directory / "tutorial", plan, advance)]
        baselines += await baseline.steady(directory / "tutorial", plan, advance)
        figures: list[Figure] = []
        for store in (TimeseriesStore.INFLUXDB, TimeseriesStore.LOCAL):
            advance = bar(f"hub, flooded, {store.value}", plan.flood_runs)
            figures.append(await load.flood(directory / store.value, store, plan, advance))
        figures += await load.steady(directory / "steady", plan, bar("hub, steady rates", len(plan.rates)))
    return Results(
        plan=plan, baselines=baselines, figures=figures, pieces=pieces, costs=costs, machine=report.machine()
    )


if __name__ == "__main__":
    app()
