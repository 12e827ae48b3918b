"""Delivers what records want written to Redis: in record order, each record once, together with the cursor."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol, TypeVar

import structlog

from hub.clock import Clock, stroke
from hub.errors import UnavailableError
from hub.model.effects import AlarmState, Owed, StreamWork
from hub.sinks.fence import Fence, Telling
from hub.sinks.redis_link import key_of
from hub.sinks.streams import (
    DEAD_LETTERS,
    UNWRITABLE,
    alarms_key,
    events_key,
    pack_alarm_change,
    pack_dead_letter,
    pack_event,
    pack_reply,
    pack_site_alarms,
    reply_key,
    source_of,
)

RECORDS_PER_TAKE = 500
HELD_BACK = 10_000
"""So many items are taken together while a key refuses some of them: what comes behind waits with them."""
COMMANDS_PER_TRANSACTION = 500
BYTES_PER_TRANSACTION = 1 << 20
# What arrives while one transaction is under way is the next batch; waiting for more would only add latency.
LINGER = timedelta(0)
REST_NS = 5_000_000
"""Between two transactions: a flood's events share them, and the first of a quiet moment goes at once."""
LOOK_EVERY_SECONDS = 1.0
BACKOFF_SECONDS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.0)

N = TypeVar("N")

log = structlog.get_logger(__name__)

AlarmSnapshot = Callable[[], Mapping[str, Sequence[AlarmState]]]
"""The active alarms of *every* site of the partition (an empty list clears the site's hash).

Called on the loop right before it is written. It shows at least every record whose work the sink was ever given, so
that the changes still owed lead to the same state again.
"""


class OwedBehind(Owed[StreamWork], Protocol):
    """What is owed, also that behind what was taken and cannot be confirmed yet."""

    async def more(self, *, after: int, items: int) -> list[tuple[int, StreamWork]]:
        """Return what lies behind record ``after`` by now, ``items`` of it and of what is before it at most."""
        ...


@dataclass(slots=True)
class _Parcel:
    """One record's commands, and the keys that they write to."""

    position: int
    packed: list[bytes]
    packed_bytes: int = 0
    keys: set[str] = field(default_factory=set)


class StreamSink:
    """The sink of ``hub:events:*``, ``hub:alarms:*``, ``hub:reply:*`` and ``hub:dead-letters``.

    ``run`` delivers; ``keep_up`` notices once a second that Redis is gone or back, and shows all alarms on each new
    connection. For readyz: ``connected``, ``behind_since`` (monotonic ns of the first failure since the last delivery,
    None while nothing is held up) and ``last_error``. Counts: ``delivered`` by sort, ``rejected`` (what cannot be
    written down at all and would block what follows), ``transactions``, ``retries``.

    What a key refuses waits for that key alone: the cursor goes on with what others get, and nothing is confirmed
    before it is told, so that the outbox keeps it, and the order of each key is that of the records. That holds for
    ``HELD_BACK`` items, and as many as the outbox brings from disk at once. A whole transaction that is refused (for
    want of memory), and alarms that cannot be shown whole, hold up everything.
    """

    def __init__(self, owed: OwedBehind, fence: Fence, clock: Clock, *, partition: str, alarms: AlarmSnapshot) -> None:
        self.behind_since: int | None = None
        self.last_error = ""
        self.delivered = dict.fromkeys(("events", "alarms", "replies", "dead_letters"), 0)
        self.rejected = 0
        self.transactions = 0
        self.retries = 0
        self._owed = owed
        self._fence = fence
        self._clock = clock
        self._source = source_of(partition)
        self._alarms = alarms
        self._rests_until = 0
        self._lock = asyncio.Lock()
        self._shown = 0
        self._is_refused = False

    @property
    def connected(self) -> bool:
        """Whether Redis answered the last question."""
        return self._fence.is_open

    async def run(self) -> None:
        """Deliver until cancelled; OwnershipLostError or a ConfigError of a late claim ends it."""
        while True:
            await self.deliver_next()

    async def deliver_next(self) -> None:
        """Take what is owed, deliver it however long that takes, confirm it."""
        batch = await self._take()
        rest = self._rests_until - self._clock.monotonic_ns()
        if rest > 0:  # nobody is woken by the end of a rest in which nothing came
            await self._clock.sleep(rest / 1e9)
            batch = await self._take()
        tally = dict.fromkeys((*self.delivered, "rejected"), 0)
        last = await self._deliver(deque(self._parcel(position, work, tally) for position, work in batch), tally)
        await self._owed.confirm(last, tally)
        self._rests_until = self._clock.monotonic_ns() + REST_NS
        self._count(tally)

    async def keep_up(self) -> None:
        """Look every second whether Redis is there and ours, until cancelled; ends like ``run``."""
        while True:
            try:
                async with self._lock:
                    await self._catch_up()
                    await self._fence.refresh()
            except UnavailableError as error:
                log.debug("redis_missed", reason=str(error))
                if error.code == "redis_refused":  # whether or not anything is owed
                    self._is_refused = True
                    self._fall_behind(error)
            else:
                if self._is_refused:
                    self._is_refused = False
                    self._resume()
            await stroke(self._clock, LOOK_EVERY_SECONDS)

    async def close(self) -> None:
        """Close the connection; for after ``run`` and ``keep_up`` have ended."""
        await self._fence.close()

    async def _take(self) -> list[tuple[int, StreamWork]]:
        """Return what is owed; what lies on a disk that cannot be read now waits for it."""
        while True:
            try:
                return await self._owed.take(items=RECORDS_PER_TAKE, linger=LINGER)
            except UnavailableError as error:
                self._fall_behind(error)
                await self._clock.sleep(BACKOFF_SECONDS[-1])

    async def _deliver(self, parcels: deque[_Parcel], tally: dict[str, int]) -> int:
        """Return when the cursor covers every parcel and no key lacks any of it; the last record of them all."""
        failures, last = 0, parcels[-1].position
        while parcels:
            try:
                async with self._lock:
                    await self._send(parcels)
                failures = 0
            except UnavailableError as error:
                self._fall_behind(error)
                await self._clock.sleep(BACKOFF_SECONDS[min(failures, len(BACKOFF_SECONDS) - 1)])
                failures += 1
                if error.code == "key_refuses":
                    last = await self._take_more(parcels, last, tally)
        self._resume()
        return last

    async def _take_more(self, parcels: deque[_Parcel], last: int, tally: dict[str, int]) -> int:
        """Add what came behind record ``last``, for keys that refuse nothing; return the last record now."""
        try:
            batch = await self._owed.more(after=last, items=HELD_BACK)
        except UnavailableError:  # a disk that cannot be read now; the next failure asks again
            return last
        parcels.extend(self._parcel(position, work, tally) for position, work in batch)
        return batch[-1][0] if batch else last

    async def _send(self, parcels: deque[_Parcel]) -> None:
        """Drop the parcels that have been told and send the next ones, in one transaction."""
        delivered = await self._catch_up()
        untold = {key: int(above) for key, above in self._fence.untold.items()}
        told = min([delivered, *untold.values()])
        while parcels and parcels[0].position <= told:
            parcels.popleft()
        if not parcels:
            return
        load = _load(parcels if not untold else [parcel for parcel in parcels if parcel.position > delivered])
        if not load:
            await self._tell(parcels, untold, delivered)
            return
        packed = [command for parcel in load for command in parcel.packed]
        above = b"%d" % delivered
        notes = {key: above for parcel in load for key in parcel.keys}
        if untold:
            packed = [command for command in packed if key_of(command).decode() not in untold]
            notes = {key: note for key, note in notes.items() if key not in untold}
        if await self._fence.commit(packed, load[-1].position, notes):
            self.transactions += 1

    async def _tell(self, parcels: deque[_Parcel], untold: Mapping[str, int], delivered: int) -> None:
        """Send what keys have refused, each above its record, of what the cursor covers.

        The outbox owes those records still; but after a kill it may give them in other portions.
        """
        covered = [parcel for parcel in parcels if parcel.position <= delivered]
        is_all = parcels[-1].position >= delivered
        refusing = self._fence.refusing
        await self._fence.tell(
            {
                key: _telling(covered, key, above, is_all=is_all, most=1 if key in refusing else RECORDS_PER_TAKE)
                for key, above in untold.items()
            }
        )

    async def _catch_up(self) -> int:
        """Return the cursor, after showing all alarms if the connection is a new one."""
        delivered = await self._fence.position()
        while self._shown != self._fence.generation:
            packed = [part for site, alarms in self._alarms().items() for part in pack_site_alarms(site, alarms)]
            # A transaction like any other: a late copy of it cannot overwrite the changes that come after it.
            if await self._fence.commit(packed, delivered):
                self._shown = self._fence.generation
            delivered = await self._fence.position()
        return delivered

    def _parcel(self, position: int, work: StreamWork, tally: dict[str, int]) -> _Parcel:
        parcel = _Parcel(position, [])
        # Most records have one sort of work; asking first saves 2 us for each of the others.
        if work.events:
            parcel.keys.update(events_key(event.name) for event in work.events)
            source = self._source
            _fill(parcel, "events", work.events, lambda event: pack_event(event, source), tally)
        if work.alarms:
            parcel.keys.update(alarms_key(change.site) for change in work.alarms)
            _fill(parcel, "alarms", work.alarms, pack_alarm_change, tally)
        if work.dead_letters:
            parcel.keys.add(DEAD_LETTERS)
            _fill(parcel, "dead_letters", work.dead_letters, pack_dead_letter, tally)
        if work.replies:
            parcel.keys.update(reply_key(reply.id) for reply in work.replies)
            _fill(parcel, "replies", work.replies, pack_reply, tally)
        return parcel

    def _fall_behind(self, error: UnavailableError) -> None:
        self.retries += 1
        self.last_error = str(error)
        if self.behind_since is None:
            self.behind_since = self._clock.monotonic_ns()
            log.warning("stream_delivery_held_up", reason=str(error))

    def _resume(self) -> None:
        if self.behind_since is not None:
            self.behind_since = None
            log.info("stream_delivery_resumed")

    def _count(self, tally: dict[str, int]) -> None:
        self.rejected += tally["rejected"]
        for sort in self.delivered:
            self.delivered[sort] += tally[sort]


def _fill(
    parcel: _Parcel, sort: str, nouns: Sequence[N], pack_one: Callable[[N], bytes], tally: dict[str, int]
) -> None:
    for noun in nouns:
        try:
            command = pack_one(noun)
        except UNWRITABLE as error:
            tally["rejected"] += 1
            log.error("stream_entry_rejected", sort=sort, record=parcel.position, reason=str(error))  # noqa: TRY400 -- its traceback says nothing more
        else:
            tally[sort] += 1
            parcel.packed.append(command)
            parcel.packed_bytes += len(command)


def _telling(covered: Sequence[_Parcel], key: str, above: int, *, is_all: bool, most: int) -> Telling:
    """Return what ``most`` records above one have for a key; ``is_all``: there are no others that the cursor covers."""
    owed = [parcel for parcel in covered if parcel.position > above and key in parcel.keys]
    some = owed[:most]
    commands = [
        (b"%d" % (parcel.position - 1), command)
        for parcel in some
        for command in parcel.packed
        if key_of(command).decode() == key
    ]
    if len(some) < len(owed):
        return Telling(commands, b"%d" % some[-1].position)
    end = max([above, *(parcel.position for parcel in covered[-1:])])
    return Telling(commands, b"" if is_all else b"%d" % end)


def _load(parcels: Iterable[_Parcel]) -> list[_Parcel]:
    """Return the first parcels that fit one transaction; a bigger single record goes whole."""
    load: list[_Parcel] = []
    commands = packed_bytes = 0
    for parcel in parcels:
        commands += len(parcel.packed)
        packed_bytes += parcel.packed_bytes
        if load and (commands > COMMANDS_PER_TRANSACTION or packed_bytes > BYTES_PER_TRANSACTION):
            break
        load.append(parcel)
    return load
