"""Delivers what records want written to Redis: in record order, each record once, together with the cursor."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

import structlog

from hub.clock import Clock, stroke
from hub.errors import UnavailableError
from hub.model import AlarmState, Owed, StreamWork
from hub.sinks.fence import Fence, Note, Telling
from hub.sinks.redis_link import key_of
from hub.sinks.streams import (
    DEAD_LETTERS,
    UNWRITABLE,
    alarms_key,
    events_key,
    kind_of,
    pack_alarm_change,
    pack_dead_letter,
    pack_event,
    pack_reply,
    pack_site_alarms,
    reply_key,
    source_of,
)

RECORDS_PER_TAKE = 500
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
    """

    def __init__(
        self, owed: Owed[StreamWork], fence: Fence, clock: Clock, *, partition: str, alarms: AlarmSnapshot
    ) -> None:
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
        self._keys: set[str] = set()
        self._checked_keys: set[str] = set()

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
        batch = await self._owed.take(items=RECORDS_PER_TAKE, linger=LINGER)
        rest = self._rests_until - self._clock.monotonic_ns()
        if rest > 0:  # nobody is woken by the end of a rest in which nothing came
            await self._clock.sleep(rest / 1e9)
            batch = await self._owed.take(items=RECORDS_PER_TAKE, linger=LINGER)
        tally = dict.fromkeys((*self.delivered, "rejected"), 0)
        await self._deliver(deque(self._parcel(position, work, tally) for position, work in batch))
        await self._owed.confirm(batch[-1][0], tally)
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

    async def _deliver(self, parcels: deque[_Parcel]) -> None:
        """Return when the cursor covers every parcel."""
        failures = 0
        while parcels:
            try:
                async with self._lock:
                    await self._send(parcels)
                failures = 0
            except UnavailableError as error:
                self._fall_behind(error)
                await self._clock.sleep(BACKOFF_SECONDS[min(failures, len(BACKOFF_SECONDS) - 1)])
                failures += 1
        self._resume()

    async def _send(self, parcels: deque[_Parcel]) -> None:
        """Drop the parcels that have been told and send the next ones, in one transaction."""
        delivered = await self._catch_up()
        untold = {key: int(above) for key, above in self._fence.untold.items()}
        told = min([delivered, *untold.values()])
        while parcels and parcels[0].position <= told:
            parcels.popleft()
        if not parcels:
            return
        if untold:
            await self._tell(parcels, untold, delivered)
            return
        load = _load(parcels)
        await self._check_types()
        packed = [command for parcel in load for command in parcel.packed]
        above = b"%d" % delivered
        notes = {key: Note(kind_of(key), above) for parcel in load for key in parcel.keys}
        if await self._fence.commit(packed, load[-1].position, notes):
            self.transactions += 1

    async def _tell(self, parcels: deque[_Parcel], untold: Mapping[str, int], delivered: int) -> None:
        """Send what keys have refused, each above its record, of what the cursor covers.

        The outbox owes those records still; but after a kill it may give them in other portions.
        """
        self._keys.update(untold)
        self._checked_keys.clear()
        await self._check_types()
        covered = [parcel for parcel in parcels if parcel.position <= delivered]
        told = parcels[-1].position
        await self._fence.tell(
            {
                key: Telling(
                    _commands(covered, key.encode(), above), b"%d" % max(told, above) if told < delivered else b""
                )
                for key, above in untold.items()
            }
        )

    async def _catch_up(self) -> int:
        """Return the cursor, after showing all alarms if the connection is a new one."""
        delivered = await self._fence.position()
        while self._shown != self._fence.generation:
            self._checked_keys.clear()
            packed = [part for site, alarms in self._alarms().items() for part in pack_site_alarms(site, alarms)]
            # A transaction like any other: a late copy of it cannot overwrite the changes that come after it.
            if await self._fence.commit(packed, delivered):
                self._shown = self._fence.generation
            delivered = await self._fence.position()
        return delivered

    async def _check_types(self) -> None:
        """UnavailableError ``key_foreign`` if a key is something else: EXEC would skip its commands and go on.

        Every key that this process has used, once on each connection.
        """
        if len(self._checked_keys) == len(self._keys):
            return
        keys = sorted(self._keys - self._checked_keys)
        for key, found in zip(keys, await self._fence.types(keys), strict=True):
            if found not in {kind_of(key), b"none"}:
                raise UnavailableError("key_foreign", "a key of ours holds something else", key=key, found=found)
        self._checked_keys.update(keys)

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
        self._keys |= parcel.keys
        if work.replies:  # whatever their keys hold gives way; and there are too many to remember
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


def _commands(parcels: Sequence[_Parcel], key: bytes, above: int) -> list[tuple[bytes, bytes]]:
    """Return what parcels above a record write to a key, each command with the record above which it is untold."""
    return [
        (b"%d" % (parcel.position - 1), command)
        for parcel in parcels
        if parcel.position > above
        for command in parcel.packed
        if key_of(command) == key
    ]


def _load(parcels: deque[_Parcel]) -> list[_Parcel]:
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
