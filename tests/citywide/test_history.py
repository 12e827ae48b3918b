"""The city's lines on their way into the store: they wait in Redis while it is away, and leave when it has them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from pydantic import SecretStr
from typing_extensions import override

from hub.citywide.history import LINES, Historian
from hub.citywide.keeping import CITY
from hub.clock import SystemClock
from hub.errors import UnavailableError
from hub.sinks.redis_link import Link, RedisAddress
from hub.sinks.streams import outbox_key
from hub.sinks.timeseries.lines import event_line
from hub.sinks.timeseries.local import LocalStore
from hub.sinks.timeseries.query import events as stored_events
from hub.sinks.timeseries.store import Span, Written
from tests.city.sights import passage
from tests.servers.proxy import Proxy, ProxyFactory
from tests.servers.valkey import PASSWORD, ValkeyServer
from tests.waiting import wait_until


class AwayStore(LocalStore):
    """A local store that is away for its first writes, and that then takes one without being able to say so."""

    refusals = 2

    @override
    async def write(self, lines: Sequence[bytes]) -> Written:
        self.refusals -= 1
        if self.refusals == 0:
            await super().write(lines)
        if self.refusals >= 0:
            raise UnavailableError("store_unavailable", "for this test")
        return await super().write(lines)


class HoldingStore(LocalStore):
    """A store after whose first write what comes to ``proxy`` comes late, and whose second lasts until it has come."""

    def __init__(self, path: Path, proxy: Proxy, has_come: Callable[[], Awaitable[bool]]) -> None:
        super().__init__(path, SystemClock())
        self._writes = 0
        self._proxy = proxy
        self._has_come = has_come

    @override
    async def write(self, lines: Sequence[bytes]) -> Written:
        written = await super().write(lines)
        self._writes += 1
        if self._writes == 1:
            self._proxy.latency_seconds = 3.0
        if self._writes == 2:
            await wait_until(self._has_come)
        return written


async def test_a_removal_that_the_server_hears_late_takes_no_line_that_was_not_written(
    tmp_path: Path, valkey: ValkeyServer, proxy_to: ProxyFactory
) -> None:
    lines = [event_line(passage(number, "garden", number)) for number in range(LINES + 100)]
    box = outbox_key(CITY)
    async with valkey.link() as link, valkey.link() as of_store, proxy_to(valkey.port) as proxy:

        async def has_come() -> bool:
            return await of_store.ask("LLEN", box) == 100

        async def is_empty() -> bool:
            return not await link.ask("EXISTS", box)

        await link.ask("RPUSH", box, *lines)
        address = RedisAddress(url=f"redis://127.0.0.1:{proxy.port}", password=SecretStr(PASSWORD))
        of_historian = Link(address, answer_seconds=0.3)
        async with HoldingStore(tmp_path / "store.sqlite", proxy, has_come) as store, of_historian:
            historian = Historian(of_historian, store, SystemClock())
            async with asyncio.TaskGroup() as group:
                task = group.create_task(historian.run())
                await wait_until(lambda: proxy.connections == 2)  # the first was given up, its removal is on its way
                proxy.latency_seconds = 0.0
                await wait_until(is_empty)
                task.cancel()
            rows = await store.query(stored_events(Span(since=0, until=2**62), {}))
    assert sorted(str(row.fields["id"]) for row in rows) == [f"{number:032x}" for number in range(len(lines))]


async def test_lines_wait_for_the_store_and_are_there_once(tmp_path: Path, valkey: ValkeyServer) -> None:
    lines = [event_line(passage(number, "garden", number)) for number in range(LINES + 100)]
    store = AwayStore(tmp_path / "store.sqlite", SystemClock())
    async with valkey.link() as link, valkey.link() as of_historian, store:
        await link.ask("RPUSH", outbox_key(CITY), *lines)
        historian = Historian(of_historian, store, SystemClock())
        async with asyncio.TaskGroup() as group:
            task = group.create_task(historian.run())
            await wait_until(lambda: historian.written == len(lines))
            assert await link.ask("EXISTS", outbox_key(CITY)) == 0
            task.cancel()
        rows = await store.query(stored_events(Span(since=0, until=2**62), {}))
    assert sorted(str(row.fields["id"]) for row in rows) == [f"{number:032x}" for number in range(len(lines))]


async def test_a_store_that_is_away_is_told_until_it_has_all(tmp_path: Path, valkey: ValkeyServer) -> None:
    """It was told nowhere, for days; and the lines that wait for it are in the memory of Redis."""
    store = AwayStore(tmp_path / "store.sqlite", SystemClock())
    store.refusals = 2**40
    async with valkey.link() as link, valkey.link() as of_historian, store:
        await link.ask("RPUSH", outbox_key(CITY), event_line(passage(1, "garden", 1)))
        historian = Historian(of_historian, store, SystemClock())
        async with asyncio.TaskGroup() as group:
            task = group.create_task(historian.run())
            await wait_until(lambda: historian.behind_seconds)
            assert "store_unavailable" in historian.last_error
            store.refusals = 0
            await wait_until(lambda: historian.written and not historian.behind_seconds)
            task.cancel()
