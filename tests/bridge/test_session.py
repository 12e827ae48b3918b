"""What the mqtt5 session does with brokers that say what no real one would, or say it at the worst moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import mqtt5
import pytest

from hub.bridge import acks as acks_module
from hub.bridge import aiomqtt_session as aiomqtt_module
from hub.bridge import connection as connection_module
from hub.bridge import subscriptions as subscriptions_module
from hub.bridge.aiomqtt_session import AiomqttSession
from hub.bridge.frames import decode_packets
from hub.bridge.line import FLOOD_BYTES, LITTLE_BYTES, PATIENT, Rests
from hub.bridge.session import MqttSession
from hub.bridge.subscriptions import UNANSWERED
from hub.bridge.topics import SYS_DROPPED, marker_topic
from hub.model.heard import CaughtUp, Connected, Lost, Packets, Publish
from tests.bridge.ear import CLIENT_ID, Ear, SessionFactory, config
from tests.bridge.scripted_broker import ScriptedBroker, message
from tests.waiting import wait_until

MARKER = marker_topic("p1", "telemetry")
GREETED = [60_001, 60_001]
"""What is acked on a first connection before anything else: the probe came back, and the marker."""
NOT_UTF8 = b"\x32\x09\x00\x02\xff\xfe\x00\x07\x00hi"
"""PUBLISH, QoS 1, topic FF FE, packet id 7, payload "hi": MQTT 5 section 1.5.4 forbids the topic."""


@pytest.fixture
async def broker() -> AsyncIterator[ScriptedBroker]:
    async with ScriptedBroker().serve() as scripted:
        yield scripted


async def test_it_connects_as_the_design_says(broker: ScriptedBroker) -> None:
    async with Ear(MqttSession, config(broker.port)) as ear:
        await wait_until(lambda: ear.is_caught_up)
    connect = broker.of(mqtt5.ConnectPacket)[0]
    assert (connect.client_id, connect.clean_start) == (CLIENT_ID, False)
    assert connect.session_expiry_interval == 0xFFFF_FFFF
    assert (connect.receive_max, connect.topic_alias_max, connect.max_packet_size) == (16_384, 0, None)
    assert connect.keep_alive == 10
    wanted = broker.of(mqtt5.SubscribePacket)[0].topic_filters
    assert [it.pattern for it in wanted] == ["hub/+/+/telemetry", MARKER]
    assert {(int(it.max_qos), it.retain_as_published, it.no_local) for it in wanted} == {(1, False, False)}
    assert {int(it.retain_handling) for it in wanted} == {1}
    assert broker.of(mqtt5.DisconnectPacket), "a stopped session says goodbye"


# The codec panics on text that is not UTF-8, and Rust reports that on stderr whatever we catch.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_message_without_a_readable_topic_is_delivered_whole_and_acked_and_the_next_one_passes(
    broker: ScriptedBroker,
) -> None:
    async with Ear(MqttSession, config(broker.port)) as ear:
        await wait_until(lambda: ear.is_caught_up)
        broker.send(message(b"before", 6), NOT_UTF8, message(b"after", 8))
        await wait_until(lambda: broker.acked[-3:] == [6, 7, 8])
        assert ear.payloads == [b"before", NOT_UTF8, b"after"]
        assert ear.messages[1] == Publish("", NOT_UTF8, 7)
        assert ear.session.counts.malformed_packets == 1
        assert ear.bodies(Lost) == []
        raw = b"".join(body.raw for body in ear.bodies(Packets))
    assert [heard.payload for heard in decode_packets(raw)] == ear.payloads


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"\x00\x00", "malformed_packet"),
        (b"\x32\xff\xff\xff\xff\x01", "malformed_packet"),
        (b"\x62\x02\x00\x01", "proto"),
    ],
)
async def test_any_other_nonsense_ends_the_connection_but_not_the_session(
    broker: ScriptedBroker, frame: bytes, reason: str
) -> None:
    async with Ear(MqttSession, config(broker.port)) as ear:
        await wait_until(lambda: ear.is_caught_up)
        broker.send(message(b"before", 6), frame, message(b"never", 7))
        await wait_until(lambda: len(ear.bodies(CaughtUp)) == 2)
        assert ear.payloads == [b"before"]
        assert ear.bodies(Lost)[0].reason.startswith(reason)


async def test_a_takeover_can_be_recognised(broker: ScriptedBroker) -> None:
    async with Ear(MqttSession, config(broker.port)) as ear:
        await wait_until(lambda: ear.is_caught_up)
        broker.send(mqtt5.DisconnectPacket(reason_code=mqtt5.DisconnectReasonCode.SESSION_TAKEN_OVER).write())
        await wait_until(lambda: ear.bodies(Lost))
        assert ear.bodies(Lost) == [Lost("session_taken_over")]


async def test_a_refused_connection_is_tried_again_and_never_called_lost(broker: ScriptedBroker) -> None:
    accepted, broker.connack = broker.connack, mqtt5.ConnAckPacket(reason_code=mqtt5.ConnAckReasonCode.NOT_AUTHORIZED)
    async with Ear(MqttSession, config(broker.port)) as ear:
        await wait_until(lambda: broker.connections >= 2)
        assert ear.deliveries == []
        broker.connack = accepted
        await wait_until(lambda: ear.is_caught_up)
        assert ear.deliveries[0].body == Connected(session_present=True)
        assert ear.bodies(Lost) == []


async def test_a_broker_that_accepts_and_never_greets_is_tried_again_within_seconds(broker: ScriptedBroker) -> None:
    broker.greets = False
    async with Ear(MqttSession, config(broker.port, keepalive_seconds=60)) as ear:
        await wait_until(lambda: broker.connections >= 2, seconds=20)
        broker.greets = True
        await wait_until(lambda: ear.is_caught_up)


async def test_messages_are_settled_once_a_ping_behind_their_ack_was_answered(
    broker: ScriptedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acks_module, "SAVED_WITHIN_SECONDS", 0.0)
    async with Ear(MqttSession, config(broker.port, keepalive_seconds=1)) as ear:
        await wait_until(lambda: ear.is_caught_up)
        broker.send(message(b"a", 1), message(b"b", 2))
        await wait_until(lambda: broker.acked[-2:] == [1, 2])
        pings = len(broker.of(mqtt5.PingReqPacket))
        broker.answers_pings = False
        broker.send(message(b"c", 3))
        await wait_until(lambda: len(ear.messages) == 3)
        assert ear.bodies(Packets)[-1].settled == 0
        broker.answers_pings = True
        await broker.until(mqtt5.PingReqPacket, pings + 2)
        broker.send(message(b"d", 4))
        await wait_until(lambda: len(ear.messages) == 4)
        assert ear.bodies(Packets)[-1].settled >= 2


async def test_many_acks_are_settled_without_waiting_for_the_next_ping(
    broker: ScriptedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "PING_AFTER_ACKS", 2)
    monkeypatch.setattr(acks_module, "SAVED_WITHIN_SECONDS", 0.0)
    async with Ear(MqttSession, config(broker.port)) as ear:
        await wait_until(lambda: ear.is_caught_up)
        broker.send(*(message(b"x", packet_id) for packet_id in range(1, 4)))
        await broker.until(mqtt5.PingReqPacket)
        broker.send(message(b"y", 4))
        await wait_until(lambda: len(ear.messages) == 4)
        assert ear.bodies(Packets)[-1].settled == 3


async def test_a_broker_that_waits_for_acks_is_read_again_soon(broker: ScriptedBroker) -> None:
    an_hour = timedelta(hours=1)
    async with Ear(MqttSession, replace(config(broker.port), rests=Rests(an_hour, an_hour))) as ear:
        await wait_until(lambda: ear.is_caught_up)
        for acked in (4, 6, 8):
            broker.send(message(b"x", 1), message(b"x", 2))
            await broker.until(mqtt5.PubAckPacket, acked)


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
        began = asyncio.get_running_loop().time()
        broker.send(message(b"e", 5))
        await wait_until(lambda: len(ear.messages) == 5)
        assert asyncio.get_running_loop().time() - began > rest.total_seconds() / 2


@pytest.mark.parametrize("mistake", [RuntimeError("ours"), OSError("ours")], ids=["any", "of the system"])
async def test_a_mistake_of_ours_behind_a_rest_ends_the_connection_so_that_its_messages_come_again(
    broker: ScriptedBroker, monkeypatch: pytest.MonkeyPatch, mistake: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        monkeypatch.undo()
        raise mistake

    rest = timedelta(seconds=0.2)
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


async def test_acks_keep_the_order_of_the_packets_around_foreign_markers(broker: ScriptedBroker) -> None:
    async with Ear(MqttSession, config(broker.port), acks=False) as ear:
        await wait_until(lambda: ear.is_caught_up)
        foreign = message(b"another nonce", 3, topic=MARKER)
        broker.send(message(b"a", 1), message(b"b", 2), foreign, message(b"c", 4))
        await wait_until(lambda: len(ear.messages) == 3)
        ear.ack_all()
        await wait_until(lambda: len(broker.acked) == 6)
        assert broker.acked == [*GREETED, 1, 2, 3, 4]
        assert ear.session.counts.received_messages == 3


async def test_a_marker_that_a_broker_loses_is_published_again(broker: ScriptedBroker) -> None:
    broker.connack = mqtt5.ConnAckPacket(session_present=False)
    broker.returns_markers = False
    async with Ear(MqttSession, config(broker.port)) as ear:
        await broker.until(mqtt5.PublishPacket)
        assert ear.bodies(CaughtUp) == []
        broker.returns_markers = True
        await wait_until(lambda: ear.is_caught_up)
        assert len(broker.of(mqtt5.PublishPacket)) == 2


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


async def test_no_delivery_holds_more_than_two_thousand_messages(broker: ScriptedBroker) -> None:
    async with Ear(MqttSession, config(broker.port)) as ear:
        await wait_until(lambda: ear.is_caught_up)
        broker.send(*(message(b"", packet_id, topic="t") for packet_id in range(1, 20_001)))
        await wait_until(lambda: len(ear.messages) == 20_000)
        sizes = [len(body.messages) for body in ear.bodies(Packets)]
        assert max(sizes) == 2_000
        await wait_until(lambda: broker.acked[2:] == list(range(1, 20_001)))


async def test_a_message_of_many_reads_arrives_whole_and_alone(broker: ScriptedBroker) -> None:
    large = bytes(range(256)) * 20_000
    async with Ear(MqttSession, config(broker.port)) as ear:
        await wait_until(lambda: ear.is_caught_up)
        broker.send(message(b"before", 1), message(large, 2), message(b"after", 3))
        await wait_until(lambda: len(ear.messages) == 3)
        assert ear.payloads == [b"before", large, b"after"]
        assert [len(body.messages) for body in ear.bodies(Packets)] == [1, 1, 1]


async def test_pings_go_on_while_reading_is_paused(broker: ScriptedBroker) -> None:
    async with Ear(MqttSession, config(broker.port, keepalive_seconds=1)) as ear:
        await wait_until(lambda: ear.is_caught_up)
        ear.session.pause_reading()
        broker.send(message(b"unread", 1))
        await broker.until(mqtt5.PingReqPacket, 4)
        assert ear.messages == []
        ear.session.resume_reading()
        await wait_until(lambda: ear.payloads == [b"unread"])
        assert ear.bodies(Lost) == []


async def test_what_the_broker_says_it_dropped_is_kept_and_is_no_message(broker: ScriptedBroker) -> None:
    async with Ear(MqttSession, config(broker.port)) as ear:
        await wait_until(lambda: ear.is_caught_up)
        broker.send(mqtt5.PublishPacket(SYS_DROPPED, b"4000", retain=True).write())
        await wait_until(lambda: ear.session.counts.sys_dropped == 4_000)
        assert ear.messages == []
