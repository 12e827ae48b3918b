"""The clock's strokes: whoever does something once a second does it together with the others."""

from __future__ import annotations

import pytest

from hub.clock import stroke
from tests.clocks import ManualClock


async def test_who_waits_for_a_stroke_waits_for_the_same_moment_whenever_it_began() -> None:
    clock = ManualClock()
    for late in (0.0, 0.3, 0.999):
        clock.advance(late)
        await stroke(clock, 1)
        assert clock.monotonic_ns() % 1_000_000_000 == pytest.approx(0, abs=1_000)
    assert clock.sleeps == pytest.approx([1.0, 0.7, 0.001], abs=1e-6)
