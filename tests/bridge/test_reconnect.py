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


@pytest.mark.parametrize(
    ("ends", "asked"),
    [
        ([End("eof", was_good=True, was_accepted=True)] * 2, [2]),
        ([End("eof", was_good=True, was_accepted=True)], []),
        ([End("unreachable", was_good=False)] * 5, []),
        ([End(f"{TAKEN_OVER}: by another", was_good=True, was_accepted=True)], [1]),
    ],
    ids=["short twice", "short once", "never accepted", "taken over"],
)
async def test_somebody_with_our_client_id_makes_us_ask_before_we_return(ends: list[End], asked: list[int]) -> None:
    served = 0
    found: list[int] = []

    async def serve() -> End:
        nonlocal served
        served += 1
        return ends[served - 1] if served <= len(ends) else await never()

    async def never() -> End:
        raise EOFError

    async def may_return() -> None:
        found.append(served)

    with pytest.raises(EOFError):
        await stay_connected("test", serve, ManualClock(), may_return)
    assert found == asked


async def test_a_connection_that_lasted_is_no_sign_of_another() -> None:
    clock = ManualClock()
    served = 0

    async def serve() -> End:
        nonlocal served
        served += 1
        clock.advance(60)
        if served == 4:
            raise EOFError
        return End("eof", was_good=True, was_accepted=True)

    async def may_return() -> None:
        pytest.fail("nobody else is there")

    with pytest.raises(EOFError):
        await stay_connected("test", serve, clock, may_return)
    assert served == 4
