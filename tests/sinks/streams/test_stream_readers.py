"""Reading events and alarms for people, and what an entry looks like to any consumer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import ConfigError, PoisonError
from hub.model.effects import Event
from hub.sinks import stream_readers
from hub.sinks.redis_check import check_server
from hub.sinks.redis_link import Link, RedisAddress, pairs, rows
from hub.sinks.stream_readers import follow_events, oldest_entry, read_alarms, read_events, trimmed_until
from hub.sinks.streams import alarms_key, decode_event, events_key, pack_event, pack_site_alarms, parse_rfc3339, rfc3339
from tests.servers.valkey import ValkeyElsewhere, ValkeyServer
from tests.sinks.streams.rig import NOON, alarm, event
from tests.waiting import wait_until


@pytest.fixture
async def link(valkey: ValkeyServer) -> AsyncIterator[Link]:
    async with valkey.link() as link:
        yield link


async def add(link: Link, *events: Event) -> None:
    await link.exchange([pack_event(each, "hub/p1") for each in events], len(events))


async def test_an_entry_is_a_cloud_event(link: Link) -> None:
    await add(link, event(3, "access.repeated_denials"))
    fields = pairs(rows(rows(await link.ask("XRANGE", "hub:events:access", "-", "+"))[0])[1])
    data = json.loads(fields.pop(b"data"))
    assert {name.decode(): value.decode() for name, value in fields.items()} == {
        "id": "00000000000000000000000000000003",
        "source": "hub/p1",
        "type": "access.repeated_denials",
        "subject": "north/b3-f2",
        "specversion": "1.0",
        "time": "2026-03-01T12:00:00.123456792Z",
        "datacontenttype": "application/json",
        "severity": "critical",
        "transition": "raised",
        "site": "north",
    }
    assert data == {
        "building": "b3",
        "device": "smoke-17",
        "part": "zone-2",
        "rule": "fire-confirmed",
        "rule_version": "a1b2c3",
        "late": False,
        "label": {"en": "Fire confirmed", "zh": "火警确认"},
        "data": {"alarming": 2, "temperature": 61.5, "panel": True, "zone": "b3-f2"},
        "causes": [[3, 0]],
    }


@given(st.integers(min_value=0, max_value=1 << 62))
def test_a_time_written_and_read_is_the_same_nanosecond(time: int) -> None:
    assert parse_rfc3339(rfc3339(time)) == time


@pytest.mark.parametrize("missing", [b"id", b"type", b"time", b"data", b"severity"])
def test_an_entry_that_no_hub_wrote_is_poison(missing: bytes) -> None:
    fields = {b"id": b"1", b"type": b"a.b", b"time": b"2026-03-01T12:00:00Z", b"severity": b"low"}
    fields |= {b"transition": b"raised", b"subject": b"n/k", b"site": b"n", b"data": b"{}"}
    with pytest.raises(PoisonError, match="bad_entry"):
        decode_event({name: value for name, value in fields.items() if name != missing})


async def test_however_many_are_asked_for_redis_never_stands_still_for_all_of_them(
    link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_readers, "PAGE_MOST", 3)
    await add(link, *(event(number) for number in range(10)))
    assert await link.ask("CONFIG", "SET", "slowlog-log-slower-than", 0) == b"OK"
    for since in (None, datetime(2026, 1, 1, tzinfo=UTC)):
        assert [int(each.id, 16) for each in await read_events(link, count=100_000, since=since)] == [*range(10)]
    asked = [rows(rows(each)[3]) for each in rows(await link.ask("SLOWLOG", "GET", 100))]
    pages = [words[-1] for words in asked if words[0] in {b"XRANGE", b"XREVRANGE"}]
    assert pages == [b"3"] * 8


async def test_what_no_hub_wrote_hides_nothing_that_hubs_wrote(link: Link) -> None:
    await link.ask("XADD", events_key("fire.confirmed"), "*", "a", "1")
    await add(link, event(1))
    await link.ask("HSET", alarms_key("north"), "theirs", "{}")
    await link.exchange(pack_site_alarms("south", [alarm(site="south")]), 2)
    assert [int(each.id, 16) for each in await read_events(link)] == [1]
    assert [each.site for each in await read_alarms(link)] == ["south"]
    assert await oldest_entry(link) is not None


@pytest.mark.parametrize(
    "command",
    [
        ("SET", "hub:events:theirs", "1"),
        ("SET", "hub:alarms:theirs", "1"),
        ("XADD", b"hub:events:\xb2", "*", "a", "1"),
        ("HSET", b"hub:alarms:\xb2", "a", "1"),
    ],
)
async def test_a_key_that_no_hub_made_hides_nothing_that_hubs_wrote(link: Link, command: Sequence[str | bytes]) -> None:
    await add(link, event(1))
    await link.exchange(pack_site_alarms("south", [alarm(site="south")]), 2)
    await link.ask(*command)
    assert [int(each.id, 16) for each in await read_events(link)] == [1]
    assert [each.site for each in await read_alarms(link)] == ["south"]
    assert await oldest_entry(link) is not None
    assert await trimmed_until(link) == 0


async def test_the_last_events_of_several_domains_come_in_the_order_of_writing(link: Link) -> None:
    names = ("fire.confirmed", "care.fall", "access.denied")
    await add(link, *[event(number, names[number % 3]) for number in range(30)])
    assert [int(each.id, 16) for each in await read_events(link, count=5)] == [25, 26, 27, 28, 29]
    assert [int(each.id, 16) for each in await read_events(link, ["care"], count=2)] == [25, 28]


async def test_events_since_a_moment_leave_out_what_is_older(link: Link) -> None:
    old = datetime.now(UTC) - timedelta(hours=2)  # noqa: TID251 -- entry ids are the server's wall clock
    packed = pack_event(event(1), "hub/p1").replace(b"$1\r\n*\r\n", b"$13\r\n%d\r\n" % (old.timestamp() * 1000))
    await link.exchange([packed], 1)
    await add(link, event(2), event(3))
    found = await read_events(link, since=old + timedelta(hours=1), count=1)
    assert [int(each.id, 16) for each in found] == [2]
    assert len(await read_events(link, since=old)) == 3


async def test_following_yields_what_is_written_from_now_on(valkey: ValkeyServer, link: Link) -> None:
    await add(link, event(1))
    seen: list[int] = []

    async def follow() -> None:
        async with valkey.link() as own:
            async for each in follow_events(own, ["fire", "care"]):
                seen.append(int(each.id, 16))  # noqa: PERF401 -- seen while it goes on

    async with asyncio.TaskGroup() as tasks:
        following = tasks.create_task(follow())
        await wait_until(lambda: blocked_clients(link))
        await add(link, event(2), event(3, "care.fall"), event(4, "access.denied"))
        await wait_until(lambda: len(seen) == 2)
        await add(link, event(5))
        await wait_until(lambda: len(seen) == 3)
        following.cancel()
        await asyncio.wait([following])
    assert seen == [2, 3, 5]


async def blocked_clients(link: Link) -> bool:
    answer = await link.ask("INFO", "clients")
    assert isinstance(answer, bytes)
    return b"blocked_clients:1" in answer


async def test_alarms_of_all_or_some_sites_come_oldest_first(link: Link) -> None:
    first, second, third = (alarm(site=site, since=NOON + n) for n, site in enumerate(("south", "north", "south")))
    third = alarm("other-rule", site="south", since=NOON + 2)
    for site, alarms in (("south", [third, first]), ("north", [second])):
        await link.exchange(pack_site_alarms(site, alarms), 2)
    assert await read_alarms(link) == [first, second, third]
    assert await read_alarms(link, ["south", "west"]) == [first, third]


def test_keys_are_what_consumers_were_told() -> None:
    assert events_key("fire.confirmed") == "hub:events:fire"
    assert alarms_key("north") == "hub:alarms:north"


async def test_a_server_as_the_hub_wants_it_passes_the_check(link: Link) -> None:
    await check_server(link)  # raises what is wrong


async def test_a_server_whose_paths_are_no_utf8_passes_the_check_too(tmp_path: Path) -> None:
    server = ValkeyElsewhere(tmp_path / "valkey")
    server.start()
    try:
        async with server.link() as link:
            await check_server(link)
    finally:
        server.kill()


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [("maxmemory-policy", "allkeys-lru", "redis_evicts"), ("appendonly", "no", "redis_not_append_only")],
)
async def test_a_server_that_may_forget_is_refused_with_a_hint(link: Link, name: str, value: str, code: str) -> None:
    await link.ask("CONFIG", "SET", name, value)
    with pytest.raises(ConfigError) as refused:
        await check_server(link)
    assert refused.value.code == code
    assert refused.value.hint


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "valkey", "redis://:hush/hush@127.0.0.1:6379/0"])
def test_an_address_that_is_none_is_refused_and_not_told(url: str) -> None:
    with pytest.raises(ConfigError, match="redis_url_invalid") as refused:
        RedisAddress(url=url).connection()
    assert "hush" not in str(refused.value)
    assert refused.value.__suppress_context__
