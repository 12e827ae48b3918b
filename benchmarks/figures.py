"""The nouns of a run: figures with their repetitions, plans, and the ledger of what was lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.profiles import Cost


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is measured. Rates are messages a second, each for ``seconds``; a flood is as fast as it goes."""

    devices: int
    warm_up: int
    flood: int
    flood_runs: int
    rates: tuple[int, ...]
    seconds: int
    tutorial: int
    tutorial_runs: int
    micro: int
    micro_runs: int
    profile_calls: int


FULL = Plan(
    devices=1_000, warm_up=20_000, flood=200_000, flood_runs=3, rates=(1_000, 5_000), seconds=15,
    tutorial=20_000, tutorial_runs=3, micro=50_000, micro_runs=5,
    profile_calls=2_000,
)  # fmt: skip
QUICK = Plan(
    devices=20, warm_up=400, flood=2_000, flood_runs=1, rates=(200, 400), seconds=2,
    tutorial=500, tutorial_runs=1, micro=2_000, micro_runs=2,
    profile_calls=20,
)  # fmt: skip


FLOOD = "as fast as the broker takes it"
"""A load; the others are steady rates."""


def steadily(rate: int) -> str:
    """Return the load of a steady rate."""
    return f"{rate:,} a second"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One row: CPU microseconds a message, of each run; what was published; what was lost of it.

    Figures of the same ``load`` may be compared.
    """

    subject: str
    load: str
    cpu_us: Sequence[float]
    messages: int
    events: int
    lost: int
    latency_ms: Sequence[float] = ()

    @property
    def median_us(self) -> float:
        """The figure: the median of the runs."""
        return median(self.cpu_us)

    def percentile_ms(self, percent: int) -> float:
        """Return the latency that ``percent`` % of the events did not exceed."""
        ordered = sorted(self.latency_ms)
        return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One step of a message's life, alone and in this process: CPU microseconds a message, of each run."""

    name: str
    what: str
    cpu_us: Sequence[float]
    is_in_path: bool = True

    @property
    def median_us(self) -> float:
        """The figure: the median of the runs."""
        return median(self.cpu_us)


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """Everything that one run of the benchmarks found; the baseline is the tutorial way."""

    plan: Plan
    baselines: Sequence[Figure]
    figures: Sequence[Figure]
    pieces: Sequence[Piece]
    costs: Sequence[Cost]
    machine: str

    def ratio(self, figure: Figure) -> float:
        """Return how often ``figure`` goes into what the tutorial way costs under the same load."""
        base = next(base for base in self.baselines if base.load == figure.load)
        return base.median_us / figure.median_us
