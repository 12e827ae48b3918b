"""A real VictoriaMetrics in a test's own folder: a second server that takes the lines, for numbers only."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.servers.process import ServerProcess


class VictoriaServer(ServerProcess):
    """``url`` speaks ``/api/v2/write``."""

    def __init__(self, folder: Path, session: aiohttp.ClientSession) -> None:
        super().__init__(folder / "victoria.log", self._words)
        self._folder = folder
        self._session = session
        self.url = f"http://127.0.0.1:{self.port}"

    def _words(self) -> list[str]:
        address = f"-httpListenAddr=127.0.0.1:{self.port}"
        return ["victoria-metrics", address, f"-storageDataPath={self._folder / 'data'}", "-retentionPeriod=100y"]

    async def export(self, series: str) -> list[dict[str, object]]:
        """Return the stored series that match ``series``, with their values; times are cut to ms by the server."""
        async with self._session.get(self.url + "/internal/force_flush") as answer:
            answer.raise_for_status()
        async with self._session.get(self.url + "/api/v1/export", params={"match[]": series}) as answer:
            return [json.loads(line) for line in (await answer.text()).splitlines()]


@pytest.fixture
async def victoria(tmp_path: Path) -> AsyncIterator[VictoriaServer]:
    """Give a running, empty VictoriaMetrics."""
    async with aiohttp.ClientSession() as session:
        server = VictoriaServer(tmp_path / "victoria", session)
        try:
            await asyncio.to_thread(server.start)
            yield server
        finally:
            server.stop()
