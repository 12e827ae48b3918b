"""A link: one MQTT connection of a simulated device or gateway, which counts what the broker took."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import aiomqtt
import structlog
from aiomqtt import Message, MqttError, ProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from typing_extensions import override

from hub.clock import Clock
from simulators.report import Report

QUEUED_REPORTS = 1_000
RECONNECT_SECONDS = 0.5

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Ledger:
    """What brokers took (a PUBACK that says success), in the order in which they said so."""

    acknowledged: list[Report] = field(default_factory=list)
    refused: int = 0
    repeated: int = 0
    commands: int = 0

    def by_class(self) -> Counter[str]:
        """Return how many were taken of each topic class."""
        return Counter(report.topic_class.value for report in self.acknowledged)


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """Where to connect to."""

    host: str = "127.0.0.1"
    port: int = 1883


class _Client(aiomqtt.Client):
    """aiomqtt, which takes a PUBACK for success whatever it says; this one remembers when it said no."""

    refused = False

    @override
    def _on_publish(
        self, client: object, userdata: object, mid: int, reason_code: ReasonCode, properties: Properties
    ) -> None:
        self.refused = bool(reason_code.is_failure)
        super()._on_publish(client, userdata, mid, reason_code, properties)  # type: ignore[arg-type]


Obey = Callable[[Message], Awaitable[None]]


class Link:
    """One connection as ``user``, MQTT 5 and QoS 1; reports leave in order, one at a time.

    A report whose PUBACK did not come before the connection was lost is published again on the next one (counted
    ``repeated``), as devices do. ``obey`` gets what arrives on ``commands``.
    """

    def __init__(self, broker: Broker, user: str, password: str | None, *, ledger: Ledger, clock: Clock) -> None:
        self.user = user
        self._broker = broker
        self._password = password
        self._ledger = ledger
        self._clock = clock
        self._queue: asyncio.Queue[Report | None] = asyncio.Queue(QUEUED_REPORTS)
        self._unacknowledged: Report | None = None
        # A PUBACK does not say which publish it answers, as far as the client lets us see.
        self._one_at_a_time = asyncio.Lock()
        self._answering = asyncio.Lock()
        self._commands: str | None = None
        self._obey: Obey | None = None
        self._client: _Client | None = None

    @property
    def is_connected(self) -> bool:
        """True while it talks to a broker, and has subscribed to its commands."""
        return self._client is not None

    def listen(self, topic: str, obey: Obey) -> None:
        """Hand every message on ``topic`` to ``obey``; before :meth:`run`."""
        self._commands, self._obey = topic, obey

    async def say(self, report: Report) -> None:
        """Queue ``report``; waits while the queue is full."""
        await self._queue.put(report)

    async def finish(self) -> None:
        """Let :meth:`run` return once everything queued so far was taken."""
        await self._queue.put(None)

    async def respond(self, topic: str, payload: bytes, correlation: bytes | None) -> None:
        """Answer a command at once, ahead of the queue."""
        properties = Properties(PacketTypes.PUBLISH)
        if correlation is not None:
            properties.CorrelationData = correlation
        async with self._one_at_a_time:
            if self._client is not None:
                await self._client.publish(topic, payload, qos=1, properties=properties)

    async def run(self) -> None:
        """Connect, publish and obey until :meth:`finish`; reconnects for as long as it takes."""
        while True:
            try:
                async with self._new_client() as client:
                    await self._talk(client)
            except* MqttError as lost:
                log.warning("link_lost", user=self.user, reason=str(lost.exceptions[0]))
            else:
                return
            finally:
                self._client = None
            await self._clock.sleep(RECONNECT_SECONDS)

    def _new_client(self) -> _Client:
        return _Client(
            self._broker.host,
            self._broker.port,
            username=self.user if self._password is not None else None,
            password=self._password,
            identifier=self.user,
            protocol=ProtocolVersion.V5,
        )

    async def _talk(self, client: _Client) -> None:
        if self._commands is not None:
            await client.subscribe(self._commands, qos=1)
        self._client = client
        async with asyncio.TaskGroup() as tasks:
            obeying = tasks.create_task(self._obey_all(client), name=f"simulators.{self.user}.obey")
            await self._publish_all(client)
            async with self._answering:  # what was counted as answered is answered before we go
                obeying.cancel()

    async def _publish_all(self, client: _Client) -> None:
        while (report := self._unacknowledged or await self._queue.get()) is not None:
            self._ledger.repeated += report is self._unacknowledged
            self._unacknowledged = report
            async with self._one_at_a_time:
                await client.publish(report.topic, report.payload, qos=1)
                refused = client.refused
            self._unacknowledged = None
            if refused:
                self._ledger.refused += 1
            else:
                self._ledger.acknowledged.append(report)

    async def _obey_all(self, client: _Client) -> None:
        async for message in client.messages:
            if self._obey is not None:
                async with self._answering:
                    self._ledger.commands += 1
                    await self._obey(message)
