"""A TCP proxy for tests that resets, cuts in the middle of a packet, swallows, or delays."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from hub.clock import SystemClock

CHUNK_BYTES = 65_536
ProxyFactory = Callable[[int], contextlib.AbstractAsyncContextManager["Proxy"]]


class Proxy:
    """Forwards a port of its own to ``target``. *Up* is from the client to the server.

    ``swallow_up``/``swallow_down`` are blackholes: bytes are read and thrown away, an end is not passed on. They hold
    for the connections that are open when :meth:`heal` is called; those stay broken. ``cut_down_after`` forwards so
    many bytes more from the server, then resets. ``deafen_at``: the next connection that says these words is served
    on, but hears nothing any more; ``deafened`` counts such connections.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self.connections = 0
        self.swallow_up = False
        self.swallow_down = False
        self.cut_down_after: int | None = None
        self.latency_seconds = 0.0
        self.deafen_at: bytes | None = None
        self.deafened = 0
        self._clock = SystemClock()
        self._open: set[_Pair] = set()

    def reset(self) -> None:
        """Reset (RST) every open connection."""
        for pair in list(self._open):
            pair.reset()

    def blackhole(self, *, up: bool = True, down: bool = True) -> None:
        """Swallow one or both directions from now on."""
        self.swallow_up, self.swallow_down = up, down

    def heal(self) -> None:
        """Forward new connections again; the old ones stay swallowed."""
        for pair in self._open:
            pair.is_lost = True
        self.swallow_up = self.swallow_down = False
        self.cut_down_after = None
        self.latency_seconds = 0.0

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[Proxy]:
        """Listen for the length of an ``async with``."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.reset()
            await server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        pair = _Pair(writer, up_writer)
        self._open.add(pair)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, pair, is_up=True), name="proxy.up")
                group.create_task(self._pump(up_reader, pair, is_up=False), name="proxy.down")
        finally:
            self._open.discard(pair)
            pair.reset()

    async def _pump(self, reader: asyncio.StreamReader, pair: _Pair, *, is_up: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                if self.latency_seconds:
                    await self._clock.sleep(self.latency_seconds)
                self._deafen(data, pair, is_up=is_up)
                if pair.is_lost or (self.swallow_up if is_up else self.swallow_down or pair.is_deaf):
                    continue
                await pair.forward(self._allowed(data, is_up=is_up), is_up=is_up)
                if not is_up and self.cut_down_after == 0:
                    self.cut_down_after = None
                    break
        if pair.is_lost or (self.swallow_up if is_up else self.swallow_down):
            return
        pair.reset()

    def _deafen(self, data: bytes, pair: _Pair, *, is_up: bool) -> None:
        if is_up and self.deafen_at is not None and self.deafen_at in data:
            self.deafen_at = None
            self.deafened += 1
            pair.is_deaf = True

    def _allowed(self, data: bytes, *, is_up: bool) -> bytes:
        if is_up or self.cut_down_after is None:
            return data
        data = data[: self.cut_down_after]
        self.cut_down_after -= len(data)
        return data


class _Pair:
    """Both ends of one forwarded connection."""

    def __init__(self, down: asyncio.StreamWriter, up: asyncio.StreamWriter) -> None:
        self.is_lost = False
        self.is_deaf = False
        self._down = down
        self._up = up

    async def forward(self, data: bytes, *, is_up: bool) -> None:
        writer = self._up if is_up else self._down
        writer.write(data)
        await writer.drain()

    def reset(self) -> None:
        """End both sides without goodbye."""
        for writer in (self._down, self._up):
            connection = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()


@pytest.fixture
def proxy_to() -> ProxyFactory:
    """The way to put a Proxy before a port, as an async context manager."""
    return lambda target: Proxy(target).serve()
