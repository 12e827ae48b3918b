"""The private parts of aiomqtt 2 and paho that the hub needs, behind public names: what aiomqtt 3 will replace."""

# ruff: noqa: SLF001 -- this is the room that the rule would have us build

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Never

import aiomqtt
from paho.mqtt.client import Client, ConnectFlags, MQTTMessage
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from hub.cancellation import heed_cancellation

TIMEOUT_SECONDS = 5.0
NOBODY = "hub/_hub/nobody"
"""A topic filter that nobody subscribes to: giving it up is a round trip."""
_MAX_PACKET_IDS = 65_535
_PINGREQ = 0xC0


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientConfig:
    """Where an aiomqtt client connects, and as whom. Without ``session_expiry`` it starts clean."""

    host: str
    port: int
    client_id: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = None
    keepalive_seconds: int = 10
    session_expiry: int | None = None
    receive_maximum: int = _MAX_PACKET_IDS


def open_client(config: ClientConfig) -> aiomqtt.Client:
    """Return an MQTT 5 client that acks nothing by itself."""
    properties = _properties(PacketTypes.CONNECT)
    properties.ReceiveMaximum = config.receive_maximum
    if config.session_expiry is not None:
        properties.SessionExpiryInterval = config.session_expiry
    client = aiomqtt.Client(
        config.host,
        config.port,
        identifier=config.client_id,
        username=config.username,
        password=config.password,
        tls_context=config.tls,
        protocol=aiomqtt.ProtocolVersion.V5,
        clean_start=config.session_expiry is None,
        keepalive=config.keepalive_seconds,
        timeout=TIMEOUT_SECONDS,
        max_inflight_messages=_MAX_PACKET_IDS,
        properties=properties,
    )
    client._client.manual_ack_set(on=True)
    return client


def when_connected(client: aiomqtt.Client, heard: Callable[[bool, int], None]) -> None:
    """Call ``heard`` with session_present and the broker's receive maximum on a CONNACK with success."""

    def on_connect(
        paho: Client, userdata: object, flags: ConnectFlags, code: ReasonCode, properties: Properties | None = None
    ) -> None:
        if not code.is_failure:
            heard(flags.session_present, getattr(properties, "ReceiveMaximum", _MAX_PACKET_IDS))
        client._on_connect(paho, userdata, flags, code, properties)

    client._client.on_connect = on_connect


def when_received(client: aiomqtt.Client, heard: Callable[[bytes], None]) -> None:
    """Call ``heard`` with each PUBLISH as the frame that it was."""
    client._client.on_message = lambda _paho, _userdata, message: heard(_frame(message))


def when_acked(client: aiomqtt.Client, heard: Callable[[int, str | None], None]) -> None:
    """Call ``heard`` with the packet id of each PUBACK, and in snake_case why the broker did not pass it on."""

    def on_publish(_paho: Client, _userdata: object, packet_id: int, code: ReasonCode, _properties: Properties) -> None:
        heard(packet_id, None if code.value == 0 else snake_case(code))

    client._client.on_publish = on_publish


def when_pinged(client: aiomqtt.Client, sent: Callable[[], None], answered: Callable[[], None]) -> None:
    """Call ``sent`` before each PINGREQ, also those that paho thinks of, and ``answered`` after each PINGRESP."""
    paho = client._client
    send, take = paho._send_simple_command, paho._handle_pingresp

    def sending(command: int) -> MQTTErrorCode:
        if command == _PINGREQ:
            sent()
        return send(command)

    def taking() -> MQTTErrorCode:
        code = take()
        answered()
        return code

    paho._send_simple_command = sending  # type: ignore[method-assign] # paho calls nobody back
    paho._handle_pingresp = taking  # type: ignore[method-assign]


def ping(client: aiomqtt.Client) -> None:
    """Send a PINGREQ of ours: paho does not end the connection when it stays unanswered."""
    client._client._send_simple_command(_PINGREQ)


def command_properties(*, expiry_seconds: int, response_topic: str, correlation: bytes) -> Properties:
    """Return what MQTT 5 says about a request: how long it may wait, where its answer goes, what the answer names.

    Without ``response_topic`` the network around the device knows nothing of answers.
    """
    properties = _properties(PacketTypes.PUBLISH)
    properties.MessageExpiryInterval = expiry_seconds
    if response_topic:
        properties.ResponseTopic = response_topic
        properties.CorrelationData = correlation
    return properties


def publish(client: aiomqtt.Client, topic: str, payload: bytes, properties: Properties | None = None) -> int:
    """Hand a QoS 1 publish to the connection and return its packet id; ValueError when it can never be sent."""
    return client._client.publish(topic, payload, 1, properties=properties).mid


async def deliver(client: aiomqtt.Client, topic: str, payload: bytes) -> None:
    """Publish at QoS 1 and wait for the PUBACK; MqttError also when the broker did not pass it on.

    One at a time, and by nobody beside: aiomqtt's own ``publish`` takes every PUBACK for success.
    """
    acked: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
    when_acked(client, lambda _packet_id, why: None if acked.done() else acked.set_result(why))
    publish(client, topic, payload)
    await asyncio.wait((acked, client._disconnected), timeout=TIMEOUT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    ended = client._disconnected.exception() if client._disconnected.done() else None
    if not acked.done():
        raise ended or aiomqtt.MqttError("no_puback")
    why = acked.result()
    if why is not None:
        raise aiomqtt.MqttError(why)


async def watch(client: aiomqtt.Client) -> Never:
    """Wait for the end of a connection: MqttError."""
    heed_cancellation()  # aiomqtt waits for CONNACK by ``wait_for``
    async for _ in client.messages:
        pass
    raise aiomqtt.MqttError("disconnected")


@asynccontextmanager
async def settling(client: aiomqtt.Client) -> AsyncIterator[None]:
    """When cancelled, let the broker read our acks first: paho resets a socket that it closes with bytes unread."""
    try:
        yield
    except asyncio.CancelledError:
        with contextlib.suppress(aiomqtt.MqttError):
            await client.unsubscribe(NOBODY, timeout=TIMEOUT_SECONDS)  # any round trip will do
        raise


def ack(client: aiomqtt.Client, packet_ids: list[int], exactly_once: Collection[int] = ()) -> None:
    """Ack messages in this order, of QoS 2 those that came ``exactly_once``; packet id 0 has no ack."""
    for packet_id in packet_ids:
        if packet_id:
            client._client.ack(packet_id, 2 if packet_id in exactly_once else 1)


def pause_reading(client: aiomqtt.Client) -> None:
    """Stop reading. paho drops the link itself when this lasts two keepalives."""
    socket = client._client.socket()
    if socket is not None:
        asyncio.get_running_loop().remove_reader(socket.fileno())


def resume_reading(client: aiomqtt.Client) -> None:
    """Read again, as aiomqtt does."""
    socket = client._client.socket()
    if socket is not None:
        asyncio.get_running_loop().add_reader(socket.fileno(), _read, client)


def end(client: aiomqtt.Client) -> None:
    """End :func:`watch`; who watched severs the connection, since paho may be in the middle of reading it here."""
    if not client._disconnected.done():
        client._disconnected.set_exception(aiomqtt.MqttError("ended"))


def sever(client: aiomqtt.Client) -> None:
    """Close the socket, which aiomqtt leaves open when a connection fails."""
    client._client._sock_close()


def explain(error: Exception) -> str:
    """Return why a connection ended, beginning with the broker's reason in snake_case when it told one."""
    code = error.rc if isinstance(error, aiomqtt.MqttCodeError) else None
    return snake_case(code) if isinstance(code, ReasonCode) else str(error) or type(error).__name__


def snake_case(code: ReasonCode) -> str:
    """Return the name of a reason code as the rest of the hub writes it."""
    return code.getName().lower().replace(" ", "_")


def _read(client: aiomqtt.Client) -> None:
    try:
        client._client.loop_read()
    except Exception as error:  # noqa: BLE001 -- paho raises what it likes; the connection is over then
        if not client._disconnected.done():
            client._disconnected.set_exception(error)


def _properties(packet_type: int) -> Properties:
    return Properties(packet_type)


def _frame(message: MQTTMessage) -> bytes:
    """Build the PUBLISH frame again from what paho kept of it."""
    topic = message._topic
    packet_id = message.mid.to_bytes(2, "big") if message.qos else b""
    properties = b"\x00" if message.properties is None else bytes(message.properties.pack())
    body = len(topic).to_bytes(2, "big") + topic + packet_id + properties + message.payload
    flags = 0x30 | message.dup << 3 | message.qos << 1 | message.retain
    return bytes([flags]) + _variable_bytes(len(body)) + body


def _variable_bytes(number: int) -> bytes:
    """Encode a length as MQTT 5 section 1.5.5 says."""
    encoded = bytearray()
    while number > 0x7F:  # noqa: PLR2004 -- the continuation bit
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
