"""How long the mqtt5 session rests between reads, and what a mistake behind a rest costs."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from hub.bridge import connection as connection_module
from hub.bridge.line import FLOOD_BYTES, LITTLE_BYTES, PATIENT, Rests
from hub.bridge.session import MqttSession
from hub.model.heard import Lost
from tests.bridge.ear import Ear, config
from tests.bridge.scripted_broker import ScriptedBroker, message
from tests.waiting import wait_until


async def test_a_session_rests_between_reads(broker: ScriptedBroker) -> None:
    rest = timedelta(seconds=0.3)
    async with Ear(MqttSession, replace(config(broker.port), rests=Rests(rest, rest))) as ear:
        await wait_until(lambda: ear.is_caught_up)
        broker.send(message(b"a", 1), message(b"b", 2))
        await wait_until(lambda: len(ear.messages) == 2)
        broker.send(message(b"c", 3))
        await wait_until(lambda: len(ear.messages) == 3)
        broker.send(message(b"d", 4))
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
            broker.send(message(b"c", packet_id))
            await wait_until(lambda: len(ear.messages) == packet_id)  # noqa: B023 -- it is awaited here
        monkeypatch.setattr(connection_module, "read_messages", fail)
        broker.send(message(b"d", 5))
        await wait_until(lambda: broker.connections == 2)
        assert [lost.reason for lost in ear.bodies(Lost)] == ["connection_lost: ours"]
    assert [record.exc_info[1] for record in caplog.records if record.exc_info] == [mistake]


@pytest.mark.parametrize("brings", ["little", "much"])
async def test_how_long_it_rests_is_chosen_by_what_a_read_brought(broker: ScriptedBroker, brings: str) -> None:
    soon, an_hour = timedelta(milliseconds=1), timedelta(hours=1)
    rests = Rests(soon, an_hour) if brings == "much" else Rests(an_hour, soon)
    payload = b"x" * (4 * LITTLE_BYTES if brings == "much" else 10)
    async with Ear(MqttSession, replace(config(broker.port), rests=rests)) as ear:
        await wait_until(lambda: ear.is_caught_up)
        broker.send(message(payload, 1), message(payload, 2))
        await wait_until(lambda: len(ear.messages) == 2)
        for packet_id in (3, 4, 5):
            broker.send(message(payload, packet_id))
            await wait_until(lambda: len(ear.messages) == packet_id)  # noqa: B023 -- it is awaited here


async def test_a_session_that_attends_rests_after_little_as_after_much(broker: ScriptedBroker) -> None:
    rests = Rests(timedelta(milliseconds=1), timedelta(hours=1))
    async with Ear(MqttSession, replace(config(broker.port), rests=rests, attends=lambda: True)) as ear:
        await wait_until(lambda: ear.is_caught_up)
        broker.send(message(b"x", 1), message(b"x", 2))
        await wait_until(lambda: len(ear.messages) == 2)
        for packet_id in (3, 4, 5):
            broker.send(message(b"x", packet_id))
            await wait_until(lambda: len(ear.messages) == packet_id)  # noqa: B023 -- it is awaited here


MUCH, LONG = PATIENT
PACKET_BYTES = 120
"""Of a message of the benchmarks."""


@pytest.mark.parametrize(
    ("size", "rest"),
    [(1, LONG), (LITTLE_BYTES - 1, LONG), (LITTLE_BYTES, MUCH), (FLOOD_BYTES - 1, MUCH), (FLOOD_BYTES, LONG)],
)
def test_little_and_a_flood_are_followed_by_a_longer_rest_unless_somebody_attends(size: int, rest: timedelta) -> None:
    assert PATIENT.after(size, attends=False) == rest
    assert PATIENT.after(size, attends=True) == MUCH


def test_ten_thousand_a_second_are_no_flood_even_behind_the_rest_of_one() -> None:
    brought = int(10_000 * PACKET_BYTES * LONG.total_seconds())
    assert PATIENT.after(brought, attends=False) == MUCH


def test_no_message_waits_for_more_than_half_of_the_time_in_which_a_door_is_to_be_held() -> None:
    within = timedelta(milliseconds=100)  # issue 5: an e-bike is in the elevator, and its door stays open
    assert max(PATIENT) <= within / 2


def test_a_session_that_hears_little_reads_twenty_times_a_second_at_most() -> None:
    """Each read is a batch, and a batch 1 ms of CPU whatever it brings."""
    assert timedelta(seconds=1) / PATIENT.after(1_000 * PACKET_BYTES // 20, attends=False) <= 20
