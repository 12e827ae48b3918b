"""The city's lines on their way into the store: they wait in Redis while it is away, and leave when it has them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from typing_extensions import override

from hub.citywide.history import LINES, Historian
from hub.citywide.keeping import CITY
from hub.clock import SystemClock
from hub.errors import UnavailableError
from hub.sinks.streams import outbox_key
from hub.sinks.timeseries.lines import event_line
from hub.sinks.timeseries.local import LocalStore
from hub.sinks.timeseries.query import events as stored_events
from hub.sinks.timeseries.store import Span, Written
from tests.city.sights import passage
from tests.servers.valkey import ValkeyServer
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
