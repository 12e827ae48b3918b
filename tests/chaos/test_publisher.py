"""The publisher of the storm: what breaks its connection costs neither numbers nor noise."""

from __future__ import annotations

import asyncio
import socket
import struct
from random import Random

import mqtt5
import pytest
from typing_extensions import override

from tests.chaos.publisher import Publisher
from tests.waiting import wait_until


class Cutting(Random):
    """Resets the connection as the publisher makes up what to say."""

    def __init__(self, peer: socket.socket) -> None:
        super().__init__()
        self._peer = peer

    @override
    def randrange(self, *_arguments: object) -> int:
        self._peer.close()
        return 0


async def test_the_first_message_that_finds_the_connection_broken_is_the_last_on_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)  # noqa: FBT003 -- the standard library's own
        publisher = Publisher(listener.getsockname()[1], rate=1_000_000_000)
        async with publisher.traffic():
            peer, _ = await loop.sock_accept(listener)
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            publisher.disorder = Cutting(peer)
            await loop.sock_sendall(peer, mqtt5.ConnAckPacket().write())
            await wait_until(lambda: peer.fileno() < 0)
            listener.close()
    assert (publisher.number, set(publisher.log.tried)) == (1, {1})
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []
