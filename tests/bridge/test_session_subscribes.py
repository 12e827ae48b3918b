"""How the mqtt5 session subscribes: once the journal knows, with all the time it takes, never for ever."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import mqtt5
import pytest

from hub.bridge import connection as connection_module
from hub.bridge.aiomqtt_session import AiomqttSession
from hub.bridge.session import MqttSession
from hub.bridge.topics import SYS_DROPPED, SessionName, filters, marker_topic
from hub.model.heard import CaughtUp, Connected, Lost
from hub.registry.brokers.mosquitto_files import PACKET_ROOM_BYTES, Listeners
from tests.bridge.device import publish
from tests.bridge.ear import Ear, SessionFactory, config
from tests.bridge.scripted_broker import ScriptedBroker, message
from tests.machine import needs_mosquitto
from tests.servers.mosquitto import Mosquitto
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


async def test_a_refused_subscription_is_counted_and_asked_for_again(
    broker: ScriptedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "RESUBSCRIBE_SECONDS", 0.05)
    broker.suback = mqtt5.SubAckReasonCode.NOT_AUTHORIZED
    async with Ear(MqttSession, config(broker.port)) as ear:
        await wait_until(lambda: ear.session.counts.refused_subscriptions >= 2)
        assert ear.bodies(Lost) == []
        assert ear.session.counts.unheard == {*config(1).filters, marker_topic("p1", SessionName.TELEMETRY)}
        broker.suback = mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE
        await wait_until(lambda: not ear.session.counts.unheard)


async def test_what_a_broker_refuses_is_unheard_until_nobody_wants_it(broker: ScriptedBroker) -> None:
    broker.suback = mqtt5.SubAckReasonCode.NOT_AUTHORIZED
    wanted = replace(config(broker.port), filters=("a/#", SYS_DROPPED))
    async with Ear(MqttSession, wanted) as ear:
        await wait_until(lambda: "a/#" in ear.session.counts.unheard)
        assert SYS_DROPPED not in ear.session.counts.unheard
        ear.session.listen((SYS_DROPPED,), frozenset())
        await wait_until(lambda: "a/#" not in ear.session.counts.unheard)


@needs_mosquitto
@pytest.mark.parametrize("factory", [MqttSession, AiomqttSession])
async def test_a_session_that_listens_to_very_many_sites_asks_for_no_more_at_once_than_its_broker_takes(
    factory: SessionFactory, tmp_path: Path
) -> None:
    sites = [f"province-site-{number:05}" for number in range(2_500)]
    limit = Listeners(port=1).payload_bytes + PACKET_ROOM_BYTES  # of the mosquitto whose files the hub keeps
    broker = Mosquitto(tmp_path, f"max_packet_size {limit}")
    broker.start()
    try:
        wanted = replace(config(broker.port), filters=filters(SessionName.EVENTS, sites)[:-1])
        async with Ear(factory, wanted) as ear:
            await wait_until(lambda: ear.is_caught_up)
            await publish(broker.port, [b"fire"], topic=f"hub/{sites[-1]}/d1/signal")
            await wait_until(lambda: ear.payloads == [b"fire"])
            assert ear.bodies(Lost) == []
    finally:
        broker.kill()
