"""The city at work on a real Valkey: each event once, whatever is killed, cut, doubled or trimmed."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from hub.city.chart import CityChart
from hub.citywide.keeping import CITY, read_standing
from hub.clock import SystemClock
from hub.config.settings import Settings
from hub.errors import ConfigError, OwnershipLostError
from hub.model.effects import Event
from hub.model.values import Scalar
from hub.sinks.redis_link import Link
from hub.sinks.stream_readers import read_events
from hub.sinks.streams import cursor_key, domain_key
from hub.sinks.timeseries.local import LocalStore
from hub.sinks.timeseries.query import events as stored_events
from hub.sinks.timeseries.store import Span
from tests.citywide.rig import (
    DEGREES,
    GARDEN,
    HARBOUR,
    NOWHERE,
    at_work,
    ids,
    register,
    settings_of,
    should_be_told,
    swipe,
    told,
    write,
)
from tests.servers.proxy import Proxy
from tests.servers.valkey import PASSWORD, ValkeyServer
from tests.waiting import wait_until

ACCESS = domain_key("access")


@pytest.fixture
async def settings(tmp_path: Path, valkey: ValkeyServer) -> Settings:
    """Return the settings of a city with registered sites."""
    it = settings_of(tmp_path / "data", valkey.url)
    await register(it)
    return it


async def test_one_card_at_two_sites_is_told_once_with_both_places_in_words(
    settings: Settings, valkey: ValkeyServer
) -> None:
    async with valkey.link() as link, at_work(settings) as city:
        await wait_until(lambda: city.watch.is_watching)
        here, there, again = swipe(1, GARDEN), swipe(2, HARBOUR), swipe(3, HARBOUR)  # within a second, whenever written
        await write(link, here)
        await write(link, there, again, partition="east")
        (event,) = await _until_told(link, 1)
        assert event.label["zh"].startswith(
            "同一张卡出现在两个小区：先在花园 b1 gate-1，0 秒后在海港 b1 gate-1，相距 5.4 km"
        )
        assert event.label["en"].startswith("One card at two sites: garden Block 1 gate-1, then harbour Block 1 gate-1")
        assert (event.data["from_event"], event.data["to_event"]) == (f"{1:032x}", f"{2:032x}")
        await wait_until(lambda: city.watch.judged_until / 1e3 > event.time / 1e9 + 1)
        assert await told(link) == [event]


async def test_the_stream_and_the_store_have_the_same_events(settings: Settings, valkey: ValkeyServer) -> None:
    async with valkey.link() as link, at_work(settings) as city:
        await wait_until(lambda: city.watch.is_watching)
        await write(link, swipe(1, GARDEN), swipe(2, HARBOUR), swipe(3, GARDEN, "8800000001"))
        await write(link, swipe(4, HARBOUR, "8800000001"))
        events = await _until_told(link, 2)
        await wait_until(lambda: city.historian.written == 2)
    async with LocalStore(settings.data_dir / "timeseries.sqlite", SystemClock()) as store:
        rows = await store.query(stored_events(Span(since=0, until=2**62), {}))
    assert {row.fields["id"] for row in rows} == set(ids(events))


async def test_a_city_that_stops_in_the_middle_goes_on_with_what_it_knew(
    settings: Settings, valkey: ValkeyServer
) -> None:
    async with valkey.link() as link:
        async with at_work(settings) as city:
            await wait_until(lambda: city.watch.is_watching)
            await write(link, swipe(1, GARDEN))
            await wait_until(lambda: city.watch.city.remembered > 0)
        await write(link, swipe(2, HARBOUR))  # nobody watches
        async with at_work(settings) as city:
            (event,) = await _until_told(link, 1)
        async with at_work(settings) as city:
            await wait_until(lambda: city.watch.is_watching)
            assert city.watch.city.remembered == 2
        assert await told(link) == [event]
        standing = await read_standing(link)
    assert (standing.kept.counts["judged"], standing.cursor.epoch) == (2, 3)


async def test_a_transaction_whose_answer_never_came_is_not_done_again(
    settings: Settings, valkey: ValkeyServer
) -> None:
    async with Proxy(valkey.port).serve() as proxy, valkey.link() as link:
        url = f"redis://:{PASSWORD}@127.0.0.1:{proxy.port}/0"
        through = settings.model_copy(update={"redis": settings.redis.model_copy(update={"url": SecretStr(url)})})
        async with at_work(through) as city:
            await wait_until(lambda: city.watch.is_watching)
            proxy.deafen_at = b"access.impossible_travel"
            await write(link, swipe(1, GARDEN), swipe(2, HARBOUR))
            await wait_until(lambda: proxy.deafened == 1)
            await _until_told(link, 1)
            await write(link, swipe(3, GARDEN, "8800000001"), swipe(4, HARBOUR, "8800000001"))
            await _until_told(link, 2)
            assert city.keeper.retries
        assert ids(await told(link)) == await should_be_told(link, settings)


async def test_redis_away_for_seconds_costs_nothing_but_time(settings: Settings, valkey: ValkeyServer) -> None:
    async with at_work(settings) as city:
        async with valkey.link() as link:
            await wait_until(lambda: city.watch.is_watching)
            await write(link, swipe(1, GARDEN))
        valkey.kill()
        await wait_until(lambda: city.watch.silent_seconds > 5)
        valkey.start()
        async with valkey.link() as link:
            await write(link, swipe(2, HARBOUR))
            await _until_told(link, 1)
    async with valkey.link() as link:
        assert ids(await told(link)) == await should_be_told(link, settings)


async def test_a_city_that_is_started_before_redis_begins_when_it_is_there(
    settings: Settings, valkey: ValkeyServer
) -> None:
    valkey.kill()
    async with at_work(settings) as city:
        assert city.watch.is_watching is False
        valkey.start()
        async with valkey.link() as link:
            await wait_until(lambda: city.watch.is_watching)
            await write(link, swipe(1, GARDEN), swipe(2, HARBOUR))
            assert len(await _until_told(link, 1)) == 1


async def test_a_second_city_waits_and_gives_up_while_the_first_one_beats(settings: Settings, tmp_path: Path) -> None:
    other = settings.model_copy(update={"data_dir": tmp_path / "other"})
    async with at_work(settings) as city:
        await wait_until(lambda: city.watch.is_watching)
        with pytest.raises(ConfigError) as refused:
            async with at_work(other):
                pass
        assert refused.value.code == "partition_owned_elsewhere"
        with pytest.raises(ConfigError) as locked:
            async with at_work(settings):
                pass
        assert locked.value.code == "already_running"


async def test_a_city_that_was_taken_over_writes_nothing_more_and_ends(
    settings: Settings, valkey: ValkeyServer
) -> None:
    async with valkey.link() as link:
        with pytest.raises(ExceptionGroup) as ended:
            await _be_taken_over(settings, link)
        assert ended.group_contains(OwnershipLostError)
        assert await told(link) == []
        assert (await read_standing(link)).cursor.epoch == 99


async def test_entries_that_were_trimmed_unread_are_told_once_and_counted(
    settings: Settings, valkey: ValkeyServer
) -> None:
    async with valkey.link() as link:
        async with at_work(settings) as city:
            await wait_until(lambda: city.watch.is_watching)
            await write(link, swipe(1, GARDEN))
            await wait_until(lambda: _has_kept(link, judged=1))
        await write(link, *(swipe(number, HARBOUR) for number in range(2, 7)))
        await link.ask("XTRIM", ACCESS, "MAXLEN", "=", 2)
        async with at_work(settings) as city:
            await wait_until(lambda: _has_kept(link, judged=3))
        assert await _losses(link) == [{"stream": ACCESS, "entries": 3}]
        async with at_work(settings) as city:
            await wait_until(lambda: city.watch.is_watching)
            assert city.watch.counts[f"lost.{ACCESS}"] == 3
        assert len(await _losses(link)) == 1


async def test_entries_that_were_trimmed_after_they_were_read_and_before_they_were_judged_are_told_too(
    settings: Settings, valkey: ValkeyServer
) -> None:
    slow = settings.model_copy(update={"city": settings.city.model_copy(update={"settle": timedelta(minutes=1)})})
    async with valkey.link() as link:
        async with at_work(slow) as city:
            await wait_until(lambda: city.watch.is_watching)
            await write(link, swipe(1, GARDEN, "8800000001"), swipe(2, GARDEN))
            await wait_until(lambda: _has_kept(link, pending=2))
        await link.ask("XTRIM", ACCESS, "MAXLEN", "=", 1)
        async with at_work(slow) as city:
            await wait_until(lambda: _has_kept(link, pending=1))
        assert await _losses(link) == [{"stream": "unjudged", "entries": 1}]


async def test_a_cursor_that_the_server_has_forgotten_makes_no_event_twice_and_loses_none(
    settings: Settings, valkey: ValkeyServer
) -> None:
    async with valkey.link() as link, at_work(settings) as city:
        await wait_until(lambda: city.watch.is_watching)
        before = await link.ask("DUMP", cursor_key(CITY))
        await write(link, swipe(1, GARDEN), swipe(2, HARBOUR))
        (event,) = await _until_told(link, 1)
        # As after a restart without the last second: the event and the cursor's move are gone together.
        entry = (await link.ask("XREVRANGE", ACCESS, "+", "-", "COUNT", 1))[0][0]  # type: ignore[index]  # its id
        await link.ask("XDEL", ACCESS, entry)  # type: ignore[arg-type]  # bytes
        await link.ask("RESTORE", cursor_key(CITY), 0, before, "REPLACE")  # type: ignore[arg-type]  # bytes
        await wait_until(lambda: city.keeper.tails_lost == 1)
        assert await _until_told(link, 1) == [event]


async def test_what_no_encoder_takes_costs_itself_and_nothing_that_follows(
    settings: Settings, valkey: ValkeyServer
) -> None:
    async with valkey.link() as link, at_work(settings) as city:
        await wait_until(lambda: city.watch.is_watching)
        city.watch.look_at(CityChart(sites=DEGREES, labels={(GARDEN, GARDEN): {"zh": "\ud800"}}))
        await write(link, swipe(1, GARDEN), swipe(2, HARBOUR))
        await wait_until(lambda: city.keeper.rejected == 1)
        city.watch.look_at(CityChart(sites=DEGREES))
        await write(link, swipe(3, GARDEN, "8800000001"), swipe(4, HARBOUR, "8800000001"))
        (event,) = await _until_told(link, 1)
        assert event.data["to_event"] == f"{4:032x}"


async def test_a_site_without_a_location_is_counted_and_named(settings: Settings, valkey: ValkeyServer) -> None:
    async with valkey.link() as link, at_work(settings) as city:
        await wait_until(lambda: city.watch.is_watching)
        assert city.unplaced == (NOWHERE,)
        await write(link, swipe(1, GARDEN), swipe(2, NOWHERE))
        await wait_until(lambda: city.watch.counts.get("skipped.unplaced"))
        assert await told(link) == []


async def _has_kept(link: Link, *, judged: int = 0, pending: int = 0) -> bool:
    kept = (await read_standing(link)).kept
    return kept.counts.get("judged", 0) == judged and kept.pending == pending


async def _losses(link: Link) -> list[dict[str, Scalar]]:
    return [event.data for event in await read_events(link, ["device"])]


async def _be_taken_over(settings: Settings, link: Link) -> None:
    async with at_work(settings) as city:
        await wait_until(lambda: city.watch.is_watching)
        await link.ask("HSET", cursor_key(CITY), "journal", CITY, "epoch", 99, "record", 7)
        await write(link, swipe(1, GARDEN), swipe(2, HARBOUR))
        await asyncio.Event().wait()  # the error of a task ends it


async def _until_told(link: Link, count: int) -> list[Event]:
    found: list[Event] = []

    async def are_there() -> bool:
        found[:] = await told(link)
        return len(found) >= count

    await wait_until(are_there)
    return found
