"""The storm in small: every fault that does not take long once, every invariant after each, with a fixed seed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.chaos.campaign import shuffled, strike_all
from tests.chaos.faults.table import ROWS
from tests.chaos.outcome import Outcome, fault_log
from tests.chaos.storm import SERVERS
from tests.machine import needs

SEED, TOWNS = 5, 3
pytestmark = [needs(server) for server in SERVERS]


def check(of_town: Sequence[Outcome]) -> None:
    """Assert that every invariant holds; else tell the lost ranges beside the log of faults."""
    assert not of_town[-1].wrong, fault_log(of_town)


@pytest.mark.timeout(600)
async def test_every_invariant_holds_after_every_fault_that_does_not_take_long(tmp_path: Path) -> None:
    faults = [fault for fault in ROWS if not (fault.is_alone or fault.is_long)]
    await strike_all(tmp_path, shuffled(faults, SEED), SEED, TOWNS, check)
