"""How long a session waits before it connects again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from typing_extensions import override

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


class NotedGuard:
    """A guard that says yes and notes how it was asked, after how many connections."""

    is_awake = True

    def __init__(self) -> None:
        self.served = 0
        self.asked: list[str] = []

    async def wake(self) -> None:
        """Nobody sleeps here."""

    async def ask(self) -> None:
        self.asked.append(f"ask after {self.served}")

    async def prove(self) -> None:
        self.asked.append(f"prove after {self.served}")


async def asked_by(ends: list[End], clock: ManualClock, *, lasting: float = 0) -> list[str]:
    """Return what a guard is asked while connections end like this, each after ``lasting`` seconds."""
    guard = NotedGuard()

    async def serve() -> End:
        if guard.served == len(ends):
            raise EOFError
        guard.served += 1
        clock.advance(lasting)
        return ends[guard.served - 1]

    with pytest.raises(EOFError):
        await stay_connected("test", serve, clock, guard)
    return guard.asked


SHORT = End("eof", was_good=True, was_accepted=True)


@pytest.mark.parametrize(
    ("ends", "asked"),
    [
        ([SHORT], ["ask after 1"]),
        ([SHORT] * 2, ["ask after 1", "prove after 2"]),
        ([End("unreachable", was_good=False)] * 3, ["ask after 1", "ask after 2", "ask after 3"]),
        ([End(f"{TAKEN_OVER}: by another", was_good=True, was_accepted=True)], ["prove after 1"]),
    ],
    ids=["short once", "short twice", "never accepted", "taken over"],
)
async def test_every_return_is_asked_for_and_a_sign_of_another_owner_needs_proof(
    ends: list[End], asked: list[str]
) -> None:
    assert await asked_by(ends, ManualClock()) == asked


async def test_a_connection_that_lasted_is_no_sign_of_another() -> None:
    assert await asked_by([SHORT] * 3, ManualClock(), lasting=60) == ["ask after 1", "ask after 2", "ask after 3"]


async def test_a_guard_is_asked_after_the_wait_so_that_a_sleep_in_it_counts() -> None:
    clock = ManualClock()
    slept: list[int] = []

    class Asleep(NotedGuard):
        @override
        async def ask(self) -> None:
            slept.append(len(clock.sleeps))
            raise EOFError

    async def serve() -> End:
        return SHORT

    with pytest.raises(EOFError):
        await stay_connected("test", serve, clock, Asleep())
    assert slept == [1]


async def test_whoever_is_cancelled_while_its_connection_fails_does_not_connect_again() -> None:
    began, never = asyncio.Event(), asyncio.Event()

    async def fail() -> None:
        began.set()
        try:
            await never.wait()
        finally:
            raise OSError

    async def serve() -> End:
        assert not began.is_set()  # it would be once more
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(fail())
                await never.wait()
        except* OSError:
            pass
        return End("gone", was_good=False, was_accepted=False)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(stay_connected("test", serve, ManualClock()))
        await began.wait()
        task.cancel()
    assert task.cancelled()
