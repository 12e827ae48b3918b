"""Faults that measure: each in a town of its own, with no other town beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.campaign import SEED, check, strike_all
from tests.chaos.faults.fault import Fault
from tests.chaos.faults.table import ROWS
from tests.chaos.storm import SERVERS
from tests.machine import needs

pytestmark = [needs(server) for server in SERVERS]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("fault", [fault for fault in ROWS if fault.is_alone], ids=lambda fault: fault.name)
async def test_quiet_devices_do_not_notice(tmp_path: Path, fault: Fault) -> None:
    await strike_all(tmp_path, [fault], SEED, 1, check, is_warm=True)
