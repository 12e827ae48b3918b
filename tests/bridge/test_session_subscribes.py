"""How the mqtt5 session subscribes: once the journal knows, with all the time it takes, never for ever."""

from __future__ import annotations

import mqtt5
import pytest

from hub.bridge import aiomqtt_session as aiomqtt_module
from hub.bridge import connection as connection_module
from hub.bridge import subscriptions as subscriptions_module
from hub.bridge.aiomqtt_session import AiomqttSession
from hub.bridge.session import MqttSession
from hub.bridge.subscriptions import UNANSWERED
from hub.model.heard import CaughtUp, Connected, Lost
from tests.bridge.ear import Ear, SessionFactory, config
from tests.bridge.scripted_broker import ScriptedBroker, message
from tests.waiting import wait_until


async def test_a_session_that_brings_something_is_subscribed_anew_once_the_journal_knows_it(
    broker: ScriptedBroker,
) -> None:
    async with Ear(MqttSession, config(broker.port, keepalive_seconds=1), journals=False) as ear:
        await wait_until(lambda: ear.bodies(Connected) == [Connected(session_present=True)])
        await broker.until(mqtt5.PingReqPacket)
        assert broker.of(mqtt5.SubscribePacket) == []
        ear.ack_all()
        await wait_until(lambda: ear.is_caught_up)
        assert len(broker.of(mqtt5.SubscribePacket)) == 1


async def test_a_journal_or_a_broker_that_says_nothing_does_not_keep_it_from_subscribing(
    broker: ScriptedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "PATIENCE_SECONDS", 0.05)
    broker.returns_markers = False
    async with Ear(MqttSession, config(broker.port), journals=False) as ear:
        await broker.until(mqtt5.SubscribePacket)
        assert ear.bodies(Connected) == [Connected(session_present=True)]


async def test_it_reads_while_the_broker_holds_the_suback_back(broker: ScriptedBroker) -> None:
    broker.grants = False
    async with Ear(MqttSession, config(broker.port)) as ear:
        await broker.until(mqtt5.SubscribePacket)
        broker.send(*(message(str(i).encode(), i) for i in range(1, 101)))
        await wait_until(lambda: len(broker.acked) == 101)
        assert ear.bodies(CaughtUp) == []
        subscribe = broker.of(mqtt5.SubscribePacket)[0]
        granted = [mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE] * 2
        broker.send(mqtt5.SubAckPacket(subscribe.packet_id, granted).write())
        await wait_until(lambda: ear.is_caught_up)


@pytest.mark.parametrize("factory", [MqttSession, AiomqttSession])
async def test_a_broker_that_never_answers_subscribe_is_left_and_tried_again(
    broker: ScriptedBroker, monkeypatch: pytest.MonkeyPatch, factory: SessionFactory
) -> None:
    for module in (subscriptions_module, aiomqtt_module):
        monkeypatch.setattr(module, "ANSWER_SECONDS", 0.6)
    broker.grants = False
    async with Ear(factory, config(broker.port, keepalive_seconds=1)) as ear:
        await wait_until(lambda: broker.connections == 2)
        assert [lost.reason.partition(":")[0] for lost in ear.bodies(Lost)] == ["no_suback"]
        assert ear.session.counts.unanswered_subscriptions == 1
        broker.grants = True
        await wait_until(lambda: ear.is_caught_up)


async def test_a_broker_that_answers_pings_only_behind_its_backlog_is_given_all_the_time_for_suback(
    broker: ScriptedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriptions_module, "ANSWER_SECONDS", 0.0)
    broker.grants = broker.answers_pings = False
    async with Ear(MqttSession, config(broker.port, keepalive_seconds=1)) as ear:
        for count in range(1, 5):
            await broker.until(mqtt5.PingReqPacket, count)
            broker.send(message(b"of the backlog", count))
        assert (broker.connections, ear.bodies(Lost)) == (1, [])
        broker.send(mqtt5.PingRespPacket().write())
        await wait_until(lambda: broker.connections == 2)


async def test_time_in_which_nobody_reads_is_none_that_suback_takes(
    broker: ScriptedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriptions_module, "ANSWER_SECONDS", 0.6)
    broker.grants = False
    async with Ear(MqttSession, config(broker.port, keepalive_seconds=1)) as ear:
        await broker.until(mqtt5.SubscribePacket)
        await broker.until(mqtt5.PingReqPacket)
        ear.session.pause_reading()
        await broker.until(mqtt5.PingReqPacket, 5)
        assert broker.connections == 1
        ear.session.resume_reading()
        await wait_until(lambda: broker.connections == 2)


async def test_a_broker_that_never_answers_unsubscribe_is_left_too(
    broker: ScriptedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriptions_module, "ANSWER_SECONDS", 0.0)
    async with Ear(MqttSession, config(broker.port, keepalive_seconds=1)) as ear:
        await wait_until(lambda: ear.is_caught_up)
        kept, gone = "application/#", config(broker.port).filters[0]
        ear.session.listen((kept,), frozenset())
        await broker.until(mqtt5.UnsubscribePacket)
        assert broker.of(mqtt5.UnsubscribePacket)[0].patterns == [gone]
        await wait_until(lambda: broker.connections == 2)
        assert [lost.reason for lost in ear.bodies(Lost)] == [UNANSWERED]


async def test_a_refused_subscription_is_counted_and_asked_for_again(
    broker: ScriptedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "RESUBSCRIBE_SECONDS", 0.05)
    broker.suback = mqtt5.SubAckReasonCode.NOT_AUTHORIZED
    async with Ear(MqttSession, config(broker.port)) as ear:
        await broker.until(mqtt5.SubscribePacket, 2)
        assert ear.session.counts.refused_subscriptions >= 2
        assert ear.bodies(Lost) == []
