"""A broker asked directly: what its CONNACK grants, whom it lets in, what its queue keeps. It leaves nothing behind."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from uuid import uuid4

import mqtt5

from hub.bridge.topics import SYS_DROPPED, marker_topic
from hub.errors import UnavailableError
from hub.parts import tls_of
from hub.ui.doctor.findings import Scene
from hub.ui.process.preflight import SYS_TOPIC, refuse_toy_broker

PATIENCE_SECONDS = 5.0
READ_BYTES = 65_536
NEVER_EXPIRES = 0xFFFF_FFFF
BACKLOG = 1_200
"""More than mosquitto's default of 1,000 in the queue and 20 in flight."""
SYS_SECONDS = 0.5
"""Retained messages come at once, or not at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a broker showed of itself.

    ``kept`` is how many of BACKLOG messages came out of the queue again; ``version`` and ``dropped`` are empty where
    it does not tell.
    """

    address: str
    payload_bytes: int
    connack: mqtt5.ConnAckPacket
    lets_strangers_in: bool
    version: str
    dropped: str
    binds_client_id: bool
    kept: int


async def look(scene: Scene) -> Seen:
    """Ask the broker of the settings as the user ``{prefix}-doctor``; UnavailableError when it does not let us in.

    ConfigError ``toy_broker`` for the demo's.
    """
    mqtt = scene.settings.mqtt
    desk = Desk(scene)
    await refuse_toy_broker(mqtt)
    try:
        async with asyncio.timeout(PATIENCE_SECONDS * 4):
            strangers = await desk.lets_strangers_in()
            async with desk.talk() as talk:
                told = await talk.hear((SYS_TOPIC, SYS_DROPPED))
            binds = await desk.binds_client_id()
            return Seen(
                address=f"{mqtt.host}:{mqtt.port}",
                payload_bytes=scene.settings.limits.payload,
                connack=talk.connack,
                lets_strangers_in=strangers,
                version=told.get(SYS_TOPIC, ""),
                dropped=told.get(SYS_DROPPED, ""),
                binds_client_id=binds,
                kept=await desk.backlog(),
            )
    except (OSError, TimeoutError) as error:
        reason = str(error) or type(error).__name__
        raise UnavailableError("broker_unreachable", reason, address=f"{mqtt.host}:{mqtt.port}") from error


class Desk:
    """Opens connections as the doctor's user, each with a client id of its own."""

    def __init__(self, scene: Scene) -> None:
        self._mqtt = scene.settings.mqtt
        self._topic = marker_topic(scene.settings.partition, "doctor")
        self._tls: ssl.SSLContext | None = tls_of(scene.settings)

    @asynccontextmanager
    async def talk(self, *, receive_max: int = 65_535) -> AsyncIterator[Talk]:
        """Connect; when it ends, the session is gone. UnavailableError ``doctor_refused`` with the broker's reason."""
        password = self._mqtt.passwords.doctor.get_secret_value()
        user = f"{self._mqtt.username_prefix}-doctor"
        talk = await self._open(user, password.encode(), receive_max)
        try:
            if int(talk.connack.reason_code):
                raise UnavailableError(
                    "doctor_refused",
                    f"the broker lets the user {user} not in: {talk.connack.reason_code.name.lower()}",
                    hint="hub init makes that user; mqtt.passwords.doctor in secrets.toml is its password",
                )
            yield talk
        finally:
            await talk.leave()

    async def lets_strangers_in(self) -> bool:
        """Whether somebody without a name is accepted."""
        talk = await self._open(None, None, 65_535)
        await talk.leave()
        return not int(talk.connack.reason_code)

    async def binds_client_id(self) -> bool:
        """Whether a second connection of one user ends the first, though its client id is another."""
        async with self.talk() as first, self.talk():
            return await first.is_ended()

    async def backlog(self) -> int:
        """Return how many messages a session that takes none gets in the end.

        One connection with a window of 1 subscribes to its own topic, publishes, and only then begins to take: to the
        broker it is a hub that cannot keep up, and its queue has the limits of one that is away.
        """
        async with self.talk(receive_max=1) as talk:
            await talk.subscribe(self._topic)
            return await talk.pour(self._topic, BACKLOG)

    async def _open(self, user: str | None, password: bytes | None, receive_max: int) -> Talk:
        async with asyncio.timeout(PATIENCE_SECONDS):
            reader, writer = await asyncio.open_connection(self._mqtt.host, self._mqtt.port, ssl=self._tls)
        greeting = mqtt5.ConnectPacket(
            f"hub-doctor-{uuid4().hex[:12]}",
            username=user,
            password=password,
            clean_start=True,
            keep_alive=30,  # rumqttd refuses a connection without
            session_expiry_interval=NEVER_EXPIRES if user else 0,
            receive_max=receive_max,
        )
        writer.write(greeting.write())
        talk = Talk(reader, writer)
        packet = await talk.read()
        if not isinstance(packet, mqtt5.ConnAckPacket):
            raise UnavailableError("no_mqtt_broker", f"it answered {type(packet).__name__}")
        talk.connack = packet
        return talk


class Talk:
    """One connection, packet by packet."""

    connack: mqtt5.ConnAckPacket

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._bytes = b""

    async def read(self) -> mqtt5.Packet:
        """Return the next packet; UnavailableError ``broker_closed``, or ``no_mqtt_broker`` for what is none."""
        while True:
            try:
                packet, used = mqtt5.read(memoryview(self._bytes))
            except IndexError:  # not enough bytes yet
                pass
            except ValueError as error:
                raise UnavailableError("no_mqtt_broker", str(error)) from error
            else:
                self._bytes = self._bytes[used:]
                return packet
            async with asyncio.timeout(PATIENCE_SECONDS):
                more = await self._reader.read(READ_BYTES)
            if not more:
                raise UnavailableError("broker_closed", "the broker closed the connection")
            self._bytes += more

    async def is_ended(self) -> bool:
        """Whether the broker ends it within a moment."""
        with suppress(TimeoutError, OSError, UnavailableError):
            async with asyncio.timeout(SYS_SECONDS):
                return isinstance(await self.read(), mqtt5.DisconnectPacket)
            return False
        return self._reader.at_eof()

    async def subscribe(self, topic: str) -> None:
        """Subscribe with QoS 1; UnavailableError ``probe_refused``."""
        wanted = mqtt5.TopicFilter(topic, max_qos=mqtt5.QoS.AT_LEAST_ONCE)
        self._writer.write(mqtt5.SubscribePacket(1, [wanted]).write())
        while not isinstance(packet := await self.read(), mqtt5.SubAckPacket):
            pass
        if int(packet.reason_codes[0]) >= 0x80:  # noqa: PLR2004 -- where MQTT's failures begin
            raise UnavailableError("probe_refused", f"{topic}: {packet.reason_codes[0].name.lower()}")

    async def hear(self, topics: tuple[str, ...]) -> dict[str, str]:
        """Return the retained messages of ``topics`` that come within a moment."""
        found: dict[str, str] = {}
        filters = [mqtt5.TopicFilter(topic, max_qos=mqtt5.QoS.AT_MOST_ONCE) for topic in topics]
        self._writer.write(mqtt5.SubscribePacket(1, filters).write())
        with suppress(TimeoutError):
            async with asyncio.timeout(SYS_SECONDS):
                while len(found) < len(topics):
                    packet = await self.read()
                    if isinstance(packet, mqtt5.PublishPacket):
                        found[packet.topic] = bytes(packet.payload).decode(errors="replace")
        return found

    async def pour(self, topic: str, count: int) -> int:
        """Publish ``count`` messages to ourselves, then take them one by one; return how many came."""
        for number in range(1, count + 1):
            packet = mqtt5.PublishPacket(topic, b"%d" % number, qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=number)
            self._writer.write(packet.write())
        await self._writer.drain()
        held: list[int] = []
        acked = 0
        while acked < count:  # whatever comes meanwhile is held: the broker has to queue the rest
            packet_in = await self.read()
            if isinstance(packet_in, mqtt5.PubAckPacket):
                acked += 1
            elif isinstance(packet_in, mqtt5.PublishPacket) and packet_in.packet_id:
                held.append(packet_in.packet_id)
        return await self._take(held, count)

    async def _take(self, held: list[int], count: int) -> int:
        taken = 0
        with suppress(TimeoutError):
            while taken < count:
                for packet_id in held:
                    self._writer.write(mqtt5.PubAckPacket(packet_id).write())
                taken += len(held)
                held = []
                async with asyncio.timeout(SYS_SECONDS):
                    packet = await self.read()
                if isinstance(packet, mqtt5.PublishPacket) and packet.packet_id:
                    held.append(packet.packet_id)
        return taken

    async def leave(self) -> None:
        """Say goodbye in a way that ends the session too."""
        with suppress(OSError):
            self._writer.write(mqtt5.DisconnectPacket(session_expiry_interval=0).write())
            await self._writer.drain()
            self._writer.close()
            await self._writer.wait_closed()
