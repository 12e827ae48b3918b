"""The storm in small: every fault of the table once, every invariant after each, with a fixed seed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.campaign import shuffled, strike_all
from tests.chaos.faults.table import ROWS
from tests.chaos.storm import Outcome, Storm

SEED, TOWNS = 5, 3


@pytest.mark.timeout(600)
async def test_every_invariant_holds_after_every_fault(tmp_path: Path) -> None:
    done: list[str] = []
    wrong: list[str] = []

    def tell(storm: Storm, outcome: Outcome) -> None:
        done.append(outcome.fault)
        if outcome.wrong:
            wrong.append("\n".join((storm.fault_log(), *outcome.wrong)))

    faults = [fault for fault in ROWS if not fault.is_alone]
    await strike_all(tmp_path, shuffled(faults, SEED), SEED, TOWNS, tell)
    assert not wrong, "\n\n".join(wrong)
    assert sorted(done) == sorted(fault.name for fault in faults)
