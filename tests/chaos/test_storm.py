"""The storm in small: every fault that does not take long once, every invariant after each, with a fixed seed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.campaign import SEED, check, shuffled, strike_all
from tests.chaos.faults.table import ROWS
from tests.chaos.storm import SERVERS
from tests.machine import needs

TOWNS = 5
pytestmark = [needs(server) for server in SERVERS]


@pytest.mark.timeout(1_800)
async def test_every_invariant_holds_after_every_fault_that_does_not_take_long(tmp_path: Path) -> None:
    faults = [fault for fault in ROWS if not (fault.is_alone or fault.is_long)]
    await strike_all(tmp_path, shuffled(faults, SEED), SEED, TOWNS, check, is_warm=True)
