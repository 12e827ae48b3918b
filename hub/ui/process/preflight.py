"""Which broker is that: `hub run` refuses one that lets everybody in and forgets everything."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from uuid import uuid4

import mqtt5

from hub.config.settings import MqttSettings
from hub.errors import ConfigError

PATIENCE_SECONDS = 3.0
READ_BYTES = 4096
SYS_TOPIC = "$SYS/broker/version"
CONNACK_SUCCESS_AT = 3


async def refuse_toy_broker(mqtt: MqttSettings) -> None:
    """ConfigError ``toy_broker`` for rumqttd, the broker that the demo falls back on. Anything else passes.

    It is told by two things together: it accepts a user that nobody has made, and hangs up on a subscription of
    ``$SYS``. A broker with TLS is none (the demo's has none); one that does not answer is left to the sessions.
    """
    if mqtt.ca_file is not None:
        return
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(PATIENCE_SECONDS):
            if await _lets_anybody_in_and_hangs_up(mqtt.host, mqtt.port):
                raise ConfigError(
                    "toy_broker",
                    f"{mqtt.host}:{mqtt.port} is the demo's broker: no access control, nothing survives its restart",
                    hint="install mosquitto (apt-get install mosquitto) or point mqtt.host at a broker",
                )


async def _lets_anybody_in_and_hangs_up(host: str, port: int) -> bool:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        # rumqttd refuses a connection without keepalive, so that it would look like a broker that lets nobody in.
        stranger = f"hub-asks-{uuid4().hex[:12]}"
        writer.write(
            mqtt5.ConnectPacket(stranger, username=stranger, password=b"-", clean_start=True, keep_alive=10).write()
        )
        answer = await reader.read(READ_BYTES)
        if len(answer) <= CONNACK_SUCCESS_AT or answer[CONNACK_SUCCESS_AT]:
            return False
        writer.write(mqtt5.SubscribePacket(1, [mqtt5.TopicFilter(SYS_TOPIC)]).write())
        return not await reader.read(READ_BYTES)
    finally:
        writer.close()
