"""Reading what the hub wrote to Redis: events, alarms and twins, for people and tests.

What no hub wrote is passed over and logged: it must not hide what hubs did.
"""

from __future__ import annotations

import heapq
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import TypeVar, cast

import structlog

from hub.errors import PoisonError
from hub.model.effects import AlarmState, Event, Twin
from hub.sinks.redis_link import Answer, Link, pairs, rows
from hub.sinks.streams import (
    EVENTS,
    alarms_key,
    decode_alarm,
    decode_event,
    decode_twin,
    domain_key,
    twin_key,
)

SCAN_STEP = 1000
FOLLOW_COUNT = 500
PAGE_MOST = 2_000
"""Redis stands still for some us an entry of a page, and hubs with it: 4 to 10 ms, however many are asked for."""
BLOCK_SECONDS = 2.0

N = TypeVar("N")
T = TypeVar("T")

log = structlog.get_logger(__name__)

_Entry = tuple[int, Event]
"""The milliseconds of an entry's id, and what it says."""


def _any(_event: Event) -> bool:
    return True


async def read_events(
    link: Link,
    domains: Sequence[str] | None = None,
    *,
    since: datetime | None = None,
    count: int = 100,
    wanted: Callable[[Event], bool] = _any,
) -> list[Event]:
    """Return the ``wanted`` events of ``domains`` (None: all) in the order in which they were written.

    With ``since`` the first ``count`` that were written from then on, else the last ``count``.
    """
    return [event for _, event in await read_entries(link, domains, since=since, count=count, wanted=wanted)]


async def read_entries(
    link: Link,
    domains: Sequence[str] | None = None,
    *,
    since: datetime | None = None,
    count: int = 100,
    wanted: Callable[[Event], bool] = _any,
) -> list[tuple[int, Event]]:
    """Return the same events, each with the millisecond at which it was written."""
    streams: list[list[_Entry]] = []
    for key in await _event_keys(link, domains):
        if since is None:
            found = [each async for each in _pages(link, key, None, count, wanted)][::-1]
        else:
            found = [each async for each in _pages(link, key, int(since.timestamp() * 1000), count, wanted)]
        streams.append(found)
    # Within a stream the entries' order holds; between streams ids only say the millisecond.
    entries = list(heapq.merge(*streams, key=lambda entry: (entry[0], entry[1].time)))
    return entries[-count:] if since is None else entries[:count]


async def _pages(
    link: Link, key: str, since: int | None, count: int, wanted: Callable[[Event], bool]
) -> AsyncIterator[_Entry]:
    """Yield up to ``count`` wanted entries of a stream: from ``since`` (ms) on, or for None backwards from the end."""
    verb, start, end = ("XREVRANGE", "+", "-") if since is None else ("XRANGE", str(since), "+")
    found, most = 0, min(max(count, FOLLOW_COUNT), PAGE_MOST)
    while True:
        page = rows(await link.ask(verb, key, start, end, "COUNT", most))
        for row in page:
            entry = _readable(_entry, row, key)
            if entry is not None and wanted(entry[1]):
                yield entry
                found += 1
            if found == count:
                return
        if len(page) < most:
            return
        start = f"({cast('bytes', rows(page[-1])[0]).decode()}"


async def trimmed_until(link: Link, domains: Sequence[str] | None = None) -> int:
    """Return the wall-clock ns before which streams of ``domains`` (None: all) have been trimmed; 0: never."""
    latest = 0
    for key in await _event_keys(link, domains):
        if not await link.ask("EXISTS", key):
            continue
        facts = pairs(await link.ask("XINFO", "STREAM", key))
        first = await link.ask("XRANGE", key, "-", "+", "COUNT", 1)
        if int(facts.get(b"entries-added", facts[b"length"])) > int(facts[b"length"]):
            oldest = cast("bytes", rows(rows(first)[0])[0] if rows(first) else facts[b"last-generated-id"])
            latest = max(latest, int(oldest.partition(b"-")[0]) * 1_000_000)
    return latest


async def oldest_entry(link: Link) -> int | None:
    """Return the wall-clock ns of the oldest entry of all event streams; None where there is none.

    What is older may have been in a Redis that was emptied, or in another: a stream that is new cannot tell.
    """
    firsts = [rows(await link.ask("XRANGE", key, "-", "+", "COUNT", 1)) for key in await _event_keys(link, None)]
    return min((_written_at(first[0]) * 1_000_000 for first in firsts if first), default=None)


async def follow_events(link: Link, domains: Sequence[str]) -> AsyncIterator[Event]:
    """Yield the events that are written from now on, for ever; UnavailableError when Redis goes."""
    positions = {}
    for key in map(domain_key, domains):
        newest = rows(await link.ask("XREVRANGE", key, "+", "-", "COUNT", 1))
        positions[key] = cast("bytes", rows(newest[0])[0]).decode() if newest else "0-0"
    options = ("COUNT", FOLLOW_COUNT, "BLOCK", int(BLOCK_SECONDS * 1000))
    while True:
        answer = await link.ask("XREAD", *options, "STREAMS", *positions, *positions.values(), patience=BLOCK_SECONDS)
        for stream in rows(answer):
            name, entries = rows(stream)
            for row in rows(entries):
                key = cast("bytes", name).decode()
                positions[key] = cast("bytes", rows(row)[0]).decode()
                entry = _readable(_entry, row, key)
                if entry is not None:
                    yield entry[1]


async def read_alarms(link: Link, sites: Sequence[str] | None = None) -> list[AlarmState]:
    """Return the active alarms of ``sites`` (None: all), oldest first."""
    keys = await _keys(link, alarms_key("*"), "hash") if sites is None else [alarms_key(site) for site in sites]
    alarms = [alarm for key in keys for alarm in await _rows_of(link, key, decode_alarm)]
    return sorted(alarms, key=lambda alarm: (alarm.since, alarm.id))


async def read_twins(link: Link, site: str) -> list[Twin]:
    """Return the twins of a site by name."""
    return sorted(await _rows_of(link, twin_key(site), decode_twin), key=lambda twin: twin.name)


async def _rows_of(link: Link, key: str, decode: Callable[[bytes], N]) -> list[N]:
    found = [_readable(decode, value, key) for value in pairs(await link.ask("HGETALL", key)).values()]
    return [each for each in found if each is not None]


async def _event_keys(link: Link, domains: Sequence[str] | None) -> list[str]:
    return await _keys(link, EVENTS + "*", "stream") if domains is None else [domain_key(domain) for domain in domains]


async def _keys(link: Link, pattern: str, sort: str) -> list[str]:
    """Return the keys that hold what hubs keep there; others are passed over."""
    found: set[str] = set()
    position = b"0"
    while True:
        answer = rows(await link.ask("SCAN", position, "MATCH", pattern, "TYPE", sort, "COUNT", SCAN_STEP))
        position = cast("bytes", answer[0])
        found.update(cast("bytes", key).decode(errors="backslashreplace") for key in rows(answer[1]))
        if position == b"0":
            return sorted(found)


def _readable(read: Callable[[T], N], what: T, key: str) -> N | None:
    """Return what is read of ``what``, which stands under ``key``; None for what no hub wrote."""
    try:
        return read(what)
    except PoisonError as error:
        log.warning("entry_unreadable", key=key, reason=str(error))
        return None


def _entry(row: Answer) -> _Entry:
    return _written_at(row), decode_event(pairs(rows(row)[1]))


def _written_at(row: Answer) -> int:
    return int(cast("bytes", rows(row)[0]).partition(b"-")[0])
