"""QoS 2, for which nobody of ours asks: who publishes with it, and brokers that pass it on all the same."""

from __future__ import annotations

import aiomqtt
import mqtt5
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from hub.bridge.aiomqtt_session import AiomqttSession
from hub.bridge.frames import decode_packets
from hub.bridge.session import MqttSession
from hub.model.heard import Lost, Packets
from tests.bridge.device import TOPIC, owed, publish
from tests.bridge.ear import CLIENT_ID, Ear, SessionFactory, config
from tests.bridge.scripted_broker import ScriptedBroker, message
from tests.servers.mosquitto import Mosquitto
from tests.waiting import wait_until

EACH_SESSION = pytest.mark.parametrize("factory", [MqttSession, AiomqttSession])
NUMBERS = [str(number).encode() for number in range(100)]


def twice(payload: bytes, packet_id: int, *, duplicate: bool = False) -> bytes:
    """Return a QoS 2 PUBLISH."""
    qos = mqtt5.QoS.EXACTLY_ONCE
    return mqtt5.PublishPacket(TOPIC, payload, qos=qos, packet_id=packet_id, duplicate=duplicate).write()


async def publish_with_qos_2(port: int) -> None:
    async with aiomqtt.Client("127.0.0.1", port, protocol=aiomqtt.ProtocolVersion.V5) as device:
        for payload in NUMBERS:
            await device.publish(TOPIC, payload, qos=2)


@EACH_SESSION
async def test_what_a_device_publishes_with_qos_2_is_heard_once(factory: SessionFactory, mosquitto: Mosquitto) -> None:
    async with Ear(factory, config(mosquitto.port)) as ear:
        await wait_until(lambda: ear.is_caught_up)
        await publish_with_qos_2(mosquitto.port)
        await publish(mosquitto.port, [b"last"])
        await wait_until(lambda: b"last" in ear.payloads)
        assert (ear.payloads, ear.bodies(Lost)) == ([*NUMBERS, b"last"], [])


@EACH_SESSION
async def test_what_a_broker_kept_with_qos_2_is_heard_once_and_what_follows_it_too(
    factory: SessionFactory, mosquitto: Mosquitto
) -> None:
    """Somebody looked with our name and QoS 2: mosquitto hung up at each PUBACK, and nothing of it was ever settled."""
    await _look_with_qos_2(mosquitto.port)
    await publish_with_qos_2(mosquitto.port)
    async with Ear(factory, config(mosquitto.port)) as ear:
        await wait_until(lambda: ear.is_caught_up)
        await publish(mosquitto.port, [b"last"])
        await wait_until(lambda: b"last" in ear.payloads)
        assert (ear.payloads, ear.bodies(Lost)) == ([*NUMBERS, b"last"], [])
    assert await owed(mosquitto.port, CLIENT_ID) == []


async def test_of_qos_2_the_journal_holds_what_was_heard_and_each_packet_is_answered_as_it_came(
    broker: ScriptedBroker,
) -> None:
    """A broker that raises the QoS (EMQX with upgrade_qos) was told PUBACK, and said nothing more once 32 waited."""
    async with Ear(MqttSession, config(broker.port)) as ear:
        await wait_until(lambda: ear.is_caught_up)
        broker.send(message(b"a", 6), twice(b"b", 7), message(b"c", 8), twice(b"d", 9))
        await broker.until(mqtt5.PubRecPacket, 2)
        assert ear.payloads == [b"a", b"b", b"c", b"d"]
        raw = b"".join(body.raw for body in ear.bodies(Packets))
        assert [each.payload for each in decode_packets(raw)] == ear.payloads
        answered = [each for each in broker.received if isinstance(each, (mqtt5.PubAckPacket, mqtt5.PubRecPacket))]
        assert [(type(each), each.packet_id) for each in answered[-4:]] == [
            (mqtt5.PubAckPacket, 6),
            (mqtt5.PubRecPacket, 7),
            (mqtt5.PubAckPacket, 8),
            (mqtt5.PubRecPacket, 9),
        ]
        broker.send(mqtt5.PubRelPacket(7).write(), mqtt5.PubRelPacket(9).write(), message(b"e", 7))
        await wait_until(lambda: broker.acked[-1] == 7)
        assert [each.packet_id for each in broker.of(mqtt5.PubCompPacket)] == [7, 9]
        assert ear.bodies(Lost) == []


async def test_nothing_of_qos_2_is_answered_before_it_is_on_disk(broker: ScriptedBroker) -> None:
    async with Ear(MqttSession, config(broker.port), acks=False) as ear:
        await broker.until(mqtt5.PublishPacket)
        broker.send(twice(b"b", 7))
        await wait_until(lambda: ear.payloads == [b"b"])
        broker.send(message(b"later", 8))
        await wait_until(lambda: len(ear.payloads) == 2)
        assert broker.of(mqtt5.PubRecPacket) == []


async def test_a_release_of_an_earlier_connection_is_answered(broker: ScriptedBroker) -> None:
    """The broker had our PUBREC and we not its PUBREL: it says that again on the next connection."""
    async with Ear(MqttSession, config(broker.port)) as ear:
        await wait_until(lambda: ear.is_caught_up)
        broker.send(mqtt5.PubRelPacket(4).write())
        await broker.until(mqtt5.PubCompPacket)
        assert ([each.packet_id for each in broker.of(mqtt5.PubCompPacket)], ear.bodies(Lost)) == ([4], [])


async def _look_with_qos_2(port: int) -> None:
    """Subscribe under the session's name as nobody of ours does, and go; the broker keeps what comes."""
    properties = Properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = 0xFFFF_FFFF
    async with aiomqtt.Client(
        "127.0.0.1",
        port,
        identifier=CLIENT_ID,
        protocol=aiomqtt.ProtocolVersion.V5,
        clean_start=True,
        properties=properties,
    ) as client:
        await client.subscribe("hub/+/+/telemetry", qos=2)
