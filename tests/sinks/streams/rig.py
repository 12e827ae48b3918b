"""What the tests of this folder share: nouns, an outbox in memory, and the parts of a sink put together."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, MutableMapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

from hub.clock import Clock, SystemClock
from hub.model.effects import AlarmChange, AlarmState, DeadLetter, Event, Reply, StreamWork, Transition, Twin
from hub.model.values import Severity
from hub.sinks.backlog import OwedBehind
from hub.sinks.fence import Fence
from hub.sinks.ownership import Claim, Ownership
from hub.sinks.redis_link import ANSWER_SECONDS, Link, RedisAddress, pairs, rows
from hub.sinks.stream_readers import read_events
from hub.sinks.stream_sink import StreamSink
from hub.sinks.streams import Cursor, cursor_key, decode_cursor
from hub.sinks.twins import TwinChanges
from tests.waiting import PATIENCE_SECONDS

PARTITION = "p1"
JOURNAL = "7b0c9c1e-9a52-4c0e-8a51-5d2f6f7f2b11"
NOON = 1_772_366_400_123_456_789


def event(number: int, name: str = "fire.confirmed", **changes: object) -> Event:
    """Return an event with every field filled; ``number`` is its id and its record."""
    facts: dict[str, object] = {
        "id": f"{number:032x}",
        "name": name,
        "severity": Severity.CRITICAL,
        "transition": Transition.RAISED,
        "time": NOON + number,
        "key": "north/b3-f2",
        "rule": "fire-confirmed",
        "rule_version": "a1b2c3",
        "site": "north",
        "building": "b3",
        "device": "smoke-17",
        "part": "zone-2",
        "late": False,
        "label": {"en": "Fire confirmed", "zh": "火警确认"},
        "data": {"alarming": 2, "temperature": 61.5, "panel": True, "zone": "b3-f2"},
        "causes": [(number, 0)],
    }
    return Event(**(facts | changes))  # type: ignore[arg-type]  # a bag on purpose: tests change any one field


def alarm(rule: str = "fire-confirmed", key: str = "north/b3-f2", site: str = "north", since: int = NOON) -> AlarmState:
    return AlarmState(
        id="0" * 32,
        name="fire.confirmed",
        severity=Severity.CRITICAL,
        key=key,
        rule=rule,
        site=site,
        building="b3",
        device="smoke-17",
        part="",
        since=since,
        late=False,
    )


def dead_letter(number: int) -> DeadLetter:
    return DeadLetter(
        number=number,
        position=1,
        index=0,
        received_at=NOON,
        topic="hub/north/smoke-17/telemetry",
        payload=b"\x00 the bytes",
        payload_bytes=11,
        site="north",
        device="smoke-17",
        code="bad_checksum",
        detail="",
    )


def work(
    events: Sequence[Event] = (),
    alarms: Sequence[AlarmChange] = (),
    replies: Sequence[Reply] = (),
    dead_letters: Sequence[DeadLetter] = (),
) -> StreamWork:
    return StreamWork(list(events), list(alarms), list(replies), list(dead_letters))


class MemoryOutbox:
    """An :class:`hub.model.effects.Owed` that outlives the sinks of a test, as the one on disk outlives processes."""

    def __init__(self) -> None:
        self.owed: list[tuple[int, StreamWork]] = []
        self.tally: Counter[str] = Counter()
        self._filled = asyncio.Event()
        self._confirmed = asyncio.Event()

    def put(self, position: int, *works: StreamWork) -> None:
        self.owed += [(position + index, each) for index, each in enumerate(works)]
        self._filled.set()

    async def take(self, *, items: int, linger: timedelta) -> list[tuple[int, StreamWork]]:
        del linger
        while not self.owed:
            self._filled.clear()
            await self._filled.wait()
        return self.owed[:items]

    async def more(self, *, after: int, items: int) -> list[tuple[int, StreamWork]]:
        return [pair for pair in self.owed if pair[0] > after][:items]

    async def arrival(self, *, after: int) -> None:
        while not self.owed or self.owed[-1][0] <= after:
            self._filled.clear()
            await self._filled.wait()

    async def confirm(self, position: int, tally: Mapping[str, int]) -> None:
        self.owed = [pair for pair in self.owed if pair[0] > position]
        self.tally.update(tally)
        self._confirmed.set()

    async def shrunk(self) -> None:
        """Wait for the next confirmation."""
        self._confirmed.clear()
        await asyncio.wait_for(self._confirmed.wait(), PATIENCE_SECONDS)


class Rig:
    """One process's share of the north side: its ownership, fence and sink, on connections of their own."""

    def __init__(
        self,
        address: RedisAddress,
        outbox: OwedBehind,
        *,
        clock: Clock | None = None,
        answer_seconds: float = ANSWER_SECONDS,
        claim: Claim | None = None,
        alarms: Mapping[str, Sequence[AlarmState]] | None = None,
        confirmed: int = 0,
        link: Link | None = None,
    ) -> None:
        clock = clock or SystemClock()
        self.tails: list[tuple[int, int]] = []
        self.alarms: MutableMapping[str, Sequence[AlarmState]] = dict(alarms or {})
        own = Link(address, answer_seconds=answer_seconds)
        link = link or Link(address, answer_seconds=answer_seconds)
        self._links = own, link
        self.ownership = Ownership(own, clock, claim or claim_of())
        self.fence = Fence(
            link,
            self.ownership,
            confirmed=confirmed,
            on_tail_lost=lambda expected, found: self.tails.append((expected, found)),
        )
        self.sink = StreamSink(outbox, self.fence, clock, partition=PARTITION, alarms=lambda: self.alarms)

    def waits(self, seconds: float = ANSWER_SECONDS) -> None:
        """Wait so long for every answer that is asked for from now on."""
        for link in self._links:
            link._answer_seconds = seconds  # noqa: SLF001 -- a hub is told once

    async def close(self) -> None:
        await self.sink.close()
        await self.ownership.close()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the sink until the block ends; an error of the sink ends the block."""
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(self.sink.run())
            try:
                yield
            finally:
                task.cancel()
                await asyncio.wait([task])
                await self.close()


def claim_of(journal: str = JOURNAL, host: str = "host-a", epoch_hint: int = 0, journal_end: int = 1_000_000) -> Claim:
    return Claim(partition=PARTITION, journal=journal, host=host, epoch_hint=epoch_hint, journal_end=journal_end)


async def numbers(link: Link) -> list[int]:
    """Return the ids of all events, in the order of their entries."""
    return [int(each.id, 16) for each in await read_events(link, count=1_000_000)]


async def cursor(link: Link) -> Cursor:
    return decode_cursor(pairs(await link.ask("HGETALL", cursor_key(PARTITION))))


async def whole_database(link: Link) -> dict[bytes, bytes]:
    """Return every key with its serialized value; from now on none goes by itself, as a heartbeat does after 5 s."""
    keys = [key for key in rows(await link.ask("KEYS", "*")) if isinstance(key, bytes)]
    for key in keys:
        await link.ask("PERSIST", key)
    found = {key: await link.ask("DUMP", key) for key in keys}
    return {key: value for key, value in found.items() if isinstance(value, bytes)}


async def has(link: Link, stream: str, entries: int) -> bool:
    """Return whether there is such a stream with so many entries."""
    return await link.ask("TYPE", stream) == b"stream" and await link.ask("XLEN", stream) == entries


async def is_there(link: Link, key: str) -> bool:
    """Return whether there is such a key."""
    return bool(await link.ask("EXISTS", key))


class MemoryTwins:
    """A :class:`hub.sinks.twins.Twins` that a test changes row by row."""

    def __init__(self, *rows: Twin, sites: Sequence[str] = ("north", "south")) -> None:
        self.rows = {(row.site, row.name): row for row in rows}
        self.of_partition = sites
        self.changed: dict[tuple[str, str], Twin] = {}
        self._removed: list[tuple[str, str]] = []

    def put(self, row: Twin) -> None:
        self.rows[row.site, row.name] = self.changed[row.site, row.name] = row

    def remove(self, row: Twin) -> None:
        del self.rows[row.site, row.name]
        self._removed.append((row.site, row.name))

    def take_changes(self, most: int = sys.maxsize) -> TwinChanges:
        taken, removed = [*self.changed][:most], self._removed
        self.changed, self._removed = dict([*self.changed.items()][most:]), []
        return TwinChanges(changed=self._as_they_are(taken), removed=removed)

    def _as_they_are(self, names: Sequence[tuple[str, str]]) -> Iterator[Twin]:
        for name in names:
            if name in self.rows:
                yield self.rows[name]

    def sites(self) -> Sequence[str]:
        return self.of_partition

    def of_site(self, site: str) -> Sequence[Twin]:
        return [row for row in self.rows.values() if row.site == site]
