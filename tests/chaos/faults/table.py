"""The table of faults: every row that the storm can strike with. A new fault is a file or a row."""

from __future__ import annotations

from collections.abc import Mapping

from tests.chaos.faults import (
    broker,
    clock,
    commands,
    devices,
    disk,
    flood,
    hub,
    identity,
    local_store,
    network,
    redis,
    registry,
    store,
    together,
)
from tests.chaos.faults.fault import Fault

ROWS = (
    *hub.ROWS,
    *redis.ROWS,
    *broker.ROWS,
    *store.ROWS,
    *local_store.ROWS,
    *network.ROWS,
    *devices.ROWS,
    *commands.ROWS,
    *clock.ROWS,
    *disk.ROWS,
    *registry.ROWS,
    *flood.ROWS,
    *identity.ROWS,
    *together.ROWS,
)
FAULTS: Mapping[str, Fault] = {fault.name: fault for fault in ROWS}
