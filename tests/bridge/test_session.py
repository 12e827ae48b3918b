"""What the mqtt5 session does with brokers that say what no real one would, or say it at the worst moment."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import mqtt5
import pytest

from hub.bridge import acks as acks_module
from hub.bridge import connection as connection_module
from hub.bridge.frames import decode_packets
from hub.bridge.line import Rests
from hub.bridge.session import MqttSession
from hub.bridge.topics import SYS_DROPPED, marker_topic
from hub.model.heard import CaughtUp, Connected, Lost, Packets, Publish
from tests.bridge.ear import CLIENT_ID, Ear, config
from tests.bridge.scripted_broker import ScriptedBroker, message
from tests.servers.silence import silent_first
from tests.waiting import wait_until

MARKER = marker_topic("p1", "telemetry")
GREETED = [60_001, 60_001]
"""What is acked on a first connection before anything else: the probe came back, and the marker."""
NOT_UTF8 = b"\x32\x09\x00\x02\xff\xfe\x00\x07\x00hi"
"""PUBLISH, QoS 1, topic FF FE, packet id 7, payload "hi": MQTT 5 section 1.5.4 forbids the topic."""


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
        (b"\x50\x02\x00\x01", "protocol_error: PubRec"),
        (b"\x70\x02\x00\x01", "protocol_error: PubComp"),
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


async def test_a_broker_is_reached_by_its_second_address_where_nothing_answers_at_the_first(
    broker: ScriptedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that has an IPv6 address, too, in a network where those lead nowhere: all our time went to the first."""
    with silent_first(monkeypatch, broker.port):
        async with Ear(MqttSession, replace(config(broker.port), host="broker.test")) as ear:
            await wait_until(lambda: ear.is_caught_up)


async def test_a_broker_that_accepts_and_never_greets_is_tried_again_within_seconds(broker: ScriptedBroker) -> None:
    broker.greets = False
    async with Ear(MqttSession, config(broker.port, keepalive_seconds=60)) as ear:
        await wait_until(lambda: broker.connections >= 2)
        broker.greets = True
        await wait_until(lambda: ear.is_caught_up)


async def test_a_broker_that_wants_to_hear_us_more_often_is_pinged_in_time(broker: ScriptedBroker) -> None:
    """The first ping left when we had thought: a broker that wants one a second had gone by then, again and again."""
    broker.connack = mqtt5.ConnAckPacket(session_present=True, server_keep_alive=1)
    async with Ear(MqttSession, config(broker.port, keepalive_seconds=60_000)):
        await broker.until(mqtt5.PingReqPacket, 2)
        assert broker.connections == 1


async def test_a_broker_that_wants_no_pings_is_not_left_for_half_a_second_of_silence(broker: ScriptedBroker) -> None:
    broker.connack = mqtt5.ConnAckPacket(session_present=True, server_keep_alive=0)
    async with Ear(MqttSession, config(broker.port, keepalive_seconds=60_000)) as ear:
        await wait_until(lambda: ear.is_caught_up)
        assert isinstance(ear.session, MqttSession)
        connection = ear.session._connection  # noqa: SLF001 -- nobody waits for so long
        assert connection is not None
        assert connection._beat_seconds == 30_000  # noqa: SLF001 -- as above


async def test_messages_are_settled_once_a_ping_behind_their_ack_was_answered(
    broker: ScriptedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acks_module, "SAVED_WITHIN_SECONDS", 0.0)
    async with Ear(MqttSession, config(broker.port, keepalive_seconds=1)) as ear:
        await wait_until(lambda: ear.is_caught_up)
        broker.answers_pings = False
        broker.send(message(b"a", 1), message(b"b", 2))
        await wait_until(lambda: broker.acked[-2:] == [1, 2])
        broker.send(message(b"c", 3))
        await wait_until(lambda: len(ear.messages) == 3)
        assert ear.bodies(Packets)[-1].settled == 0
        broker.answers_pings = True
        broker.send(mqtt5.PingRespPacket().write())  # to one of this moment, which would be the end of the connection
        pings = len(broker.of(mqtt5.PingReqPacket))
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
