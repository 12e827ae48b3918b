"""A real influxd 1.6 in a test's own folder, behind the few lines that give it the write path of version 2."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
import orjson
import pytest
from aiohttp import web

from hub.clock import SystemClock
from hub.services.child import free_port
from tests.servers.http_stub import Answer, Manner
from tests.servers.process import ServerProcess

_CONFIG = """
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
  dir = "{folder}/meta"
  logging-enabled = false
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
  query-log-enabled = false
[monitor]
  store-enabled = false
[http]
  bind-address = "127.0.0.1:{http}"
  log-enabled = false
[logging]
  level = "error"
  suppress-logo = true
"""


class InfluxServer:
    """``url`` speaks ``/api/v2/write``, ``/query`` and ``/ping``; the bucket ``hub`` exists. Data survive a stop.

    Writes take the answers of ``script`` in turn, then 413 when they are larger than ``body_limit_bytes``, then
    ``answer`` while it is set; the server behind takes the lines first if an answer ``stores``. ``latency_seconds``
    come before every answer. ``pause`` and ``kill`` are done to the server behind; ``close`` lets connections be
    refused, ``open`` ends that.
    """

    def __init__(self, folder: Path) -> None:
        config = folder / "influxd.conf"
        self._server = ServerProcess(folder / "influxd.log", lambda: ["influxd", "-config", str(config)])
        self._http, self._front = self._server.port, free_port()
        self.script: deque[Answer] = deque()
        self.answer: Answer | None = None
        self.body_limit_bytes: int | None = None
        self.latency_seconds = 0.0
        self._clock = SystemClock()
        folder.mkdir(parents=True, exist_ok=True)
        config.write_text(_CONFIG.format(folder=folder, http=self._http, rpc=free_port()))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._front}"

    @property
    def pid(self) -> int:
        """The process id of the server; 0 while it is not running."""
        return self._server.pid

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(f"http://127.0.0.1:{self._http}")
        application = web.Application(client_max_size=64 * 1024 * 1024)
        application.router.add_route("*", "/{path:.*}", self._forward)
        self._runner = web.AppRunner(application, shutdown_timeout=0)
        await self._runner.setup()
        await self.open()
        try:
            await self.start()
            await self.ask("CREATE DATABASE hub")
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
        await self._runner.cleanup()
        await self._session.close()

    async def start(self) -> None:
        """Start the server on the same folder and ports, and wait until it answers."""
        await asyncio.to_thread(self._server.start)

    def stop(self) -> None:
        """End the server; what it acknowledged stays in its folder."""
        self._server.stop()

    def kill(self) -> None:
        """End the server at once."""
        self._server.kill()

    def pause(self) -> None:
        """Let the server hang."""
        self._server.pause()

    def resume(self) -> None:
        """Let it go on."""
        self._server.resume()

    async def open(self) -> None:
        """Accept connections."""
        self._site = web.TCPSite(self._runner, "127.0.0.1", self._front)
        await self._site.start()

    async def close(self) -> None:
        """Refuse connections."""
        await self._site.stop()

    async def ask(self, text: str) -> list[list[object]]:
        """Return the rows of an InfluxQL statement, times in ns first; for tests, with no care for injection."""
        async with self._session.post("/query", params={"db": "hub", "epoch": "ns"}, data={"q": text}) as answer:
            results = orjson.loads(await answer.read())["results"]
        return [row for result in results for series in result.get("series", ()) for row in series["values"]]

    async def write(self, line: bytes) -> None:
        """Write a line past the front."""
        async with self._session.post("/write", params={"db": "hub"}, data=line) as answer:
            answer.raise_for_status()

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        query, path, body = dict(request.query), request.path, await request.read()
        answer = None
        if path == "/api/v2/write":
            path, query = "/write", {"db": query["bucket"], "precision": query["precision"]}
            answer = self._answer_to(len(body))
        if self.latency_seconds:
            await self._clock.sleep(self.latency_seconds)
        if answer is not None and not answer.stores:
            return await self._refuse(request, answer)
        try:
            async with self._session.request(request.method, path, params=query, data=body) as said:
                found = web.Response(status=said.status, body=await said.read(), content_type=said.content_type)
        except aiohttp.ClientError:
            # The server is down: so is its front.
            _hang_up(request)
            raise web.HTTPBadGateway from None
        return found if answer is None else await self._refuse(request, answer)

    def _answer_to(self, size: int) -> Answer | None:
        if self.script:
            return self.script.popleft()
        if self.body_limit_bytes is not None and size > self.body_limit_bytes:
            return Answer(status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        return self.answer

    async def _refuse(self, request: web.Request, answer: Answer) -> web.StreamResponse:
        headers = {"Content-Type": "application/json", **answer.headers}
        match answer.manner:
            case Manner.WHOLE:
                return web.Response(status=answer.status, body=answer.body, headers=headers)
            case Manner.HANGING:
                await asyncio.Event().wait()  # until the client hangs up
            case Manner.TRUNCATED | Manner.TRICKLING:
                headers["Content-Length"] = str(len(answer.body) + 100)
                response = web.StreamResponse(status=answer.status, headers=headers)
                await response.prepare(request)
                await response.write(answer.body)
                if answer.manner is Manner.TRICKLING:
                    await asyncio.Event().wait()
            case Manner.RESET | Manner.GARBLED:
                pass
        _hang_up(request)
        raise web.HTTPBadGateway


def _hang_up(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


@pytest.fixture
async def influxdb(tmp_path: Path) -> AsyncIterator[InfluxServer]:
    """Give a running influxd with an empty bucket ``hub``."""
    async with InfluxServer(tmp_path / "influxdb") as server:
        yield server
