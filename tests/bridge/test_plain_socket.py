"""What waits in a plain socket is read past its paused transport; what is no data is left to the transport."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from hub.bridge.plain_socket import read_waiting


@asynccontextmanager
async def paused() -> AsyncIterator[tuple[asyncio.Transport, socket.socket]]:
    """Give a paused transport, and the socket at its other end."""
    near, far = socket.socketpair()
    with far:
        transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=near)
        transport.pause_reading()
        yield transport, far
        transport.abort()


async def test_all_that_waits_is_read_and_nothing_while_nothing_does() -> None:
    async with paused() as (transport, far):
        assert read_waiting(transport) == b""
        far.sendall(b"ab")
        far.sendall(b"cd")
        assert read_waiting(transport) == b"abcd"
        assert read_waiting(transport) == b""


async def test_an_end_of_the_stream_is_nothing_and_a_broken_one_is_an_error() -> None:
    async with paused() as (transport, far):
        far.shutdown(socket.SHUT_WR)
        assert read_waiting(transport) == b""
    async with paused() as (transport, far):
        transport.write(b"never read")
        far.close()
        with pytest.raises(ConnectionResetError):
            read_waiting(transport)


async def test_a_transport_that_closes_is_not_read() -> None:
    async with paused() as (transport, far):
        far.sendall(b"ab")
        transport.close()
        assert read_waiting(transport) == b""
