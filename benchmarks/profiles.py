"""What a payload costs by each device profile: CPU microseconds of the compiled handler over its examples."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from rich.console import Console
from rich.table import Table

from hub.catalogue import Catalogue
from hub.config.settings import packaged
from hub.errors import PoisonError
from hub.model.heard import Handler
from hub.normalize.compile import compile_profile
from hub.normalize.examples import Example, example_bytes
from hub.normalize.load import load_profiles
from hub.normalize.payload import Format
from hub.normalize.profile import Profile

ZONE = "Asia/Shanghai"
MOST_US, LIGHT_US = 60.0, 15.0
"""No payload costs more than the first; the usual one of bytes or JSON not more than the second."""
_LIGHT = {Format.BYTES, Format.CHANNELS, Format.JSON}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """CPU microseconds of the usual (first) example of a profile, and of its dearest; medians of the runs."""

    profile: str
    format: str
    payload_bytes: int
    usual_us: float
    most_us: float
    dearest: str

    @property
    def limit_us(self) -> float:
        """What the usual example may cost."""
        return LIGHT_US if self.format in {each.value for each in _LIGHT} else MOST_US

    @property
    def is_within(self) -> bool:
        """Whether both limits hold."""
        return self.usual_us <= self.limit_us and self.most_us <= MOST_US


def measure(calls: int, runs: int) -> list[Cost]:
    """Return what every shipped profile costs: ``runs`` times ``calls`` payloads of each example."""
    catalogue, profiles = load_profiles([packaged("device_profiles")])
    return [_cost(profile, catalogue, calls, runs) for profile in profiles.values() if profile.examples]


def _cost(profile: Profile, catalogue: Catalogue, calls: int, runs: int) -> Cost:
    first = profile.examples[0]
    costs = {
        example.name: _us(
            compile_profile(profile, catalogue.kind(profile.kind), example.params, ZONE), example, calls, runs
        )
        for example in profile.examples
    }
    dearest = max(costs, key=lambda name: costs[name])
    return Cost(
        profile=profile.profile,
        format=profile.payload.format.value,
        payload_bytes=len(example_bytes(first)),
        usual_us=costs[first.name],
        most_us=costs[dearest],
        dearest=dearest,
    )  # fmt: skip


def _us(handler: Handler, example: Example, calls: int, runs: int) -> float:
    """Return the median cost of a payload; one that is refused costs, too."""
    payload = example_bytes(example)
    beside = () if example.port is None else (example.port,)
    found = []
    for _ in range(runs):
        begun = time.process_time_ns()
        for _ in range(calls):
            try:
                handler(payload, *beside)
            except PoisonError:
                continue
        found.append((time.process_time_ns() - begun) / 1e3 / calls)
    return median(found)


def table(costs: Sequence[Cost]) -> Table:
    """Return the costs, the dearest profile first."""
    title = f"CPU of a payload by its profile: at most {MOST_US:.0f} µs, the usual one of bytes or JSON {LIGHT_US:.0f}"
    found = Table(title=title, caption="medians; the usual payload is the first example of a profile")
    for name in ("profile", "format"):
        found.add_column(name)
    for name in ("bytes", "µs, usual", "µs, dearest"):
        found.add_column(name, justify="right")
    found.add_column("the dearest example")
    for row in _rows(costs):
        found.add_row(*row)
    return found


def _rows(costs: Sequence[Cost]) -> Iterator[tuple[str, ...]]:
    for cost in sorted(costs, key=lambda cost: -cost.usual_us):
        mark = "" if cost.is_within else " (!)"
        yield (
            cost.profile,
            cost.format,
            f"{cost.payload_bytes:,}",
            f"{cost.usual_us:.1f}{mark}",
            f"{cost.most_us:.1f}",
            cost.dearest,
        )


if __name__ == "__main__":
    Console(width=None if sys.stdout.isatty() else 150).print(table(measure(1_000, 5)))
