"""The report: one table, one bar of where it goes, and JSON."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks import profiles
from benchmarks.figures import QUICK, Figure, Results
from benchmarks.traffic import EVENT_EVERY, PAYLOAD_BYTES

TARGET = 10.0
"""The hub is to cost at most a tenth of the tutorial way."""
BAR_CELLS = 50


def machine() -> str:
    """Return what figures depend on, without saying which machine it was."""
    cpus = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("model name\t: ")
    model = cpus[1].partition("\n")[0] if len(cpus) > 1 else platform.machine()
    return f"{len(cpus) - 1} cores, {model}, Python {platform.python_version()}"


def show(results: Results, console: Console) -> None:
    """Print the table and the bar."""
    console.print(table(results))
    console.print(profiles.table(results.costs))
    for line in bars(results):
        console.print(line, highlight=False)
    if results.plan is QUICK:
        console.print("--quick checks that everything runs and nothing is lost; its figures mean nothing.")


def table(results: Results) -> Table:
    """Return every figure as a row; ratios are to the tutorial way under the same load."""
    plan = results.plan
    title = (
        f"CPU of the process a message: QoS 1, {plan.devices:,} devices, {PAYLOAD_BYTES} bytes of JSON, four rules, "
        f"one event in {EVENT_EVERY}"
    )
    found = Table(title=title, caption=f"{results.machine}; medians; shared machine: CPU time and ratios, not wall")
    found.add_column("measured")
    for name in ("µs/message", "runs", "ratio", "lost", "messages", "events", "p50 ms", "p99 ms"):
        found.add_column(name, justify="right")
    for figure in (*results.baselines, *results.figures):
        found.add_row(*_cells(figure, results))
    found.add_section()
    for piece in results.pieces:
        spread = f"{min(piece.cpu_us):.2f}-{max(piece.cpu_us):.2f}"
        found.add_row(f"{piece.name}: {piece.what}", f"{piece.median_us:.2f}", spread)
    return found


def _cells(figure: Figure, results: Results) -> Iterator[str]:
    yield f"{figure.subject}: {figure.load}"
    yield f"{figure.median_us:.1f}"
    yield f"{min(figure.cpu_us):.1f}-{max(figure.cpu_us):.1f}"
    yield f"1/{results.ratio(figure):.1f}"
    yield f"{figure.lost:,}"
    yield f"{figure.messages:,}"
    yield f"{figure.events:,}"
    if figure.latency_ms:
        yield f"{figure.percentile_ms(50):.1f}"
        yield f"{figure.percentile_ms(99):.1f}"


def bars(results: Results) -> Iterator[str]:
    """Yield where the first flood's microseconds go, a line a step; the rest is what no step shows alone."""
    flood = results.figures[0]
    steps = {piece.name: piece.median_us for piece in results.pieces if piece.is_in_path}
    steps["loop, threads, sockets"] = max(0.0, flood.median_us - sum(steps.values()))
    whole = sum(steps.values())
    yield f"where it goes: {flood.subject}, {flood.load}, {flood.median_us:.1f} µs a message"
    for name, cost in steps.items():
        yield f"  {name:<24}{cost:6.2f}  {'█' * round(cost / whole * BAR_CELLS)}"
    ratio = results.ratio(flood)
    word = "reached" if ratio >= TARGET else "not reached"
    yield f"target: a tenth of the tutorial way; found 1/{ratio:.1f}: {word}"


def as_json(results: Results) -> bytes:
    """Return everything, for programs; latencies as p50 and p99."""
    figures = [
        {
            "subject": figure.subject,
            "load": figure.load,
            "cpu_us": figure.cpu_us,
            "median_us": figure.median_us,
            "ratio": results.ratio(figure),
            "lost": figure.lost,
            "messages": figure.messages,
            "events": figure.events,
            "latency_ms": {f"p{p}": figure.percentile_ms(p) for p in (50, 99)} if figure.latency_ms else None,
        }
        for figure in (*results.baselines, *results.figures)
    ]
    whole = {
        "machine": results.machine,
        "plan": results.plan,
        "figures": figures,
        "pieces": results.pieces,
        "profiles": results.costs,
    }
    return msgspec.json.format(msgspec.json.encode(whole), indent=2)
