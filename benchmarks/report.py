"""The report: the table of costs, the table of targets, one bar of where it goes, and JSON."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks import profiles
from benchmarks.figures import QUICK, Figure, Finding, Results
from benchmarks.targets import judged
from benchmarks.traffic import EVENT_EVERY, PAYLOAD_BYTES
from hub.clock import SystemClock

BAR_CELLS = 50


def machine() -> str:
    """Return what figures depend on, without saying which machine it was."""
    cpus = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("model name\t: ")
    model = cpus[1].partition("\n")[0] if len(cpus) > 1 else platform.machine()
    day = datetime.fromtimestamp(SystemClock().wall_ns() / 1e9, UTC).date()
    load = os.getloadavg()[0]
    return f"{day}, {len(cpus) - 1} cores, {model}, Python {platform.python_version()}, load {load:.1f} at the start"


def show(results: Results, console: Console) -> None:
    """Print the tables and the bar."""
    console.print(table(results))
    for line in results.absent:
        console.print(line)
    console.print(targets(results))
    if results.costs:
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
    ratio = results.ratio(figure)
    yield f"{figure.subject}: {figure.load}"
    yield f"{figure.median_us:.1f}"
    yield f"{min(figure.cpu_us):.1f}-{max(figure.cpu_us):.1f}"
    yield "" if ratio is None else f"1/{ratio:.1f}"
    yield f"{figure.lost:,}"
    yield f"{figure.messages:,}"
    yield f"{figure.events:,}"
    if figure.latency_ms:
        yield f"{figure.percentile_ms(50):.1f}"
        yield f"{figure.percentile_ms(99):.1f}"


def targets(results: Results) -> Table:
    """Return every finding beside its target; what misses it says so."""
    found = Table(title="found, and what it is to be")
    found.add_column("what")
    for name in ("found", "target", "", "lost"):
        found.add_column(name, justify="right")
    found.add_column("")
    for finding in judged(results):
        found.add_row(*_words(finding))
    return found


def _words(finding: Finding) -> Iterator[str]:
    target = finding.target
    yield finding.name
    yield f"{finding.found:,.1f} {finding.unit}"
    yield "" if target is None else f"{'≥' if target.is_least else '≤'} {target.bound:,g} {finding.unit}"
    yield "" if target is None else "[red]missed[/red]" if finding.is_missed else "reached"
    yield f"{finding.lost:,}"
    yield finding.note


def bars(results: Results) -> Iterator[str]:
    """Yield where the first flood's microseconds go, a line a step; the rest is what no step shows alone."""
    if not results.figures or not results.pieces:
        return
    flood = results.figures[0]
    steps = {piece.name: piece.median_us for piece in results.pieces if piece.is_in_path}
    steps["loop, threads, sockets"] = max(0.0, flood.median_us - sum(steps.values()))
    whole = sum(steps.values())
    yield f"where it goes: {flood.subject}, {flood.load}, {flood.median_us:.1f} µs a message"
    for name, cost in steps.items():
        yield f"  {name:<24}{cost:6.2f}  {'█' * round(cost / whole * BAR_CELLS)}"


def as_json(results: Results) -> bytes:
    """Return everything, for programs; latencies as p50 and p99."""
    figures = [
        {
            "subject": figure.subject,
            "load": figure.load,
            "rate": figure.rate,
            "cpu_us": figure.cpu_us,
            "median_us": figure.median_us,
            "ratio": results.ratio(figure),
            "lost": figure.lost,
            "messages": figure.messages,
            "events": figure.events,
            "latency_ms": {f"p{p}": figure.percentile_ms(p) for p in (50, 90, 99)} if figure.latency_ms else None,
        }
        for figure in (*results.baselines, *results.figures)
    ]
    whole = {
        "machine": results.machine,
        "plan": results.plan,
        "figures": figures,
        "findings": [msgspec.to_builtins(each) | {"missed": each.is_missed} for each in judged(results)],
        "sizes": results.sizes,
        "pieces": results.pieces,
        "profiles": results.costs,
        "absent": results.absent,
    }
    return msgspec.json.format(msgspec.json.encode(whole), indent=2)
