"""What the sinks do once a second they do on one stroke of the clock: a calm hub is woken once for all of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from hub.sinks.twins import TwinSink
from tests.clocks import ManualClock
from tests.servers.valkey import ValkeyServer
from tests.sinks.streams.rig import MemoryOutbox, MemoryTwins, Rig, claim_of
from tests.waiting import wait_until

Work = Callable[[], Coroutine[Any, Any, None]]
EVERY_SECOND: dict[str, Callable[[Rig, TwinSink], Work]] = {
    "the heartbeat": lambda rig, _: rig.ownership.run,
    "the look whether Redis is there": lambda rig, _: rig.sink.keep_up,
    "the twins": lambda _, twins: twins.run,
}


@pytest.mark.parametrize("which", EVERY_SECOND)
async def test_it_is_done_on_the_stroke_of_the_second(valkey: ValkeyServer, which: str) -> None:
    clock = ManualClock(monotonic_ns=1_300_000_000)
    rig = Rig(valkey.address, MemoryOutbox(), clock=clock, claim=claim_of())
    twins = TwinSink(valkey.link(), clock, rig.ownership, MemoryTwins())
    task = asyncio.Task(EVERY_SECOND[which](rig, twins)())
    await wait_until(lambda: len(clock.sleeps) > 2)
    task.cancel()
    await asyncio.wait([task])
    await twins.close()
    await rig.close()
    assert clock.sleeps[:3] == pytest.approx([0.7, 1.0, 1.0], abs=1e-6)
