"""The groups of a run: each measures one thing on servers of its own, and adds what it found."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks import (
    baseline,
    capacity,
    home_assistant,
    load,
    micro,
    nodered,
    profiles,
    program,
    recovery,
    scale,
    telegraf,
)
from benchmarks.figures import Plan, Results
from benchmarks.load import Advance
from hub.config.settings import TimeseriesStore

RIVALS = (nodered.RIVAL, telegraf.RIVAL, home_assistant.RIVAL, home_assistant.AUTOMATED)


@dataclass(frozen=True, slots=True)
class Bench:
    """What a group works with: how much, where, what is found so far, and a bar for so many steps."""

    plan: Plan
    directory: Path
    results: Results
    bar: Callable[[str, int], Advance]


async def flood(bench: Bench) -> None:
    """Let every way go as fast as it can."""
    plan, results = bench.plan, bench.results
    if not baseline.has_raw():
        results.absent.append(baseline.ABSENT)
    for way in (baseline.TUTORIAL, baseline.RAW)[: 1 + baseline.has_raw()]:
        advance = bench.bar(f"{way.subject}, flooded", plan.tutorial_runs)
        results.baselines.append(await baseline.flood(way, bench.directory, plan, advance))
    for rival in RIVALS:
        if (executable := rival.find()) is None:
            results.absent.append(rival.absent)
        else:
            advance = bench.bar(f"{rival.executable}, flooded", plan.tutorial_runs)
            results.baselines.append(await program.flood(rival, executable, bench.directory, plan, advance))
    for store in (TimeseriesStore.INFLUXDB, TimeseriesStore.LOCAL):
        advance = bench.bar(f"hub, flooded, {store.value}", plan.flood_runs)
        results.figures.append(await load.flood(bench.directory / store.value, store, plan, advance))


async def steady(bench: Bench) -> None:
    """Keep up steady rates: what a message costs, and how long an event takes."""
    plan, results = bench.plan, bench.results
    for way, rates in (
        (baseline.TUTORIAL, plan.tutorial_rates),
        (baseline.RAW, plan.rates if baseline.has_raw() else ()),
    ):
        advance = bench.bar(f"{way.subject}, steady", len(rates))
        results.baselines += await baseline.steady(way, bench.directory, plan, rates, advance)
    advance = bench.bar("hub, steady rates", len(plan.rates) + len(plan.reflex_rates))
    figures, findings = await load.steady(bench.directory / "steady", plan, advance)
    results.figures += figures
    results.findings += findings


async def mixture(bench: Bench) -> None:
    """Flood a hub with what a real community says."""
    advance = bench.bar("hub, mixed profiles", bench.plan.flood_runs)
    bench.results.figures.append(await load.mixture(bench.directory / "mixture", bench.plan, advance))


async def top(bench: Bench) -> None:
    """Keep up the highest rate for a minute."""
    bench.results.findings += await capacity.top(bench.directory / "top", bench.plan, bench.bar("hub, top rate", 1))


async def backlog(bench: Bench) -> None:
    """Let a hub drain what waited while it was down."""
    found = await capacity.backlog(bench.directory / "backlog", bench.plan, bench.bar("hub, backlog", 1))
    bench.results.findings += found


async def scale_(bench: Bench) -> None:
    """Register more and more devices."""
    advance = bench.bar("hub, more devices", len(bench.plan.sizes))
    sizes, findings = await scale.measure(bench.directory / "scale", bench.plan, advance)
    bench.results.sizes += sizes
    bench.results.findings += findings


async def recovery_(bench: Bench) -> None:
    """Read a whole journal again."""
    found = await recovery.measure(bench.directory / "recovery", bench.plan, bench.bar("hub, journal again", 3))
    bench.results.findings += found


async def steps(bench: Bench) -> None:
    """Time single steps of a message's life, and payloads by profile; no servers."""
    plan, results = bench.plan, bench.results
    results.costs += profiles.measure(plan.profile_calls, plan.micro_runs)
    results.pieces += await micro.measure(plan, bench.bar("single steps", plan.micro_runs))


GROUPS: Mapping[str, Callable[[Bench], Awaitable[None]]] = {
    "steps": steps,
    "flood": flood,
    "steady": steady,
    "mixture": mixture,
    "top": top,
    "backlog": backlog,
    "scale": scale_,
    "recovery": recovery_,
}
