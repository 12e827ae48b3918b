"""The targets: what the figures of a run are to be, beside what they are."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.figures import FLOOD, MIXTURE, Finding, Results, Target, steadily

HUB = "hub, influxdb"
FLOOD_US, RATIO = 8.0, 18.0
STEADY_US = {1_000: 45.0, 8_000: 20.0}
P99_MS = {5_000: 50.0}


def judged(results: Results) -> list[Finding]:
    """Return every number that has a target, and the findings beside them."""
    return [*_of_figures(results), *results.findings]


def _of_figures(results: Results) -> Iterator[Finding]:
    for figure in results.figures:
        if figure.subject != HUB:
            continue
        if figure.load in {FLOOD, MIXTURE}:
            target = Target(bound=FLOOD_US)
            yield Finding(name=f"CPU a message: {figure.load}", found=figure.median_us, unit="µs", target=target)
        ratio = results.ratio(figure)
        if figure.load == FLOOD and ratio is not None:
            target = Target(bound=RATIO, is_least=True)
            yield Finding(name="cheaper than the tutorial way, flooded", found=ratio, unit="×", target=target)
        if figure.rate in STEADY_US:
            target = Target(bound=STEADY_US[figure.rate])
            name = f"CPU a message: {steadily(figure.rate)}"
            yield Finding(name=name, found=figure.median_us, unit="µs", target=target)
        if figure.latency_ms:
            bound = P99_MS.get(figure.rate)
            yield Finding(
                name=f"publish to event, p99: {figure.load}", found=figure.percentile_ms(99), unit="ms",
                target=None if bound is None else Target(bound=bound), note=f"p50 {figure.percentile_ms(50):.1f} ms",
            )  # fmt: skip
