"""The publisher of the storm: one connection after the other, and a log of what was tried and what was PUBACKed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from random import Random

import mqtt5
import orjson

from hub.clock import SystemClock
from tests.chaos.town import SITE
from tests.waiting import PATIENCE_SECONDS, wait_until

CARD, CARD_EVERY = "card-", 20
SENSORS, DOORS = 10, ("door", "gate")
STEP_SECONDS = 0.01
BURST_MAX = 100
DISORDER_MS = 20_000
BAND_SECONDS = 4
"""How long a temperature stays in its band: every second band is an alarm of the storm's rules."""


@dataclass(slots=True)
class Log:
    """The oracle's word, by the running number of a message: wall ns of its PUBLISH, and of its PUBACK."""

    tried: dict[int, int] = field(default_factory=dict)
    acked: dict[int, int] = field(default_factory=dict)


def is_card(number: int) -> bool:
    """Whether the message of that number is a card at a door; the others are values of a sensor."""
    return number % CARD_EVERY == 0


def device_of(number: int) -> str:
    """Return who sends the message of that number."""
    return DOORS[number // CARD_EVERY % len(DOORS)] if is_card(number) else f"env-{number % SENSORS}"


def topic_of(number: int) -> str:
    """Return the topic of the message of that number."""
    return f"hub/{SITE}/{device_of(number)}/{'signal' if is_card(number) else 'telemetry'}"


def value_of(number: int) -> float:
    """Return the co2 that carries ``number``, within the range of its kind up to a million messages."""
    return number / 100


def number_of(value: float) -> int:
    """Return the number that :func:`value_of` put into a value."""
    return round(value * 100)


class Publisher:
    """Publishes ``rate`` numbered messages a second at QoS 1, each once: what gets no PUBACK is not sent again.

    It connects again when the broker goes, and waits while there is none. While ``is_humid`` values have a humidity
    too (``humid``: whose), and with ``disorder`` a device time that goes back and forth.
    """

    def __init__(self, port: int, rate: int) -> None:
        self.port = port
        self.rate = rate
        self.log = Log()
        self.number = 0
        self.is_humid = False
        self.humid: set[int] = set()
        self.disorder: Random | None = None
        self._clock = SystemClock()
        self._waiting: dict[int, Callable[[], None]] = {}
        self._is_enough = False
        self._is_held = False
        self._packet_id = 0

    @asynccontextmanager
    async def traffic(self) -> AsyncIterator[None]:
        """Let messages come in meanwhile."""
        self._is_enough = False
        async with asyncio.TaskGroup() as group:
            group.create_task(self._run(), name="storm.publisher")
            try:
                yield
            finally:
                self._is_enough = True

    @asynccontextmanager
    async def pause(self) -> AsyncIterator[None]:
        """Send nothing meanwhile; what was sent has its PUBACK, or never will."""
        self._is_held = True
        try:
            await wait_until(lambda: not self._waiting)
            yield
        finally:
            self._is_held = False

    async def until_acked(self, count: int) -> None:
        """Wait until the broker took ``count`` more messages."""
        wanted = len(self.log.acked) + count
        await wait_until(lambda: len(self.log.acked) >= wanted, seconds=PATIENCE_SECONDS + 2 * count / self.rate)

    async def _run(self) -> None:
        while not self._is_enough:
            with suppress(OSError, EOFError, ExceptionGroup):
                await self._serve()
            self._waiting.clear()
            await self._clock.sleep(STEP_SECONDS)

    async def _serve(self) -> None:
        reader, writer = await self._connect()
        try:
            async with asyncio.TaskGroup() as group:
                reading = group.create_task(self._read(reader), name="storm.pubacks")
                await self._publish(writer)
                reading.cancel()
        finally:
            writer.transport.abort()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(mqtt5.ConnectPacket("", clean_start=True).write())
        data = b""
        while not _packets(data)[0]:
            data += await _some(reader)
        return reader, writer

    async def _publish(self, writer: asyncio.StreamWriter) -> None:
        start, sent = self._clock.monotonic_ns(), 0
        while not self._is_enough or self._waiting:
            due = (self._clock.monotonic_ns() - start) * self.rate // 1_000_000_000 - sent
            if self._is_held or self._is_enough:
                sent += due
            else:
                self._publish_some(writer, min(due, BURST_MAX))
                sent += min(due, BURST_MAX)
            await writer.drain()
            if writer.is_closing():
                raise EOFError
            await self._clock.sleep(STEP_SECONDS)

    def _publish_some(self, writer: asyncio.StreamWriter, count: int) -> None:
        """Publish up to ``count`` messages: the first that finds the connection broken is the last."""
        for _ in range(count):
            if writer.is_closing():
                return
            self.number += 1
            self._publish_one(writer, self.number)

    def _publish_one(self, writer: asyncio.StreamWriter, number: int) -> None:
        log, clock = self.log, self._clock
        log.tried[number] = clock.wall_ns()
        payload = orjson.dumps(self._said(number))
        self._write(writer, payload, topic_of(number), lambda: log.acked.setdefault(number, clock.wall_ns()))

    def _said(self, number: int) -> Mapping[str, object]:
        if is_card(number):
            signal = {"name": "access.granted", "credential": "card", "card": f"{CARD}{number}"}
            return {"part": "door-1", "signals": [signal]}
        band = number // (self.rate * BAND_SECONDS) % 2
        values = {"co2": value_of(number), "temperature": 20.0 + 20 * band}
        if self.is_humid:
            self.humid.add(number)
            values["humidity"] = 50.0
        if self.disorder is None:
            return {"values": values}
        return {"t": self._clock.wall_ns() // 1_000_000 - self.disorder.randrange(DISORDER_MS), "values": values}

    def _write(self, writer: asyncio.StreamWriter, payload: bytes, topic: str, acked: Callable[[], object]) -> None:
        self._packet_id = self._packet_id % 0xFFFF + 1
        self._waiting[self._packet_id] = acked  # type: ignore[assignment] # what it returns is nobody's business
        packet = mqtt5.PublishPacket(topic, payload, qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=self._packet_id)
        writer.write(packet.write())

    async def _read(self, reader: asyncio.StreamReader) -> None:
        data = b""
        while True:
            found, data = _packets(data + await _some(reader))
            for packet in found:
                if isinstance(packet, mqtt5.PubAckPacket):
                    self._waiting.pop(packet.packet_id, lambda: None)()


async def _some(reader: asyncio.StreamReader) -> bytes:
    data = await reader.read(65_536)
    if not data:
        raise EOFError
    return data


def _packets(data: bytes) -> tuple[list[object], bytes]:
    view, offset = memoryview(data), 0
    found: list[object] = []
    while True:
        try:
            packet, size = mqtt5.read(view[offset:])
        except IndexError:
            return found, data[offset:]
        found.append(packet)
        offset += size
