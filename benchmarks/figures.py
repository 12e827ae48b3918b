"""The nouns of a run: plans, figures with their repetitions, findings with their targets, and what was lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from benchmarks.profiles import Cost


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is measured. Rates are messages a second, each for ``seconds``; a flood is as fast as it goes.

    ``tutorial_rates`` are those that the tutorial way can keep up with; beside ``reflex_rates`` reflexes are timed.
    ``sizes`` are numbers of devices. A mixture is of 24 communities: doors tell seconds, and forty passages of one door
    in one second might fall on one point.
    """

    devices: int
    warm_up: int
    flood: int
    flood_runs: int
    rates: tuple[int, ...]
    tutorial_rates: tuple[int, ...]
    reflex_rates: tuple[int, ...]
    seconds: int
    tutorial: int
    tutorial_runs: int
    micro: int
    micro_runs: int
    profile_calls: int
    mixture: int
    mixture_devices: int
    top_rate: int
    top_seconds: int
    backlog: int
    sizes: tuple[int, ...]
    size_flood: int
    journal: int


FULL = Plan(
    devices=1_000, warm_up=20_000, flood=200_000, flood_runs=3, rates=(1_000, 5_000, 8_000, 10_000),
    tutorial_rates=(1_000, 5_000), reflex_rates=(1_000, 5_000), seconds=15, tutorial=20_000, tutorial_runs=3,
    micro=50_000, micro_runs=5, profile_calls=2_000, mixture=100_000, mixture_devices=9_400, top_rate=25_000,
    top_seconds=60, backlog=200_000, sizes=(1_000, 10_000, 100_000), size_flood=200_000, journal=1_000_000,
)  # fmt: skip
QUICK = Plan(
    devices=20, warm_up=400, flood=20_000, flood_runs=1, rates=(400,), tutorial_rates=(400,),
    reflex_rates=(400,), seconds=2,
    tutorial=2_000, tutorial_runs=1, micro=2_000, micro_runs=2,
    profile_calls=20, mixture=2_000, mixture_devices=2_000, top_rate=2_000, top_seconds=2, backlog=4_000,
    sizes=(20, 200), size_flood=4_000, journal=10_000,
)  # fmt: skip


def percentile(found: Sequence[float], percent: int) -> float:
    """Return what ``percent`` % of ``found`` do not exceed."""
    ordered = sorted(found)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


FLOOD = "as fast as the broker takes it"
"""A load; the others are steady rates."""
MIXTURE = "mixed profiles, flooded"
TUTORIAL = "tutorial way, influxdb"
"""The subject that ratios are to."""


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
    rate: int = 0
    latency_ms: Sequence[float] = ()

    @property
    def median_us(self) -> float:
        """The figure: the median of the runs."""
        return median(self.cpu_us)

    def percentile_ms(self, percent: int) -> float:
        """Return the latency that ``percent`` % of the events did not exceed."""
        return percentile(self.latency_ms, percent)


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
class Target:
    """What a finding is to be: at most, or at least, so much."""

    bound: float
    is_least: bool = False

    def is_met(self, found: float) -> bool:
        """Whether ``found`` is good enough."""
        return found >= self.bound if self.is_least else found <= self.bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One number that is no cost of a message; ``lost`` of what was published to find it. ``note`` is for people."""

    name: str
    found: float
    unit: str
    target: Target | None = None
    lost: int = 0
    note: str = ""

    @property
    def is_missed(self) -> bool:
        """Whether it has a target that it does not meet."""
        return self.target is not None and not self.target.is_met(self.found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What a number of registered devices costs a hub: CPU to start, memory, CPU of a flooded message."""

    devices: int
    start_cpu_seconds: float
    memory_bytes: int
    cpu_us: Sequence[float]

    @property
    def median_us(self) -> float:
        """The cost of a message: the median of the runs."""
        return median(self.cpu_us)


@dataclass(slots=True, kw_only=True)
class Results:
    """Everything that one run of the benchmarks found."""

    plan: Plan
    machine: str
    baselines: list[Figure] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    pieces: list[Piece] = field(default_factory=list)
    costs: list[Cost] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    sizes: list[Size] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)

    def ratio(self, figure: Figure) -> float | None:
        """Return how often ``figure`` goes into what the tutorial way costs under the same load, where it was tried."""
        base = next((base for base in self.baselines if (base.subject, base.load) == (TUTORIAL, figure.load)), None)
        return None if base is None else base.median_us / figure.median_us

    @property
    def lost(self) -> int:
        """What the hub lost, in all."""
        return sum(figure.lost for figure in self.figures) + sum(finding.lost for finding in self.findings)
