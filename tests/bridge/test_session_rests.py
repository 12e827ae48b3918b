"""How long the mqtt5 session rests between reads, and what a mistake behind a rest costs."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import replace
from datetime import timedelta
from typing import NamedTuple

import pytest

from hub.bridge import connection as connection_module
from hub.bridge.line import FLOOD_BYTES, LITTLE_BYTES, PATIENT, Pace, Rests
from hub.bridge.session import MqttSession
from hub.model.heard import Lost
from tests.bridge.ear import Ear, config
from tests.bridge.scripted_broker import ScriptedBroker, message
from tests.waiting import PATIENCE_SECONDS, wait_until

MUCH_OF_IT = b"x" * 4 * LITTLE_BYTES


async def test_a_session_rests_between_reads(broker: ScriptedBroker) -> None:
    rest = timedelta(seconds=0.3)
    async with Ear(MqttSession, replace(config(broker.port), rests=Rests(rest, rest))) as ear:
        await wait_until(lambda: ear.is_caught_up)
        broker.send(message(b"a", 1), message(b"b", 2))
        await wait_until(lambda: len(ear.messages) == 2)
        broker.send(message(b"c", 3))
        await wait_until(lambda: len(ear.messages) == 3)
        broker.send(message(MUCH_OF_IT, 4))
        await wait_until(lambda: len(ear.messages) == 4)
        broker.send(message(b"e", 5))
        await wait_until(lambda: len(ear.messages) == 5)
        *_, before, after = ear.heard_at
        assert after - before > rest.total_seconds() / 2


@pytest.mark.parametrize("mistake", [RuntimeError("ours"), OSError("ours")], ids=["any", "of the system"])
async def test_a_mistake_of_ours_behind_a_rest_ends_the_connection_so_that_its_messages_come_again(
    broker: ScriptedBroker, monkeypatch: pytest.MonkeyPatch, mistake: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        monkeypatch.undo()
        raise mistake

    rest = timedelta(seconds=1)
    async with Ear(MqttSession, replace(config(broker.port), rests=Rests(rest, rest))) as ear:
        await wait_until(lambda: ear.is_caught_up)
        broker.send(message(b"a", 1), message(b"b", 2))
        await wait_until(lambda: len(ear.messages) == 2)
        for packet_id in (3, 4):  # behind the second of them it rests
            broker.send(message(MUCH_OF_IT, packet_id))
            await wait_until(lambda: len(ear.messages) == packet_id)  # noqa: B023 -- it is awaited here
        monkeypatch.setattr(connection_module, "read_messages", fail)
        broker.send(message(b"d", 5))
        await wait_until(lambda: broker.connections == 2)
        assert [lost.reason for lost in ear.bodies(Lost)] == ["connection_lost: ours"]
    assert [record.exc_info[1] for record in caplog.records if record.exc_info] == [mistake]


async def _hear_one_read_after_another(broker: ScriptedBroker, ear: Ear, payload: bytes) -> None:
    await wait_until(lambda: ear.is_caught_up)
    broker.send(message(payload, 1), message(payload, 2))
    await wait_until(lambda: len(ear.messages) == 2)
    for packet_id in (3, 4, 5):
        broker.send(message(payload, packet_id))
        await wait_until(lambda: len(ear.messages) == packet_id)  # noqa: B023 -- it is awaited here


@pytest.mark.parametrize("brings", ["little", "much"])
async def test_how_long_it_rests_is_chosen_by_what_a_read_brought(broker: ScriptedBroker, brings: str) -> None:
    soon, an_hour = timedelta(milliseconds=1), timedelta(hours=1)
    rests = Rests(soon, an_hour) if brings == "much" else Rests(an_hour, soon)
    payload = MUCH_OF_IT if brings == "much" else b"x"
    async with Ear(MqttSession, replace(config(broker.port), rests=rests)) as ear:
        await _hear_one_read_after_another(broker, ear, payload)


async def test_a_session_that_attends_rests_after_little_as_after_much(broker: ScriptedBroker) -> None:
    rests = Rests(timedelta(milliseconds=1), timedelta(hours=1))
    async with Ear(MqttSession, replace(config(broker.port), rests=rests, attends=lambda: True)) as ear:
        await _hear_one_read_after_another(broker, ear, b"x")


async def test_a_session_rests_only_a_little_where_hardly_anything_comes(broker: ScriptedBroker) -> None:
    long = timedelta(seconds=2 * PATIENCE_SECONDS)
    async with Ear(MqttSession, replace(config(broker.port), rests=Rests(long, long))) as ear:
        await _hear_one_read_after_another(broker, ear, b"x")


MUCH, LONG = PATIENT
PACKET_BYTES = 120
"""Of a message of the benchmarks."""


@pytest.mark.parametrize(
    ("size", "rest"),
    [(1, LONG), (LITTLE_BYTES - 1, LONG), (LITTLE_BYTES, MUCH), (FLOOD_BYTES - 1, MUCH), (FLOOD_BYTES, LONG)],
)
def test_little_and_a_flood_are_followed_by_a_longer_rest_unless_somebody_attends(size: int, rest: timedelta) -> None:
    assert PATIENT.after(size, max(size, LITTLE_BYTES), attends=False) == rest
    assert PATIENT.after(size, max(size, LITTLE_BYTES), attends=True) == MUCH


def test_ten_thousand_a_second_are_no_flood_even_behind_the_rest_of_one() -> None:
    brought = int(10_000 * PACKET_BYTES * LONG.total_seconds())
    assert PATIENT.after(brought, brought, attends=False) == MUCH


def test_no_message_waits_for_more_than_half_of_the_time_in_which_a_door_is_to_be_held() -> None:
    within = timedelta(milliseconds=100)  # issue 5: an e-bike is in the elevator, and its door stays open
    assert max(PATIENT) <= within / 2


@pytest.mark.parametrize("rate", [300, 500, 1_000])
def test_a_session_that_hears_little_reads_twenty_times_a_second(rate: int) -> None:
    """Each read is a batch, and a batch 1 ms of CPU whatever it brings."""
    assert heard(rate).reads <= 20.5  # between two of them the last half second is sometimes a little less


@pytest.mark.parametrize("rate", [1, 10, 20, 30, 40, 50, 60, 80, 100, 150, 200])
def test_where_less_comes_a_session_reads_more_often_but_never_more_than_forty_times_a_second(rate: int) -> None:
    assert heard(rate).reads < 40


@pytest.mark.parametrize(("rate", "mean_ms", "p99_ms"), [(1, 0.1, 6), (10, 0.5, 6), (30, 3, 15)])
def test_where_hardly_anything_comes_nobody_waits_for_more(rate: int, mean_ms: float, p99_ms: float) -> None:
    """An e-bike in a quiet community: its door waited for up to 50 ms that brought nobody anything."""
    waits = sorted(heard(rate).waits)
    assert sum(waits) / len(waits) < mean_ms / 1_000
    assert waits[len(waits) * 99 // 100] < p99_ms / 1_000


class Heard(NamedTuple):
    """How often a second was read, and how many seconds each message waited for that."""

    reads: float
    waits: list[float]


def heard(rate: int, *, seconds: int = 100) -> Heard:
    """Let ``rate`` messages a second come by chance; a session reads what waits, and rests."""
    chance = random.Random(rate)  # noqa: S311 -- a simulation
    pace, at, arrivals = Pace(), 0.0, deque[float]()
    while at < seconds:
        at += chance.expovariate(rate)
        arrivals.append(at)
    waits: list[float] = []
    reads, now = 0, 0.0
    while arrivals:
        now, before = max(now, arrivals[0]), len(waits)
        while arrivals and arrivals[0] <= now:
            waits.append(now - arrivals.popleft())
        reads += 1
        size = (len(waits) - before) * PACKET_BYTES
        now += PATIENT.after(size, pace.add(size, now), attends=False).total_seconds()
    return Heard(reads / seconds, waits)
