"""A real VictoriaMetrics in a test's own folder: a second server that takes the lines, for numbers only."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path

import aiohttp
import pytest

from tests.servers.influxdb import free_port, launch
from tests.waiting import wait_until


class VictoriaServer:
    """``url`` speaks ``/api/v2/write``."""

    def __init__(self, folder: Path, session: aiohttp.ClientSession) -> None:
        self._folder = folder
        self._session = session
        self.url = f"http://127.0.0.1:{free_port()}"

    async def start(self) -> None:
        """Start, and wait until it answers."""
        self._process = launch(
            [
                "victoria-metrics",
                f"-httpListenAddr={self.url.removeprefix('http://')}",
                f"-storageDataPath={self._folder / 'data'}",
                "-retentionPeriod=100y",
            ],
            self._folder / "victoria.log",
        )
        await wait_until(self._answers, seconds=20)

    def stop(self) -> None:
        """End the server."""
        self._process.terminate()
        self._process.wait(20)

    async def export(self, series: str) -> list[dict[str, object]]:
        """Return the stored series that match ``series``, with their values; times are cut to ms by the server."""
        async with self._session.get(self.url + "/internal/force_flush") as answer:
            answer.raise_for_status()
        async with self._session.get(self.url + "/api/v1/export", params={"match[]": series}) as answer:
            return [json.loads(line) for line in (await answer.text()).splitlines()]

    async def _answers(self) -> bool:
        try:
            async with self._session.get(self.url + "/health") as answer:
                return answer.status == HTTPStatus.OK
        except aiohttp.ClientError:
            return False


@pytest.fixture
async def victoria(tmp_path: Path) -> AsyncIterator[VictoriaServer]:
    """Give a running, empty VictoriaMetrics."""
    async with aiohttp.ClientSession() as session:
        server = VictoriaServer(tmp_path / "victoria", session)
        try:
            await server.start()
            yield server
        finally:
            server.stop()
