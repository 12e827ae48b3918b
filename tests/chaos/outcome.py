"""What a fault came to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.chaos.strain import Strain


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a fault came to; ``at`` is seconds after the storm began, ``wrong`` is empty when every invariant held.

    ``strain`` is what the machine did to it meanwhile: it excuses nothing.
    """

    fault: str
    at: float
    lasted: float
    lost: int
    doubled: int
    recovery: float
    bounds: str
    measured: str = ""
    wrong: tuple[str, ...] = ()
    strain: Strain = field(default_factory=Strain)


def uncounted(fault: str, at: float, lasted: float, wrong: tuple[str, ...]) -> Outcome:
    """Return the outcome of a fault that did not end: nothing was compared."""
    return Outcome(
        fault=fault, at=at, lasted=lasted, lost=0, doubled=0, recovery=lasted, bounds="not counted", wrong=wrong
    )


def fault_log(outcomes: Sequence[Outcome]) -> str:
    """Return what happened in a town, a line for each fault, and then what is wrong with the last."""
    lines = (f"{each.at:7.1f} s  {each.fault} ({each.lasted:.1f} s): {each.bounds}; {each.strain}" for each in outcomes)
    return "\n".join((*lines, *outcomes[-1].wrong))
