"""The three pages, asked over a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import aiohttp
import pytest

from hub.config.settings import HttpSettings
from hub.errors import ConfigError
from hub.metrics import Metrics
from hub.services.child import free_port
from hub.ui.pages import http
from hub.ui.pages.http import MOST_CONNECTIONS, application, pages_of, serve
from hub.ui.pages.readiness import Vitals
from hub.ui.pages.reasons import advised
from tests.ui.vitals import WELL


@asynccontextmanager
async def pages(vitals: Vitals) -> AsyncIterator[aiohttp.ClientSession]:
    settings = HttpSettings(port=free_port())
    client = aiohttp.ClientSession(f"http://127.0.0.1:{settings.port}")
    async with serve(application(Metrics(), lambda: vitals), settings), client:
        yield client


async def test_a_hub_that_is_well_answers_200() -> None:
    async with pages(WELL) as client, client.get("/readyz") as answer:
        assert (answer.status, await answer.json()) == (200, {"ready": True, "reasons": []})


async def test_a_hub_that_is_not_ready_answers_503_and_why_and_what_to_do_now() -> None:
    async with pages(replace(WELL, is_redis_connected=False)) as client, client.get("/readyz") as answer:
        (reason,) = advised([{"code": "redis_unreachable", "detail": "events wait in the outbox"}])
        assert (answer.status, await answer.json()) == (503, {"ready": False, "reasons": [reason]})
        assert "恢复 Redis" in str(reason["now"])


async def test_a_hub_that_is_not_ready_is_alive_all_the_same() -> None:
    async with pages(replace(WELL, is_running=False)) as client, client.get("/healthz") as answer:
        assert answer.status == 200


async def test_a_hub_of_which_a_stage_hangs_is_not_alive() -> None:
    settings = HttpSettings(port=free_port())
    shown = pages_of(Metrics(), tuple, lambda: ["judging"])
    client = aiohttp.ClientSession(f"http://127.0.0.1:{settings.port}")
    async with serve(shown, settings), client, client.get("/healthz") as answer:
        assert (answer.status, await answer.json()) == (503, {"alive": False, "hung": ["judging"]})


async def test_a_port_that_is_taken_is_a_mistake_in_the_settings() -> None:
    settings = HttpSettings(port=free_port())
    async with serve(application(Metrics(), lambda: WELL), settings):
        with pytest.raises(ConfigError, match="http_port_taken"):
            async with serve(application(Metrics(), lambda: WELL), settings):
                pass


@asynccontextmanager
async def idle(port: int) -> AsyncIterator[asyncio.StreamReader]:
    """Give a connection that asks for nothing."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader
    finally:
        writer.transport.abort()


async def test_whoever_asks_is_let_in_however_many_ask_for_nothing_and_the_oldest_of_those_give_way() -> None:
    """Each takes a file: with 1,024 of them no journal could be written, and no broker be reached."""
    settings, too_many = HttpSettings(port=free_port()), 20
    client = aiohttp.ClientSession(f"http://127.0.0.1:{settings.port}")
    async with serve(application(Metrics(), lambda: WELL), settings), AsyncExitStack() as stack:
        silent = [await stack.enter_async_context(idle(settings.port)) for _ in range(MOST_CONNECTIONS + too_many)]
        async with client, client.get("/readyz") as answer:
            assert answer.status == 200
        async with asyncio.timeout(30):
            assert [await each.read() for each in silent[:too_many]] == [b""] * too_many
        assert not silent[-1].at_eof()


async def test_a_connection_that_never_says_what_it_wants_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "IDLE_SECONDS", 0.05)
    settings = HttpSettings(port=free_port())
    async with serve(application(Metrics(), lambda: WELL), settings), idle(settings.port) as reader:
        async with asyncio.timeout(30):
            assert await reader.read() == b""
