"""A broker that does not answer what it was asked, and the patience of both sessions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import mqtt5
import pytest
from typing_extensions import override

from hub.bridge import overtaken
from hub.bridge.aiomqtt_session import AiomqttSession
from hub.bridge.overtaken import UNANSWERED
from hub.bridge.session import MqttSession
from hub.clock import SystemClock
from hub.model.heard import Lost
from tests.bridge.ear import Ear, SessionFactory, config
from tests.bridge.scripted_broker import ScriptedBroker, message
from tests.waiting import wait_until

BOTH = pytest.mark.parametrize("factory", [MqttSession, AiomqttSession])


@pytest.fixture
async def broker() -> AsyncIterator[ScriptedBroker]:
    """Start a broker that never answers SUBSCRIBE."""
    async with ScriptedBroker().serve() as scripted:
        scripted.grants = False
        yield scripted


@BOTH
async def test_a_broker_that_never_answers_subscribe_is_left_and_tried_again(
    broker: ScriptedBroker, monkeypatch: pytest.MonkeyPatch, factory: SessionFactory
) -> None:
    monkeypatch.setattr(overtaken, "ANSWER_SECONDS", 0.6)
    async with Ear(factory, config(broker.port, keepalive_seconds=1)) as ear:
        await wait_until(lambda: broker.connections == 2)
        assert [lost.reason for lost in ear.bodies(Lost)] == [UNANSWERED]
        assert ear.session.counts.unanswered_subscriptions == 1
        broker.grants = True
        await wait_until(lambda: ear.is_caught_up)


@BOTH
async def test_a_broker_that_never_answers_subscribe_is_left_also_while_its_messages_flow(
    broker: ScriptedBroker, monkeypatch: pytest.MonkeyPatch, factory: SessionFactory
) -> None:
    monkeypatch.setattr(overtaken, "ANSWER_SECONDS", 0.6)
    async with Ear(factory, config(broker.port, keepalive_seconds=1)) as ear:
        await broker.until(mqtt5.SubscribePacket)
        count = 0
        while broker.connections == 1 and count < 2_000:
            count += 1
            broker.send(message(b"", count))
            await wait_until(lambda: broker.connections == 2 or count in broker.acked)  # noqa: B023 -- it is awaited here
        assert [lost.reason for lost in ear.bodies(Lost)] == [UNANSWERED]


@BOTH
async def test_a_broker_that_answers_pings_only_behind_its_backlog_is_given_all_the_time_for_suback(
    broker: ScriptedBroker, monkeypatch: pytest.MonkeyPatch, factory: SessionFactory
) -> None:
    monkeypatch.setattr(overtaken, "ANSWER_SECONDS", 0.0)
    broker.answers_pings = False
    async with Ear(factory, config(broker.port, keepalive_seconds=1)) as ear:
        for count in range(1, 5):
            await broker.until(mqtt5.PingReqPacket, count)
            broker.send(message(b"of the backlog", count))
        assert (broker.connections, ear.bodies(Lost)) == (1, [])
        broker.send(mqtt5.PingRespPacket().write())
        await wait_until(lambda: broker.connections == 2)


async def test_time_in_which_nobody_reads_is_none_that_suback_takes(
    broker: ScriptedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overtaken, "ANSWER_SECONDS", 0.6)
    async with Ear(MqttSession, config(broker.port, keepalive_seconds=1)) as ear:
        await broker.until(mqtt5.SubscribePacket)
        await broker.until(mqtt5.PingReqPacket)
        ear.session.pause_reading()
        await broker.until(mqtt5.PingReqPacket, 5)
        assert broker.connections == 1
        ear.session.resume_reading()
        await wait_until(lambda: broker.connections == 2)


class Steps(SystemClock):
    """A clock on which a sleep lasts until a test steps on; ``sleeps`` counts those that began."""

    def __init__(self) -> None:
        self.sleeps = 0
        self._steps = asyncio.Semaphore(0)

    async def step(self) -> None:
        """End one sleep, and wait for the next."""
        began = self.sleeps
        self._steps.release()
        await wait_until(lambda: self.sleeps > began)

    @override
    async def sleep(self, seconds: float) -> None:
        self.sleeps += 1
        await self._steps.acquire()


async def test_time_in_which_nobody_reads_is_none_that_suback_takes_on_aiomqtt_either(
    broker: ScriptedBroker,
) -> None:
    clock = Steps()
    async with Ear(AiomqttSession, config(broker.port), clock=clock) as ear:
        await broker.until(mqtt5.SubscribePacket)
        await clock.step()
        await broker.until(mqtt5.PingReqPacket)
        broker.send(message(b"behind the answer to the ping", 1))
        await wait_until(lambda: ear.payloads)
        ear.session.pause_reading()
        for _ in range(20):
            await clock.step()
        ear.session.resume_reading()
        assert (broker.connections, ear.bodies(Lost)) == (1, [])
        for _ in range(5):  # of 5 s: more than ANSWER_SECONDS
            await clock.step()
        await wait_until(lambda: ear.bodies(Lost) == [Lost(UNANSWERED)])


@BOTH
async def test_a_broker_that_never_answers_unsubscribe_is_left_too(
    broker: ScriptedBroker, monkeypatch: pytest.MonkeyPatch, factory: SessionFactory
) -> None:
    monkeypatch.setattr(overtaken, "ANSWER_SECONDS", 0.0)
    broker.grants = True
    async with Ear(factory, config(broker.port, keepalive_seconds=1)) as ear:
        await wait_until(lambda: ear.is_caught_up)
        kept, gone = "application/#", config(broker.port).filters[0]
        ear.session.listen((kept,), frozenset())
        await broker.until(mqtt5.UnsubscribePacket)
        assert broker.of(mqtt5.UnsubscribePacket)[0].patterns == [gone]
        await wait_until(lambda: broker.connections == 2)
        assert [lost.reason for lost in ear.bodies(Lost)] == [UNANSWERED]
