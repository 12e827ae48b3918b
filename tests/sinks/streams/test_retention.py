"""Streams kept by age and by what groups owe, against a real Valkey."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from typing_extensions import override

from hub.sinks.redis_link import Answer, Argument, Link, rows
from hub.sinks.retention import Gone, Keep, Lagging, Retention
from tests.clocks import ManualClock
from tests.servers.valkey import ValkeyServer

STREAM = "hub:events:fire"
GROUP = "dashboard"
HOUR_MS = 3_600_000
NODE = 100  # entries of one node of a stream: "~" removes whole nodes only


@pytest.fixture
async def link(valkey: ValkeyServer) -> AsyncIterator[Link]:
    async with valkey.link() as link:
        await link.ask("CONFIG", "SET", "stream-node-max-entries", NODE)
        yield link


async def now_ms(link: Link) -> int:
    seconds = rows(await link.ask("TIME"))[0]
    assert isinstance(seconds, bytes)
    return int(seconds) * 1000


async def fill(link: Link, *, hours_old: float, entries: int) -> str:
    """Add entries of that age; return the id of the first."""
    milliseconds = await now_ms(link) - int(hours_old * HOUR_MS)
    for number in range(entries):
        await link.ask("XADD", STREAM, f"{milliseconds}-{number + 1}", "n", number)
    return f"{milliseconds}-1"


async def trimmed(valkey: ValkeyServer, keep: Keep, times: int = 1) -> tuple[Retention, list[Lagging | Gone]]:
    told: list[Lagging | Gone] = []
    retention = Retention(
        valkey.link(), ManualClock(time.time_ns()), [STREAM, "hub:events:none"], keep=keep, tell=told.append
    )
    for _ in range(times):
        await retention.trim()
    await retention.close()
    return retention, told


async def test_entries_go_when_they_are_old(valkey: ValkeyServer, link: Link) -> None:
    await fill(link, hours_old=24 * 8, entries=2 * NODE)
    await fill(link, hours_old=24 * 6, entries=NODE)
    retention, told = await trimmed(valkey, Keep())
    assert (await link.ask("XLEN", STREAM), retention.trimmed, told) == (NODE, 2 * NODE, [])


async def test_what_came_by_a_clock_that_was_years_ahead_goes_when_it_is_old_too(
    valkey: ValkeyServer, link: Link
) -> None:
    keep = Keep(age=timedelta(hours=1), owe_for=timedelta(hours=1))
    retention = Retention(valkey.link(), ManualClock(time.time_ns()), [STREAM], keep=keep, tell=lambda _: None)
    await fill(link, hours_old=-24 * 365 * 70, entries=2 * NODE)
    await retention.trim()
    for _ in range(NODE):
        await link.ask("XADD", STREAM, "*", "n", "later")
    object.__setattr__(keep, "age", timedelta())  # as if an hour had passed
    await retention.trim()
    await retention.close()
    assert (await link.ask("XLEN", STREAM), retention.trimmed) == (2 * NODE, NODE)


class Ahead(Link):
    """A connection to a server whose clock is so many seconds ahead."""

    seconds = 0

    @override
    async def ask(self, *arguments: Argument, patience: float = 0) -> Answer:
        answer = await super().ask(*arguments, patience=patience)
        if arguments != ("TIME",):
            return answer
        seconds, *rest = rows(answer)
        assert isinstance(seconds, bytes)
        return [b"%d" % (int(seconds) + self.seconds), *rest]


async def test_a_clock_of_the_server_that_jumps_ahead_makes_nothing_old_at_once(
    valkey: ValkeyServer, link: Link
) -> None:
    clock, ahead = ManualClock(time.time_ns()), Ahead(valkey.address)
    retention = Retention(ahead, clock, [STREAM], keep=Keep(), tell=lambda _: None)
    await fill(link, hours_old=24 * 6.5, entries=NODE)
    await fill(link, hours_old=0, entries=NODE)
    lengths = []
    for days_ahead, days in ((0, 0), (30, 0), (30, 1), (30, 5), (30, 2)):
        ahead.seconds = days_ahead * 86_400
        clock.advance(days * 86_400)
        await retention.trim()
        lengths.append(await link.ask("XLEN", STREAM))
    await retention.close()
    assert lengths == [2 * NODE, 2 * NODE, NODE, NODE, 0]  # each when its seven days are over by our clock


async def test_a_clock_of_the_server_that_is_ahead_of_ours_when_we_begin_makes_nothing_old(
    valkey: ValkeyServer, link: Link
) -> None:
    ahead = Ahead(valkey.address)
    ahead.seconds = 30 * 86_400
    retention = Retention(ahead, ManualClock(time.time_ns()), [STREAM], keep=Keep(), tell=lambda _: None)
    await fill(link, hours_old=24, entries=NODE)
    await retention.trim()
    await retention.close()
    assert await link.ask("XLEN", STREAM) == NODE


async def test_what_a_group_has_not_read_stays_until_it_may_no_longer_be_owed(valkey: ValkeyServer, link: Link) -> None:
    keep = Keep(age=timedelta(hours=1), owe_for=timedelta(hours=72))
    await fill(link, hours_old=10, entries=2 * NODE)
    await link.ask("XGROUP", "CREATE", STREAM, GROUP, "0")
    retention, told = await trimmed(valkey, keep)
    assert (retention.trimmed, told) == (0, [])
    await link.ask("XREADGROUP", "GROUP", GROUP, "me", "COUNT", NODE, "NOACK", "STREAMS", STREAM, ">")
    await trimmed(valkey, keep)
    assert await link.ask("XLEN", STREAM) == NODE


async def test_what_a_group_has_read_but_not_acknowledged_stays_too(valkey: ValkeyServer, link: Link) -> None:
    keep = Keep(age=timedelta(hours=1), owe_for=timedelta(hours=72))
    first = await fill(link, hours_old=10, entries=2 * NODE)
    await link.ask("XGROUP", "CREATE", STREAM, GROUP, "0")
    await link.ask("XREADGROUP", "GROUP", GROUP, "me", "STREAMS", STREAM, ">")
    retention, _ = await trimmed(valkey, keep)
    assert retention.trimmed == 0
    milliseconds = first.partition("-")[0]
    await link.ask("XACK", STREAM, GROUP, *[f"{milliseconds}-{number + 1}" for number in range(2 * NODE)])
    retention, told = await trimmed(valkey, keep)
    assert (retention.trimmed, told) == (2 * NODE, [])


async def test_a_group_that_owes_too_long_is_told_and_trimming_goes_on(valkey: ValkeyServer, link: Link) -> None:
    first = await fill(link, hours_old=100, entries=2 * NODE)
    kept_from = await fill(link, hours_old=50, entries=NODE)
    await link.ask("XGROUP", "CREATE", STREAM, GROUP, "0")
    retention, told = await trimmed(valkey, Keep(age=timedelta(hours=1), owe_for=timedelta(hours=72)), times=2)
    assert (await link.ask("XLEN", STREAM), retention.trimmed, retention.lagged) == (NODE, 2 * NODE, 1)
    assert told == [Lagging(stream=STREAM, group=GROUP, owed=first, kept_from=kept_from)]
    assert retention.lagging == set()


async def test_a_group_that_read_everything_of_a_quiet_stream_does_not_lag(valkey: ValkeyServer, link: Link) -> None:
    await fill(link, hours_old=100, entries=3)
    await link.ask("XGROUP", "CREATE", STREAM, GROUP, "$")
    await fill(link, hours_old=1, entries=3)
    retention, told = await trimmed(valkey, Keep())
    assert (retention.lagging, told) == (set(), [])


async def test_a_lagging_group_is_told_once_while_nothing_is_taken_from_it(valkey: ValkeyServer, link: Link) -> None:
    first = await fill(link, hours_old=100, entries=3)
    await link.ask("XGROUP", "CREATE", STREAM, GROUP, "0")
    retention, told = await trimmed(valkey, Keep(), times=3)
    assert told == [Lagging(stream=STREAM, group=GROUP, owed=first, kept_from=first)]
    assert retention.lagging == {(STREAM, GROUP)}


async def test_a_group_that_nobody_reads_for_any_more_is_told_every_few_hours(valkey: ValkeyServer, link: Link) -> None:
    for hours in range(100, 50, -10):
        await fill(link, hours_old=hours, entries=NODE)
    await link.ask("XGROUP", "CREATE", STREAM, GROUP, "0")
    told: list[Lagging | Gone] = []
    keep, clock = Keep(age=timedelta(hours=1)), ManualClock(time.time_ns())
    retention = Retention(valkey.link(), clock, [STREAM], keep=keep, tell=told.append)
    counts = []
    for hours in range(95, 55, -10):
        object.__setattr__(keep, "owe_for", timedelta(hours=hours))  # as if so many hours had passed
        await retention.trim()
        counts.append(len(told))
        clock.advance(6 * 3_600 if hours == 75 else 60)
    await retention.close()
    assert (counts, retention.trimmed) == ([1, 1, 1, 2], 4 * NODE)


async def test_short_memory_halves_the_ages_minute_by_minute(valkey: ValkeyServer, link: Link) -> None:
    await fill(link, hours_old=5 * 24, entries=NODE)
    await fill(link, hours_old=2 * 24, entries=NODE)
    await fill(link, hours_old=1, entries=NODE)
    used = await link.ask("INFO", "memory")
    assert isinstance(used, bytes)
    used_bytes = int(used.partition(b"used_memory:")[2].split()[0])
    await link.ask("CONFIG", "SET", "maxmemory", used_bytes + used_bytes // 4)
    left = [NODE * 3]
    for minutes in (1, 2):
        await trimmed(valkey, Keep(), times=minutes)
        length = await link.ask("XLEN", STREAM)
        assert isinstance(length, int)
        left.append(length)
    assert left == [NODE * 3, NODE * 2, NODE]


async def test_a_key_of_somebody_else_in_the_place_of_a_stream_keeps_no_other_from_being_trimmed(
    valkey: ValkeyServer, link: Link
) -> None:
    await link.ask("SET", "hub:events:access", "a note")
    await fill(link, hours_old=24 * 8, entries=NODE)
    streams = ["hub:events:access", STREAM]
    retention = Retention(valkey.link(), ManualClock(time.time_ns()), streams, keep=Keep(), tell=lambda _: None)
    await retention.trim()
    await retention.close()
    assert (await link.ask("XLEN", STREAM), retention.trimmed) == (0, NODE)


async def test_a_group_that_a_server_forgot_is_told_and_one_that_somebody_ended_is_not(
    valkey: ValkeyServer, link: Link
) -> None:
    told: list[Lagging | Gone] = []
    retention = Retention(valkey.link(), ManualClock(time.time_ns()), [STREAM], keep=Keep(), tell=told.append)
    for group in (GROUP, "again", "ended"):
        await link.ask("XGROUP", "CREATE", STREAM, group, "0", "MKSTREAM")
    await retention.trim()
    await link.ask("XGROUP", "DESTROY", STREAM, "ended")
    await retention.trim()
    await retention.trim()
    assert told == []
    await link.ask("FLUSHALL")
    await retention.trim()  # before anybody has found out
    await link.ask("XGROUP", "CREATE", STREAM, "again", "0", "MKSTREAM")
    retention.lost()
    for _ in range(2):
        await retention.trim()
    await retention.close()
    assert (told, retention.gone) == ([Gone(stream=STREAM, group=GROUP)], 1)


async def test_a_group_whose_name_is_no_text_is_one_like_any_other(valkey: ValkeyServer, link: Link) -> None:
    keep = Keep(age=timedelta(hours=1), owe_for=timedelta(hours=72))
    await fill(link, hours_old=100, entries=2 * NODE)
    for name in (b"\xb1\xa8", b"\xb1\xa9"):  # "报" and another as GBK writes them
        await link.ask("XGROUP", "CREATE", STREAM, name, "0")
    retention, told = await trimmed(valkey, keep)
    assert retention.trimmed == 2 * NODE
    assert {each.group for each in told} == {"\\xb1\\xa8", "\\xb1\\xa9"}
