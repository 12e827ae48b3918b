"""``python -m benchmarks [--quick] [--only GROUPS] [--json FILE] [--plots DIR]``: figures and baselines in one run."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import report
from benchmarks.figures import FULL, QUICK, Plan, Results
from benchmarks.groups import GROUPS, Bench
from benchmarks.load import Advance
from hub.ui.process.logs import LogLevel, configure_logging

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    *,
    quick: Annotated[bool, typer.Option("--quick", help="Tiny counts: does it all run, is nothing lost?")] = False,
    only: Annotated[str, typer.Option(help=f"Some of {', '.join(GROUPS)}, with commas between.")] = ",".join(GROUPS),
    json: Annotated[Path | None, typer.Option("--json", help="Write every figure to this file, too.")] = None,
    plots: Annotated[Path | None, typer.Option(help="Draw the curves into this directory (needs matplotlib).")] = None,
) -> None:
    """Measure the hub against other ways, on real servers. Exit code 1 when the hub lost anything."""
    configure_logging(LogLevel.WARNING, sys.stderr)
    console = Console(width=None if sys.stdout.isatty() else 170)
    groups = [name.strip() for name in only.split(",")]
    if unknown := [name for name in groups if name not in GROUPS]:
        raise typer.BadParameter(unknown[0], param_hint="--only")
    results = asyncio.run(run(QUICK if quick else FULL, groups, Console(stderr=True)))
    report.show(results, console)
    if json is not None:
        json.write_bytes(report.as_json(results))
    if plots is not None:
        from benchmarks.plots import draw  # noqa: PLC0415 -- only who draws needs matplotlib

        draw([msgspec.json.decode(report.as_json(results))], plots)
    if results.lost:
        raise typer.Exit(1)


async def run(plan: Plan, groups: Sequence[str], console: Console) -> Results:
    """Measure the groups, one after the other; bars on ``console`` meanwhile."""
    columns = (TextColumn("{task.description:<36}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    results = Results(plan=plan, machine=report.machine())
    with tempfile.TemporaryDirectory(prefix="hub-bench-") as name, Progress(*columns, console=console) as progress:

        def bar(what: str, total: int) -> Advance:
            task = progress.add_task(what, total=total)
            return lambda: progress.advance(task)

        bench = Bench(plan, Path(name), results, bar)
        for group in groups:
            await GROUPS[group](bench)
    return results


if __name__ == "__main__":
    app()
