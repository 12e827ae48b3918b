"""The publisher: a process of its own that publishes at QoS 1 as fast as the broker takes it, or at a steady rate.

``python -m benchmarks.publisher ORDER``; ORDER and the answer on standard output are JSON.
"""

from __future__ import annotations

import asyncio
import select
import socket
import sys
import time
from dataclasses import dataclass

import mqtt5
import msgspec

from benchmarks.traffic import Traffic
from hub.errors import UnavailableError

WINDOW = 2_000
"""Publishes without PUBACK at a time."""
BURST = 250
PACKET_IDS = 60_000


class Order(msgspec.Struct, frozen=True):
    """Publish ``count`` messages from ``first`` on; ``rate`` a second, 0 for as fast as they are taken."""

    port: int
    devices: int
    first: int
    count: int
    rate: float = 0


class Published(msgspec.Struct, frozen=True):
    """What the broker took. ``due`` has for every event its device and when it was due, in monotonic ns."""

    count: int
    seconds: float
    due: list[tuple[str, int]]


async def publish(order: Order) -> Published:
    """Let a process carry out ``order``."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.publisher", msgspec.json.encode(order), stdout=asyncio.subprocess.PIPE
    )
    try:
        answer, _ = await process.communicate()
    except BaseException:
        process.kill()
        await process.wait()
        raise
    if process.returncode:
        raise UnavailableError("publisher_failed", returncode=process.returncode)
    return msgspec.json.decode(answer, type=Published)


@dataclass(slots=True)
class Wire:
    """A connection to the broker that has been accepted."""

    socket: socket.socket
    rest: bytes = b""

    def read(self, seconds: float | None) -> int:
        """Wait at most ``seconds`` (None: for ever) and return how many PUBACKs came."""
        if not select.select([self.socket], [], [], seconds)[0]:
            return 0
        data = self.socket.recv(1 << 16)
        if not data:
            raise UnavailableError("broker_hung_up")
        buffer, start, count = memoryview(self.rest + data), 0, 0
        while True:
            try:
                packet, size = mqtt5.read(buffer[start:])
            except IndexError:
                break
            start += size
            count += _is_puback(packet)
        self.rest = bytes(buffer[start:])
        return count


def _is_puback(packet: mqtt5.Packet) -> bool:
    """UnavailableError when the broker did not take a message, or had nobody to give it to."""
    if not isinstance(packet, mqtt5.PubAckPacket):
        return False
    if packet.reason_code != mqtt5.PubAckReasonCode.SUCCESS:
        raise UnavailableError("publish_refused", reason=packet.reason_code.name)
    return True


def connect(port: int) -> Wire:
    """Connect with a clean session."""
    wire = Wire(socket.create_connection(("127.0.0.1", port)))
    wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    wire.socket.sendall(mqtt5.ConnectPacket(f"publisher-{time.monotonic_ns()}", clean_start=True).write())
    wire.read(None)
    return wire


def carry_out(order: Order) -> Published:
    """Publish in the order of numbers; a message that is due waits for nothing but the window."""
    traffic, wire = Traffic(order.devices), connect(order.port)
    topics, names = traffic.topics(), traffic.names()
    qos = mqtt5.QoS.AT_LEAST_ONCE
    every_ns = 1e9 / order.rate if order.rate else 0.0
    due: list[tuple[str, int]] = []
    began = time.monotonic_ns()
    sent = acked = 0
    while acked < order.count:
        now = time.monotonic_ns()
        ready = order.count if not every_ns else min(order.count, int((now - began) / every_ns) + 1)
        burst = range(sent, min(ready, sent + BURST, acked + WINDOW))
        milliseconds = time.time_ns() // 1_000_000
        packets = []
        for index in burst:
            number = order.first + index
            device = number % order.devices
            if traffic.is_event(number):
                due.append((names[device], began + round(index * every_ns) if every_ns else now))
            payload = traffic.payload(number, milliseconds)
            packet_id = index % PACKET_IDS + 1
            packets.append(mqtt5.PublishPacket(topics[device], payload, qos=qos, packet_id=packet_id).write())
        if packets:
            wire.socket.sendall(b"".join(packets))
        sent += len(burst)
        acked += wire.read(_patience(order, sent, acked, began + sent * every_ns))
    seconds = (time.monotonic_ns() - began) / 1e9
    wire.socket.sendall(mqtt5.DisconnectPacket().write())
    wire.socket.close()
    return Published(acked, seconds, due)


def _patience(order: Order, sent: int, acked: int, next_due: float) -> float | None:
    """Return how long to wait for PUBACKs before there is something to send again."""
    if sent == order.count or sent - acked >= WINDOW:
        return None
    return max(0.0, (next_due - time.monotonic_ns()) / 1e9) if order.rate else 0.0


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(carry_out(msgspec.json.decode(sys.argv[1], type=Order))))
