"""What mosquitto makes of a backlog: more unacked than it may, and packet ids that repeat; sent again all is known."""

from __future__ import annotations

from hub.bridge.frames import decode_packets
from hub.bridge.line import RECEIVE_MAXIMUM
from hub.bridge.session import MqttSession
from hub.engine.redelivery import Redelivery
from hub.engine.state import State
from hub.model.heard import Delivery, Packets
from hub.model.records import Batch, Record
from tests.bridge.device import publish
from tests.bridge.ear import Ear, config
from tests.servers.mosquitto import Mosquitto
from tests.waiting import wait_until

PACKET_IDS = 65_535
BACKLOG = 68_000
ENOUGH_ACKS = 100
"""Each lets a further receive maximum fly (measured: 4 let all 68,000); what came in first may be one message."""


def _batch(delivery: Delivery) -> Batch:
    assert isinstance(delivery.body, Packets)
    return Batch(delivery.session, delivery.connection, delivery.body.session_present, 0, delivery.body.raw)


async def test_a_backlog_that_flew_in_beyond_all_packet_ids_is_known_when_it_is_sent_again(
    mosquitto: Mosquitto,
) -> None:
    async with Ear(MqttSession, config(mosquitto.port)) as ear:
        await wait_until(lambda: ear.is_caught_up)
    await publish(mosquitto.port, [str(number).encode() for number in range(BACKLOG)])
    async with Ear(MqttSession, config(mosquitto.port, first_connection=2), acks=False) as first:
        await wait_until(lambda: first.session.counts.received_messages == RECEIVE_MAXIMUM)
        acked = 0
        for delivery in first.deliveries:
            if acked < ENOUGH_ACKS and isinstance(delivery.body, Packets):
                assert first.session.acknowledge(delivery)
                acked += len(delivery.body.messages)
        await wait_until(lambda: first.session.counts.received_messages == BACKLOG)
    async with Ear(MqttSession, config(mosquitto.port, first_connection=3), acks=False) as again:
        await wait_until(lambda: again.session.counts.received_messages == BACKLOG - acked)
    packet_ids = {message.packet_id for message in again.messages}
    assert PACKET_IDS - 10 < len(packet_ids) < len(again.messages)

    redelivery = Redelivery(State(), decode_packets)
    for position, delivery in enumerate(first.deliveries):
        if isinstance(delivery.body, Packets):
            redelivery.heard(Record(position, 0, 0, _batch(delivery), delivery.body.messages), _batch(delivery))
    known = redelivery.known(_batch(next(each for each in again.deliveries if isinstance(each.body, Packets))))
    assert [message.payload for message in again.messages if not (message.duplicate and known(message))] == []
