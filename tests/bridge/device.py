"""A device for tests: publishes quickly at QoS 1 and knows what the broker took."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TypeVar

import mqtt5

P = TypeVar("P")
_QOS = (mqtt5.QoS.AT_MOST_ONCE, mqtt5.QoS.AT_LEAST_ONCE)
TOPIC = "hub/s1/d1/telemetry"


async def publish(
    port: int, payloads: Sequence[bytes], *, topic: str = TOPIC, qos: int = 1, retain: bool = False
) -> list[int]:
    """Publish all at once; return the reason code of each PUBACK, in order (none for QoS 0)."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(mqtt5.ConnectPacket("", clean_start=True).write())
    await _read(reader, mqtt5.ConnAckPacket, 1)
    for index, payload in enumerate(payloads):
        packet_id = index % 65_535 + 1 if qos else None
        writer.write(mqtt5.PublishPacket(topic, payload, qos=_QOS[qos], retain=retain, packet_id=packet_id).write())
    answers = await _read(reader, mqtt5.PubAckPacket, len(payloads) if qos else 0)
    writer.write(mqtt5.DisconnectPacket().write())
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    return [int(answer.reason_code) for answer in answers]


async def _read(reader: asyncio.StreamReader, kind: type[P], count: int) -> list[P]:
    data = b""
    found: list[P] = []
    while len(found) < count:
        chunk = await reader.read(65_536)
        if not chunk:
            message = f"the broker hung up after {len(found)} of {count} answers"
            raise AssertionError(message)
        data += chunk
        data = data[_take(data, kind, found) :]
    return found


def _take(data: bytes, kind: type[P], into: list[P]) -> int:
    view, offset = memoryview(data), 0
    while True:
        try:
            packet, size = mqtt5.read(view[offset:])
        except IndexError:
            return offset
        offset += size
        if isinstance(packet, kind):
            into.append(packet)


async def owed(port: int, client_id: str) -> list[mqtt5.PublishPacket]:
    """Return what the broker still owes a session, by taking its place for a moment without acking anything."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    connect = mqtt5.ConnectPacket(client_id, session_expiry_interval=0xFFFF_FFFF, receive_max=16_384)
    writer.write(connect.write() + mqtt5.PingReqPacket().write())
    data, waiting = b"", True
    packets: list[object] = []
    while waiting:
        data += await reader.read(65_536)
        data = data[_take(data, object, packets) :]
        waiting = not any(isinstance(packet, mqtt5.PingRespPacket) for packet in packets)
    writer.write(mqtt5.DisconnectPacket().write())
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    return [packet for packet in packets if isinstance(packet, mqtt5.PublishPacket)]
