"""A process that feeds hubs: as much of a broker as a hub needs, prepared packets in large pieces, a store that counts.

``python -m benchmarks.feeder DEVICES [BROKER]``. First it says where it listens (:class:`Ports`); then for each line of
standard input, an :class:`Errand`, it prepares the packets and says so (an empty line), waits for another line, feeds
every stream at once, and says what came of it (:class:`Fed`). A stream goes straight to the telemetry session of one
hub; with the port of a real ``BROKER`` it is a publisher, a connection for each.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import cast

import mqtt5
import msgspec
from typing_extensions import override

from benchmarks.traffic import KIND, Traffic
from hub.clock import SystemClock

WINDOW = 16_000
"""Messages without PUBACK: below the receive maximum of a hub."""
PIECE = 500
"""Messages a write, 64 KiB: one send, and acks for it come back in one piece."""
PACKET_IDS = 60_000
POLL_SECONDS = 0.002
PUBACK, ACK_BYTES = 0x40, 4
POINT = f"{KIND},".encode()


class Ports(msgspec.Struct, frozen=True):
    """Where it listens: for hubs, and for the lines of their points."""

    mqtt: int
    store: int


class Errand(msgspec.Struct, frozen=True):
    """Feed ``count`` messages from number ``first`` on to the hub of every site in ``sites``: users to sites."""

    sites: dict[str, str]
    first: int
    count: int


class Fed(msgspec.Struct, frozen=True):
    """How long it took until every point was stored; ``points`` is what the store has counted so far."""

    seconds: float
    points: int


class Wire(asyncio.Protocol):
    """One connection of a hub: granted whatever it asks, its marker returned, fed as fast as it acknowledges.

    Or, as the publisher called ``user``, one to a broker.
    """

    def __init__(self, known: dict[str, Wire], user: str = "") -> None:
        self.pieces: deque[bytes] = deque()
        self.unacked = 0
        self._known = known
        self._user = user
        self._rest = b""
        self._is_full = False

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if self._user:
            self._transport.write(mqtt5.ConnectPacket(f"feeds-{self._user}", clean_start=True).write())

    @override
    def pause_writing(self) -> None:
        self._is_full = True

    @override
    def resume_writing(self) -> None:
        self._is_full = False
        self.feed()

    @override
    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        count, odd = divmod(len(data), ACK_BYTES)
        if not odd and data[::ACK_BYTES].count(PUBACK) == count and data[1::ACK_BYTES].count(2) == count:
            self.unacked -= count  # nearly always: nothing but PUBACKs
            self._rest = b""
        else:
            self._read(data)
        self.feed()

    def feed(self) -> None:
        """Write what the window and the socket take."""
        while self.pieces and not self._is_full and self.unacked + PIECE <= WINDOW:
            self.unacked += PIECE
            self._transport.write(self.pieces.popleft())

    def _read(self, data: bytes) -> None:
        view, start = memoryview(data), 0
        while start < len(data):
            try:
                packet, size = mqtt5.read(view[start:])
            except IndexError:
                break
            start += size
            self._answer(packet)
        self._rest = data[start:]

    def _answer(self, packet: mqtt5.Packet) -> None:
        match packet:
            case mqtt5.PubAckPacket():
                self.unacked -= 1
            case mqtt5.ConnectPacket(client_id=user):
                self._known[user] = self
                self._transport.write(mqtt5.ConnAckPacket(session_present=True).write())
            case mqtt5.ConnAckPacket():
                self._known[self._user] = self
            case mqtt5.SubscribePacket(packet_id=number, topic_filters=filters):
                codes = [mqtt5.SubAckReasonCode.GRANTED_QOS_AT_LEAST_ONCE] * len(filters)
                self._transport.write(mqtt5.SubAckPacket(number, codes).write())
            case mqtt5.UnsubscribePacket(packet_id=number, patterns=patterns):
                gone = [mqtt5.UnsubAckReasonCode.SUCCESS] * len(patterns)
                self._transport.write(mqtt5.UnsubAckPacket(number, gone).write())
            case mqtt5.PublishPacket(topic=topic, payload=payload, packet_id=number):  # the marker of its session
                self.unacked += 1
                self._transport.write(
                    mqtt5.PubAckPacket(number or 0).write()
                    + mqtt5.PublishPacket(topic, payload, qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=PACKET_IDS + 1).write()
                )
            case mqtt5.PingReqPacket():
                self._transport.write(mqtt5.PingRespPacket().write())
            case _:
                pass


class Store(asyncio.Protocol):
    """One connection to the store: every write is taken, and the points in it are counted."""

    def __init__(self, took: Callable[[int], None]) -> None:
        self._took = took
        self._parts: list[bytes] = []
        self._missing = 0

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    @override
    def data_received(self, data: bytes) -> None:
        if not self._parts:
            head, blank, body = data.partition(b"\r\n\r\n")
            length = next(
                int(line[15:]) for line in head.lower().split(b"\r\n") if blank and line.startswith(b"content-length:")
            )
            self._missing, data = length, b"\n" + body
            self._missing += 1
        self._parts.append(data)
        self._missing -= len(data)
        if not self._missing:
            body, self._parts = b"".join(self._parts), []
            self._took(body.count(b"\n" + POINT))
            self._transport.write(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n")


class Feeder:
    """The servers of one process, and what came in."""

    def __init__(self, devices: int, broker: int) -> None:
        self.broker = broker
        self.wires: dict[str, Wire] = {}
        self.points = 0
        self._traffic = Traffic(devices)

    def took(self, points: int) -> None:
        """Count points that were stored."""
        self.points += points

    async def connect(self, errand: Errand) -> None:
        """Connect to a real broker for every stream that is not connected yet."""
        for user in errand.sites.keys() - self.wires.keys() if self.broker else ():
            make = partial(Wire, self.wires, user)
            await asyncio.get_running_loop().create_connection(make, "127.0.0.1", self.broker)
            while user not in self.wires:
                await SystemClock().sleep(POLL_SECONDS)

    def prepare(self, errand: Errand) -> None:
        """Lay the packets of ``errand`` ready; measured from now on, a millisecond a hundred messages."""
        began = SystemClock().wall_ns() // 1_000_000
        for user, site in errand.sites.items():
            topics = [f"hub/{site}/{name}/telemetry" for name in self._traffic.names()]
            frames: list[bytes] = []
            for index in range(errand.count):
                number = errand.first + index
                payload = self._traffic.payload(number, began + index // 100)
                topic, packet_id = topics[number % len(topics)], number % PACKET_IDS + 1
                frames.append(
                    mqtt5.PublishPacket(topic, payload, qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=packet_id).write()
                )
            pieces = (b"".join(frames[start : start + PIECE]) for start in range(0, len(frames), PIECE))
            self.wires[user].pieces.extend(pieces)

    async def feed(self, errand: Errand) -> Fed:
        """Feed what was prepared, until the store has every point."""
        wanted = self.points + errand.count * len(errand.sites)
        began = time.perf_counter()
        for user in errand.sites:
            self.wires[user].feed()
        while self.points < wanted:
            await SystemClock().sleep(POLL_SECONDS)
        return Fed(time.perf_counter() - began, self.points)


async def serve(devices: int, broker: int = 0) -> None:
    """Serve until standard input ends."""
    loop, feeder = asyncio.get_running_loop(), Feeder(devices, broker)
    mqtt = await loop.create_server(lambda: Wire(feeder.wires), "127.0.0.1", 0)
    store = await loop.create_server(lambda: Store(feeder.took), "127.0.0.1", 0)
    say(msgspec.json.encode(Ports(broker or mqtt.sockets[0].getsockname()[1], store.sockets[0].getsockname()[1])))
    while line := await loop.run_in_executor(None, sys.stdin.buffer.readline):
        errand = msgspec.json.decode(line, type=Errand)
        await feeder.connect(errand)
        feeder.prepare(errand)
        say(b"")
        await loop.run_in_executor(None, sys.stdin.buffer.readline)
        say(msgspec.json.encode(await feeder.feed(errand)))


def say(line: bytes) -> None:
    """Print a line at once."""
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    asyncio.run(serve(*map(int, sys.argv[1:])))
