"""A real influxd 1.6 in a test's own folder, behind the few lines that give it the write path of version 2."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
import pytest
from aiohttp import web

from hub.services.child import free_port
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
    """``url`` speaks ``/api/v2/write``, ``/query`` and ``/ping``; the bucket ``hub`` exists. Data survive a stop."""

    def __init__(self, folder: Path) -> None:
        config = folder / "influxd.conf"
        self._server = ServerProcess(folder / "influxd.log", lambda: ["influxd", "-config", str(config)])
        self._http, self._front = self._server.port, free_port()
        folder.mkdir(parents=True, exist_ok=True)
        config.write_text(_CONFIG.format(folder=folder, http=self._http, rpc=free_port()))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._front}"

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(f"http://127.0.0.1:{self._http}")
        application = web.Application(client_max_size=64 * 1024 * 1024)
        application.router.add_route("*", "/{path:.*}", self._forward)
        self._runner = web.AppRunner(application, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._front).start()
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

    async def ask(self, text: str) -> list[list[object]]:
        """Return the rows of an InfluxQL statement, times in ns first; for tests, with no care for injection."""
        async with self._session.post("/query", params={"db": "hub", "epoch": "ns"}, data={"q": text}) as answer:
            results = (await answer.json())["results"]
        return [row for result in results for series in result.get("series", ()) for row in series["values"]]

    async def _forward(self, request: web.Request) -> web.Response:
        query, path = dict(request.query), request.path
        if path == "/api/v2/write":
            path, query = "/write", {"db": query["bucket"], "precision": query["precision"]}
        try:
            async with self._session.request(request.method, path, params=query, data=await request.read()) as answer:
                return web.Response(status=answer.status, body=await answer.read(), content_type=answer.content_type)
        except aiohttp.ClientError:
            # The server is down: so is its front.
            if request.transport is not None:
                request.transport.abort()
            raise web.HTTPBadGateway from None


@pytest.fixture
async def influxdb(tmp_path: Path) -> AsyncIterator[InfluxServer]:
    """Give a running influxd with an empty bucket ``hub``."""
    async with InfluxServer(tmp_path / "influxdb") as server:
        yield server
