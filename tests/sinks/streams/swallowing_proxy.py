"""A proxy that forwards everything to a server until it is told to swallow the answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class SwallowingProxy:
    """Forwards to ``port``; once a request holds ``swallow_requests_with``, that connection gets no more answers.

    ``swallowed`` counts such connections.
    """

    def __init__(self, port: int) -> None:
        self.port = 0
        self.swallowed = 0
        self.swallow_requests_with: bytes | None = None
        self._target = port
        self._serving: set[asyncio.Task[object]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield
        if self._serving:  # the clients have closed their ends: these end by themselves
            await asyncio.wait(self._serving, timeout=5)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving = asyncio.current_task()
        assert serving is not None
        self._serving.add(serving)
        upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", self._target)
        deaf = asyncio.Event()
        with suppress(OSError, ExceptionGroup):
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._requests(reader, upstream_writer, deaf))
                tasks.create_task(self._answers(upstream_reader, writer, deaf))
        for out in (writer, upstream_writer):
            out.close()
            with suppress(OSError):
                await out.wait_closed()
        self._serving.discard(serving)

    async def _requests(self, reader: asyncio.StreamReader, out: asyncio.StreamWriter, deaf: asyncio.Event) -> None:
        while data := await reader.read(65536):
            if self.swallow_requests_with is not None and self.swallow_requests_with in data:
                self.swallow_requests_with = None
                self.swallowed += 1
                deaf.set()
            out.write(data)
            await out.drain()
        out.close()

    async def _answers(self, reader: asyncio.StreamReader, out: asyncio.StreamWriter, deaf: asyncio.Event) -> None:
        while data := await reader.read(65536):
            if not deaf.is_set():
                out.write(data)
                await out.drain()
        out.close()
