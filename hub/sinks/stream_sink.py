"""Delivers what records want written to Redis: in record order, each record once, together with the cursor."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from enum import Enum, auto

import structlog

from hub.clock import Clock, stroke
from hub.errors import UnavailableError
from hub.model.effects import AlarmState, StreamWork
from hub.sinks.backlog import Ahead, Behind, OwedBehind
from hub.sinks.fence import Fence
from hub.sinks.parcels import SORTS, Parcel, load
from hub.sinks.redis_link import key_of
from hub.sinks.streams import pack_site_alarms, source_of

RECORDS_PER_TAKE = 500
UNTOLD_KEYS = 1_000
"""So many keys may refuse; of each a record is kept in memory, and a note in Redis that is read with every look."""
# What arrives while one transaction is under way is the next batch; waiting for more would only add latency.
LINGER = timedelta(0)
REST_NS = 5_000_000
"""Between two transactions: a flood's events share them, and the first of a quiet moment goes at once."""
LOOK_EVERY_SECONDS = 1.0
BACKOFF_SECONDS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.0)

log = structlog.get_logger(__name__)

AlarmSnapshot = Callable[[], Mapping[str, Sequence[AlarmState]]]
"""The active alarms of *every* site of the partition (an empty list clears the site's hash).

Called on the loop right before it is written. It shows at least every record whose work the sink was ever given, so
that the changes still owed lead to the same state again.
"""


class _Step(Enum):
    """What was done: something; nothing, before keys that refuse may be asked again; all there was."""

    SENT = auto()
    WAITS = auto()
    TOLD = auto()


class StreamSink:
    """The sink of ``hub:events:*``, ``hub:alarms:*``, ``hub:reply:*`` and ``hub:dead-letters``.

    ``run`` delivers; ``keep_up`` notices once a second that Redis is gone or back, and shows all alarms on each new
    connection. For readyz: ``connected``, ``behind_since`` (monotonic ns of the first failure since the last delivery,
    None while nothing is held up) and ``last_error``. Counts: ``delivered`` by sort, ``rejected`` (what cannot be
    written down at all and would block what follows), ``transactions``, ``retries``.

    What a key refuses waits for that key alone: the cursor goes on with what others get as it comes, and nothing is
    confirmed before it is told, so that the outbox keeps it, and the order of each key is that of the records. However
    much that is, portions of it are in memory. A whole transaction that is refused (for want of memory), alarms that
    cannot be shown whole, and more than ``UNTOLD_KEYS`` that refuse, hold up everything.
    """

    def __init__(self, owed: OwedBehind, fence: Fence, clock: Clock, *, partition: str, alarms: AlarmSnapshot) -> None:
        self.behind_since: int | None = None
        self.last_error = ""
        self.delivered = dict.fromkeys(SORTS, 0)
        self.rejected = 0
        self.transactions = 0
        self.retries = 0
        self._owed = owed
        self._fence = fence
        self._clock = clock
        self._source = source_of(partition)
        self._behind = Behind(owed, self._source)
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
        ahead = Ahead(self._owed, self._source, batch)
        await self._deliver(ahead)
        await self._owed.confirm(ahead.last, ahead.tally)
        self._fence.confirmed = max(self._fence.confirmed, ahead.last)
        self._rests_until = self._clock.monotonic_ns() + REST_NS
        self._count(ahead.tally)

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

    async def _deliver(self, ahead: Ahead) -> None:
        """Return when the cursor covers everything that was read by then, and no key lacks any of it."""
        failures, asks_at, step = 0, 0, _Step.SENT
        while step is not _Step.TOLD:
            try:
                async with self._lock:
                    step = await self._send(ahead, asks=self._clock.monotonic_ns() >= asks_at)
            except UnavailableError as error:
                self._fall_behind(error)
                pause = BACKOFF_SECONDS[min(failures, len(BACKOFF_SECONDS) - 1)]
                failures += 1
                if error.code == "key_refuses":
                    asks_at = self._clock.monotonic_ns() + round(pause * 1e9)
                    step = _Step.WAITS
                else:
                    await self._clock.sleep(pause)
                    continue
            if step is _Step.WAITS:
                await self._wait(ahead, (asks_at - self._clock.monotonic_ns()) / 1e9)
            else:
                failures = 0
        self._resume()

    async def _wait(self, ahead: Ahead, seconds: float) -> None:
        """Wait so long for keys that refuse, but no longer than until something comes for others."""
        has_room = len(self._fence.untold) < UNTOLD_KEYS
        rest = min(seconds, REST_NS / 1e9) if has_room else seconds
        await self._clock.sleep(max(0, rest))
        if rest < seconds:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds - rest):
                    await self._owed.arrival(after=ahead.last)

    async def _send(self, ahead: Ahead, *, asks: bool) -> _Step:
        """Send what comes next, in one transaction; keys that refuse are only asked again when it ``asks``."""
        delivered = await self._catch_up()
        untold = self._untold()
        parcels = ahead.beyond(delivered)
        if not parcels:
            if min([delivered, *untold.values()]) >= ahead.last:
                return _Step.TOLD
            parcels = await ahead.read_on(delivered)
        if parcels and len(untold) < UNTOLD_KEYS:
            await self._commit(load(parcels), delivered, untold)
            return _Step.SENT
        if not asks:
            return _Step.WAITS
        telling = await self._behind.telling(untold, delivered, self._fence.refusing)
        await self._fence.tell(telling)
        self.transactions += 1
        return _Step.SENT

    async def _commit(self, parcels: Sequence[Parcel], delivered: int, untold: Collection[str]) -> None:
        """Move the cursor over ``parcels``, with what they say to keys that have refused nothing."""
        packed = [command for parcel in parcels for command in parcel.packed]
        above = b"%d" % delivered
        notes = {key: above for parcel in parcels for key in parcel.keys}
        if untold:
            packed = [command for command in packed if key_of(command).decode() not in untold]
            notes = {key: note for key, note in notes.items() if key not in untold}
        if await self._fence.commit(packed, parcels[-1].position, notes):
            self.transactions += 1

    async def _catch_up(self) -> int:
        """Return the cursor, after showing all alarms if the connection is a new one."""
        delivered = await self._fence.position()
        while self._shown != self._fence.generation:
            packed = [part for site, alarms in self._alarms().items() for part in pack_site_alarms(site, alarms)]
            # A transaction like any other: a late copy of it cannot overwrite the changes that come after it.
            generation = self._fence.generation
            if await self._fence.commit(packed, delivered):
                self._shown = generation  # what the commit itself found lost is not shown yet
            delivered = await self._fence.position()
        self._fence.reach(min(self._untold().values(), default=delivered))
        return delivered

    def _untold(self) -> dict[str, int]:
        """Return of each key that has refused something the last record of which it has everything."""
        return {key: int(above) for key, above in self._fence.untold.items()}

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
