"""A broker for tests that says exactly what it is told to, also what no real broker would."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

import mqtt5

from hub.bridge.paho_client import NOBODY
from tests.waiting import wait_until

P = TypeVar("P")
_AT_LEAST_ONCE = mqtt5.QoS.AT_LEAST_ONCE


class ScriptedBroker:
    """Accepts, grants every subscription and answers pings unless told otherwise; keeps what it received, in order.

    UNSUBSCRIBE it answers only when that is the round trip with which a session on aiomqtt says goodbye.
    """

    def __init__(self) -> None:
        self.port = 0
        self.connections = 0
        self.received: list[mqtt5.Packet] = []
        self.connack = mqtt5.ConnAckPacket(session_present=True)
        self.suback = mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE
        self.greets = True
        self.grants = True
        self.answers_pings = True
        self.returns_markers = True
        self._writer: asyncio.StreamWriter | None = None

    def of(self, kind: type[P]) -> list[P]:
        """Return every packet of one kind that was received."""
        return [packet for packet in self.received if isinstance(packet, kind)]

    @property
    def acked(self) -> list[int]:
        """The packet ids of all PUBACKs, in order."""
        return [packet.packet_id for packet in self.of(mqtt5.PubAckPacket)]

    def send(self, *frames: bytes) -> None:
        """Write frames as one piece to the newest connection."""
        assert self._writer is not None
        self._writer.write(b"".join(frames))

    async def until(self, kind: type[object], count: int = 1) -> None:
        """Wait until so many packets of a kind were received."""
        await wait_until(lambda: len(self.of(kind)) >= count)

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[ScriptedBroker]:
        """Listen for the length of an ``async with``."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            if self._writer is not None:
                self._writer.transport.abort()
            await server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writer = writer
        data = b""
        try:
            while chunk := await reader.read(65_536):
                data += chunk
                while data and (size := self._take(data, writer)):
                    data = data[size:]
        except ConnectionError:
            pass
        finally:
            writer.transport.abort()

    def _take(self, data: bytes, writer: asyncio.StreamWriter) -> int:
        try:
            packet, size = mqtt5.read(memoryview(data))
        except IndexError:
            return 0
        self.received.append(packet)
        match packet:
            case mqtt5.ConnectPacket() if self.greets:
                writer.write(self.connack.write())
            case mqtt5.SubscribePacket() if self.grants:
                codes = [self.suback] * len(packet.topic_filters)
                writer.write(mqtt5.SubAckPacket(packet.packet_id, codes).write())
            case mqtt5.UnsubscribePacket(patterns=[pattern]) if pattern == NOBODY:
                writer.write(mqtt5.UnsubAckPacket(packet.packet_id, [mqtt5.UnsubAckReasonCode.SUCCESS]).write())
            case mqtt5.PingReqPacket() if self.answers_pings:
                writer.write(mqtt5.PingRespPacket().write())
            case mqtt5.PublishPacket() if self.returns_markers:
                writer.write(message(packet.payload, 60_000 + self.connections, topic=packet.topic))
            case mqtt5.DisconnectPacket():
                writer.close()
            case _:
                pass
        return size


def message(payload: bytes, packet_id: int, *, topic: str = "hub/s1/d1/telemetry") -> bytes:
    """Return a QoS 1 PUBLISH."""
    return mqtt5.PublishPacket(topic, payload, qos=_AT_LEAST_ONCE, packet_id=packet_id).write()
