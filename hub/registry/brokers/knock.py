"""Knocking at the broker: would it let this user in? Whoever is in under that name is shown out."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from enum import Enum, auto

import mqtt5

KNOCK_SECONDS, READ_BYTES = 5.0, 4096
NEVER_EXPIRES = 0xFFFF_FFFF


class Answer(Enum):
    """What the broker says."""

    WELCOME = auto()
    REFUSED = auto()
    ABSENT = auto()


async def knock(port: int, user: str, secret: str, *, spares_session: bool = False) -> Answer:
    """Come in at ``port`` of 127.0.0.1 and go again.

    A user has one client id, its own name: who else was connected under it is disconnected by the broker at once. With
    ``spares_session`` the broker keeps what is queued for that client, else it forgets it.
    """
    hello = mqtt5.ConnectPacket(
        user,
        username=user,
        password=secret.encode(),
        clean_start=not spares_session,
        session_expiry_interval=NEVER_EXPIRES if spares_session else 0,
    )
    try:
        async with asyncio.timeout(KNOCK_SECONDS):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(hello.write())
                answer = await _answer(reader)
                writer.write(mqtt5.DisconnectPacket().write())
            finally:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()
    except (OSError, TimeoutError):
        return Answer.ABSENT
    return answer


async def _answer(reader: asyncio.StreamReader) -> Answer:
    """Return what the first packet says; a broker that hangs up without one refuses."""
    heard = b""
    while data := await reader.read(READ_BYTES):
        heard += data
        with suppress(IndexError):  # not whole yet
            packet, _ = mqtt5.read(memoryview(heard))
            is_in = isinstance(packet, mqtt5.ConnAckPacket) and packet.reason_code is mqtt5.ConnAckReasonCode.SUCCESS
            return Answer.WELCOME if is_in else Answer.REFUSED
    return Answer.REFUSED
