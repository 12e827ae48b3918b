"""Consumer groups: one that everybody forgot, and a reader that does as hub/sinks/README.md says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest
from redis.exceptions import ResponseError

from hub.clock import SystemClock
from hub.errors import UnavailableError
from hub.sinks.redis_link import Link, pack, pairs, rows
from hub.sinks.stream_readers import read_events
from hub.sinks.streams import DEAD_LETTERS, DOMAINS, decode_event, domain_key
from tests.chaos.town import Town, open_town
from tests.servers.mosquitto import Mosquitto
from tests.servers.valkey import ValkeyServer
from tests.waiting import wait_until

STREAM, GROUP = DEAD_LETTERS, "forgotten"
NODE = 100
"""Redis trims whole nodes of a stream, of so many entries."""
HOUR_MS = 3_600_000


@pytest.fixture
async def town(tmp_path: Path, mosquitto: Mosquitto, valkey: ValkeyServer) -> AsyncIterator[Town]:
    async for each in open_town(tmp_path, mosquitto, valkey):
        yield each


async def entries(link: Link, count: int, *, hours_old: int) -> str:
    """Put entries of long ago into the stream; return the id of the first."""
    now = int(cast("bytes", rows(await link.ask("TIME"))[0])) * 1_000
    for number in range(count):
        await link.ask("XADD", STREAM, f"{now - hours_old * HOUR_MS}-{number + 1}", "id", f"{hours_old}-{number}")
    return f"{now - hours_old * HOUR_MS}-1"


async def test_a_group_abandoned_for_longer_than_it_may_owe_is_told_what_it_lost_and_stops_nothing(town: Town) -> None:
    async with town.valkey.link() as link:
        first_lost = await entries(link, 2 * NODE, hours_old=8 * 24)  # older than everything that is kept
        first_kept = await entries(link, NODE, hours_old=4 * 24)  # and more than a group may owe: 72 h
        await link.ask("XGROUP", "CREATE", STREAM, GROUP, "0")
        town.hub.start()
        await town.hub.until_ready()
        await town.publish(300)
        await town.until_settled()

        async def told() -> list[dict[str, object]]:
            events = await read_events(link, ["device"], count=100)
            return [dict(event.data) for event in events if event.name == "device.consumer_group_lagging"]

        async def is_told() -> bool:
            return bool(await told())

        await wait_until(is_told)
        gap = {"stream": STREAM, "group": GROUP, "owed": first_lost, "kept_from": first_kept}
        assert await told() == [gap]
        assert await link.ask("XLEN", STREAM) == NODE
    assert (await town.hub.metrics())["hub_consumer_groups_lagging"] == 1
    await town.hub.until_ready()
    assert town.hub.stop() == 0
    await town.check_once()


class Reader:
    """Reads all events with a group of its own. ``cards`` that were seen, by the ids of their events."""

    def __init__(self, valkey: ValkeyServer) -> None:
        self.cards: dict[str, str] = {}
        self.groups_made = 0
        self._valkey = valkey
        self._streams = [domain_key(domain) for domain in DOMAINS]

    async def run(self) -> None:
        """Read until cancelled, whatever becomes of Redis and of the group."""
        while True:
            try:
                async with self._valkey.link() as link:
                    await self._make_groups(link)
                    while await self._some(link, "0"):  # what was taken and never acknowledged
                        pass
                    while True:
                        await self._some(link, ">", "BLOCK", "100")
            except UnavailableError:  # also NOGROUP
                await SystemClock().sleep(0.05)

    async def _make_groups(self, link: Link) -> None:
        packed = [pack("XGROUP", "CREATE", stream, "billing", "0", "MKSTREAM") for stream in self._streams]
        made = await link.exchange(packed, len(packed))
        self.groups_made += sum(not isinstance(answer, ResponseError) for answer in made)  # BUSYGROUP: it is there

    async def _some(self, link: Link, start: str, *block: str) -> int:
        words = ("XREADGROUP", "GROUP", "billing", "one", *block, "STREAMS", *self._streams)
        found = rows(await link.ask(*words, *[start] * len(self._streams), patience=1))
        entries = [(stream, entry) for stream, held in map(rows, found) for entry in rows(held)]
        for stream, entry in entries:
            place, fields = rows(entry)
            event = decode_event(pairs(fields))
            if event.name == "access.card_seen":
                self.cards[event.id] = str(event.data["card"])
            await link.ask("XACK", cast("bytes", stream), "billing", cast("bytes", place))
        return len(entries)


async def test_a_reader_that_knows_events_by_their_ids_has_each_once_also_of_a_redis_that_was_emptied(
    town: Town,
) -> None:
    reader = Reader(town.valkey)

    async def publish_and_read() -> None:
        await town.publish(150)
        await wait_until(lambda: set(town.sent.cards) <= set(reader.cards.values()))

    town.hub.start()
    await town.hub.until_ready()
    async with asyncio.TaskGroup() as group:
        reading = group.create_task(reader.run(), name="reader")
        await publish_and_read()
        town.valkey.kill()
        town.valkey.start()
        await publish_and_read()
        assert reader.groups_made == len(DOMAINS)
        async with town.valkey.link() as link:
            await link.ask("FLUSHALL")
        town.hub.kill()
        town.hub.start()
        await publish_and_read()
        assert reader.groups_made == 2 * len(DOMAINS)
        reading.cancel()
    assert sorted(reader.cards.values()) == sorted(town.sent.cards)  # by their ids: none twice, none invented
    await wait_until(lambda: _is_stored(town, reader))
    assert set((await town.stored_events()).values()) == {1}


async def _is_stored(town: Town, reader: Reader) -> bool:
    return set(await town.stored_events()) == set(reader.cards)
