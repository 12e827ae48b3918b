"""What monitors see of a forwarder: ready while all is well, and each reason why not, beside a real Valkey."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import BaseTestServer, TestServer
from typing_extensions import override

from hub.clock import SystemClock
from hub.metrics import Metrics
from hub.outward.process import OutwardProcess
from hub.ui.pages.outward import REFUSING_SECONDS, outward_pages
from hub.ui.pages.readiness import PATIENCE_SECONDS
from tests.citywide.rig import write
from tests.outward.rig import Desk, event
from tests.servers.http_stub import Answer, HttpStub
from tests.servers.valkey import ValkeyServer
from tests.waiting import wait_until


class LaterClock(SystemClock):
    """A clock by which the page finds that much time has passed."""

    ahead_seconds = 0.0

    @override
    def monotonic_ns(self) -> int:
        return super().monotonic_ns() + round(self.ahead_seconds * 1e9)


class Page:
    """The pages of a process, read over HTTP."""

    def __init__(self, server: BaseTestServer, clock: LaterClock) -> None:
        self.clock = clock
        self._server = server

    async def reasons(self) -> list[str]:
        """Return the codes of /readyz; its status agrees with them."""
        status, body = await self._get("/readyz")
        assert status == (HTTPStatus.SERVICE_UNAVAILABLE if body["reasons"] else HTTPStatus.OK)
        self.details = [reason["detail"] for reason in body["reasons"]]
        return [reason["code"] for reason in body["reasons"]]

    async def figures(self) -> dict[str, float]:
        async with aiohttp.ClientSession() as session, session.get(self._server.make_url("/metrics")) as answer:
            lines = (await answer.text()).splitlines()
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines) if name[0] != "#"}

    async def _get(self, path: str) -> tuple[int, Any]:
        async with aiohttp.ClientSession() as session, session.get(self._server.make_url(path)) as answer:
            return answer.status, await answer.json()


@asynccontextmanager
async def shown(process: OutwardProcess) -> AsyncIterator[Page]:
    clock = LaterClock()
    async with TestServer(outward_pages(process, clock, Metrics())) as server:
        yield Page(server, clock)


@pytest.fixture
def desk(tmp_path: Path, valkey: ValkeyServer, http_stub: HttpStub) -> Desk:
    return Desk(tmp_path / "forward" / "it", valkey, http_stub)


async def test_a_receiver_that_refuses_for_long_is_told_until_it_takes_again(
    desk: Desk, valkey: ValkeyServer, http_stub: HttpStub
) -> None:
    http_stub.judge = lambda _lines: Answer(status=503, body=b"at lunch")
    async with valkey.link() as link, desk.at_work() as process, shown(process) as page:
        await wait_until(lambda: process.follower.read_until)
        assert await page.reasons() == []
        await write(link, event(1), event(2))
        await wait_until(lambda: len(desk.outcomes) >= 2 and process.courier.waiting == 2)
        assert await page.reasons() == []  # a moment is no trouble
        page.clock.ahead_seconds = REFUSING_SECONDS + 1
        assert "receiver_refuses" in await page.reasons()
        assert "2 wait: 503 at lunch" in page.details[-1]
        figures = await page.figures()
        assert figures['hub_deliveries_attempted_total{channel="webhook",outcome="retried"}'] >= 2
        assert figures['hub_deliveries_waiting{channel="webhook"}'] == 2
        assert figures['hub_deliveries_oldest_waiting_seconds{channel="webhook"}'] > 0
        assert not [name for name in figures if name.startswith("hub_deliveries_last_success")]
        http_stub.judge = lambda _lines: Answer()
        await wait_until(lambda: len(desk.ended()) == 2)
        assert "receiver_refuses" not in await page.reasons()
        figures = await page.figures()
        assert figures['hub_deliveries_attempted_total{channel="webhook",outcome="delivered"}'] == 2
        assert figures['hub_deliveries_ended_total{outcome="delivered"}'] == 2
        assert figures['hub_deliveries_oldest_waiting_seconds{channel="webhook"}'] == 0
        wall = SystemClock().wall_ns() / 1e9
        assert figures['hub_deliveries_last_success_timestamp_seconds{channel="webhook"}'] == pytest.approx(
            wall, abs=60
        )


async def test_a_receiver_that_calls_everything_wrong_is_told_though_nothing_waits(
    desk: Desk, valkey: ValkeyServer, http_stub: HttpStub
) -> None:
    http_stub.judge = lambda _lines: Answer(status=400)
    async with valkey.link() as link, desk.at_work() as process, shown(process) as page:
        await wait_until(lambda: process.follower.read_until)
        await write(link, event(1))
        await wait_until(lambda: process.courier.outlets["webhook"].refused == 1)
        page.clock.ahead_seconds = REFUSING_SECONDS + 1
        assert "receiver_refuses" not in await page.reasons()  # one of them may be wrong
        await write(link, event(2), event(3))
        await wait_until(lambda: process.courier.outlets["webhook"].refused == 3)
        assert "receiver_refuses" in await page.reasons()
        assert (await page.figures())['hub_deliveries_dead{channel="webhook"}'] == 3


async def test_a_redis_that_is_away_is_told_and_how_far_the_reading_is(desk: Desk, valkey: ValkeyServer) -> None:
    async with desk.at_work() as process, shown(process) as page:
        await wait_until(lambda: process.follower.read_until)
        figures = await page.figures()
        assert figures["hub_outward_lag_seconds"] < PATIENCE_SECONDS
        assert figures['hub_outward_unread_entries{stream="hub:events:access"}'] == 0
        valkey.kill()
        await wait_until(lambda: not process.follower.is_reading)
        page.clock.ahead_seconds = PATIENCE_SECONDS + 1
        assert await page.reasons() == ["redis_unreachable"]
        valkey.start()
        page.clock.ahead_seconds = 0
        await wait_until(lambda: process.follower.is_reading)
        assert await page.reasons() == []


async def test_what_has_not_found_its_place_in_the_streams_is_not_ready(desk: Desk, valkey: ValkeyServer) -> None:
    valkey.kill()
    async with desk.at_work() as process, shown(process) as page:
        assert await page.reasons() == ["not_following"]


async def test_so_much_that_waits_that_nothing_is_read_is_told(
    desk: Desk, valkey: ValkeyServer, http_stub: HttpStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.outward.follower.MOST_WAITING", 1)
    http_stub.judge = lambda _lines: Answer(status=503)
    async with valkey.link() as link, desk.at_work() as process, shown(process) as page:
        await wait_until(lambda: process.follower.read_until)
        await write(link, event(1))
        await wait_until(lambda: process.courier.waiting)
        assert await page.reasons() == ["reading_held_up"]
