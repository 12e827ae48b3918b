"""How long a session waits before it connects again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hub.bridge.reconnect import MAX_BACKOFF_SECONDS, TAKEN_OVER, End, backoff_seconds, stay_connected
from tests.clocks import ManualClock


def test_the_wait_grows_with_failures_to_two_seconds() -> None:
    for failures, longest in enumerate((0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0)):
        waits = [backoff_seconds(failures, "unreachable") for _ in range(200)]
        assert longest / 2 <= min(waits) < max(waits) <= longest


def test_another_owner_gets_the_longest_wait_at_once() -> None:
    assert backoff_seconds(0, f"{TAKEN_OVER}: by another") >= MAX_BACKOFF_SECONDS / 2


async def test_a_connection_that_did_its_work_starts_the_count_again() -> None:
    clock = ManualClock()
    ends: Iterator[bool] = iter([False] * 6 + [True])

    async def serve() -> End:
        return End("over", was_good=next(ends))

    with pytest.raises(RuntimeError, match="StopIteration"):
        await stay_connected("test", serve, clock)
    assert clock.sleeps[5] >= 1.0
    assert clock.sleeps[6] <= 0.1
