"""The follower: reads streams and writes parcels and positions down together, before anything leaves."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import structlog

from hub.clock import Clock
from hub.errors import UnavailableError
from hub.model.effects import Entry
from hub.outward.ledger import Ledger
from hub.outward.parcel import Parcel, Slip, State, place_of
from hub.sinks.rounds import Position, Round, Rounds
from hub.sinks.streams import UNWRITABLE

LOOK_FOR_LOSS_NS = 30_000_000_000
KEEP_EVERY_NS = 1_000_000_000
"""What came to nothing need not be kept at once: read again after a kill it comes to nothing again."""
BACKOFF_SECONDS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.0)
ROOM_SECONDS = 0.25
MOST_WAITING = 100_000
"""So many parcels may wait; past it the streams keep what comes, as long as they do.

Where there are several channels each may have its part of half of it: one that takes nothing would keep all others from
being told.
"""

log = structlog.get_logger(__name__)


class Packer(Protocol):
    """Makes parcels."""

    def of_entry(self, entry: Entry) -> Sequence[Parcel]:
        """Return what leaves because of an entry."""
        ...

    def of_loss(self, stream: str, read: int, count: int) -> Sequence[Parcel]:
        """Return what leaves because ``count`` entries were removed unread, after ``read`` of their stream."""
        ...

    def forget(self, parcel: Parcel) -> None:
        """Hear that a parcel was dropped: nobody is told it."""
        ...


class Carrier(Protocol):
    """Whom slips are handed to."""

    @property
    def waiting(self) -> int:
        """How many parcels wait there."""
        ...

    @property
    def channels(self) -> int:
        """Through how many channels it sends."""
        ...

    def waiting_for(self, channel: str) -> int:
        """Return how many wait for one of them."""
        ...

    def add(self, slips: Iterable[Slip]) -> None:
        """Let them leave when it is their turn."""
        ...


class Follower:
    """Follows the streams of ``rounds``; Redis may be away as long as it likes. ``is_reading``: it answered last.

    All that was written up to ``read_until`` (ms of the server's clock; None: it has not begun) has been read, which
    was found at ``read_at`` (monotonic ns).
    """

    def __init__(self, rounds: Rounds, ledger: Ledger, packer: Packer, carrier: Carrier, clock: Clock) -> None:
        self.is_reading = False
        self.read_until: int | None = None
        self.read_at = 0
        self._rounds = rounds
        self._ledger = ledger
        self._packer = packer
        self._carrier = carrier
        self._clock = clock
        self._looked_at: int | None = None
        self._kept_at = 0
        self._wanted_again: dict[str, Position] = {}
        self._crowded: set[str] = set()

    @property
    def is_held_up(self) -> bool:
        """Whether so much waits that nothing more is read."""
        return self._carrier.waiting >= MOST_WAITING

    @property
    def unread(self) -> Mapping[str, int]:
        """How many entries of each stream were not read yet, at the last look for what was lost."""
        return self._rounds.unread

    async def begin(self, since: int | None, *, anew: bool = False) -> None:
        """Find where to begin and write it down, so that it is the same after a kill.

        With ``since`` (ms) there, with ``anew`` now; else where it was, and now where it never was.
        """
        await self._rounds.begin({} if anew or since is not None else await self._ledger.positions())
        if since is not None:
            self._wanted_again = dict(self._rounds.positions)
            for stream in await self._rounds.kept_since(since):
                log.warning("stream_begins_later", stream=stream, reason="trimmed: what it no longer holds is not sent")
            for stream in self._rounds.streams:
                self._rounds.positions[stream] = await self._rounds.position_at(stream, since)
        await self._keep([], {})
        self.is_reading = True

    async def run(self) -> None:
        """Follow until cancelled; call ``begin`` before."""
        failures = 0
        while True:
            try:
                await self._take()
                failures, self.is_reading = 0, True
            except UnavailableError as error:
                if not failures:
                    log.warning("follower_held_up", reason=str(error))
                self.is_reading, self._looked_at = False, None  # whoever comes back may have forgotten something
                await self._clock.sleep(BACKOFF_SECONDS[min(failures, len(BACKOFF_SECONDS) - 1)])
                failures += 1

    async def _take(self) -> None:
        """Read a round and keep it."""
        while self.is_held_up:
            await self._clock.sleep(ROOM_SECONDS)
        if self._looked_at is None or self._clock.monotonic_ns() - self._looked_at > LOOK_FOR_LOSS_NS:
            await self._look_for_loss()
        found = await self._rounds.read()
        parcels, unreadable = self._pack(found)
        doubtful = {place_of(entry) for entry in found.entries if not self._is_wanted_again(entry)}
        is_time = self._clock.monotonic_ns() - self._kept_at > KEEP_EVERY_NS
        if parcels or unreadable or (found.entries and is_time):
            await self._keep(parcels, {"unreadable": unreadable}, doubtful)
        at = self._rounds.positions
        self._wanted_again = {each: end for each, end in self._wanted_again.items() if _place(at[each]) < _place(end)}
        self.read_until, self.read_at = found.until, self._clock.monotonic_ns()

    def _pack(self, found: Round) -> tuple[list[Parcel], int]:
        """Return what leaves because of a round, and how many entries of it nobody can read, or put into words."""
        parcels: list[Parcel] = []
        unreadable = found.unreadable
        for entry in found.entries:
            try:
                parcels += map(self._admitted, self._packer.of_entry(entry))
            except UNWRITABLE as error:  # it would end every process that comes to it, and so keep all else unsaid
                unreadable += 1
                log.error("entry_not_packed", entry=place_of(entry), id=entry.event.id, reason=str(error))  # noqa: TRY400 -- its traceback says nothing more
        return parcels, unreadable

    def _admitted(self, parcel: Parcel) -> Parcel:
        """Return ``parcel``, dropped where too much waits for its channel, unless it is about lives."""
        channels, channel = self._carrier.channels, parcel.channel
        waiting = self._carrier.waiting_for(channel)
        is_crowded = channels > 1 and waiting >= MOST_WAITING // 2 // channels  # with one alone the streams keep it
        if not is_crowded:
            self._crowded.discard(channel)
            return parcel
        if channel not in self._crowded:
            self._crowded.add(channel)
            hint = "what comes for it is dropped, but what is critical: mend it, and see the ledger"
            log.error("channel_crowded", channel=channel, waiting=waiting, hint=hint)
        if parcel.state is not State.WAITING or parcel.is_urgent:
            return parcel
        self._packer.forget(parcel)
        return replace(parcel, state=State.DROPPED, answer=f"{waiting} wait for it already", replaces="")

    def _is_wanted_again(self, entry: Entry) -> bool:
        """Return whether somebody wants an entry again: it was there when ``begin`` was told from where on.

        Whatever else is read twice is so because its stream was set back, by this process or by one before it.
        """
        end = self._wanted_again.get(entry.stream)
        return end is not None and (entry.written_at, entry.number) <= _place(end)

    async def _look_for_loss(self) -> None:
        back = await self._rounds.go_back()
        for stream in back:
            reason = "Redis no longer has what was read there last: what is unknown of its last hour is sent"
            log.error("stream_set_back", stream=stream, reason=reason)
        if back:
            await self._keep([], {"set_back": len(back)})
        lost = await self._rounds.lost()
        self._looked_at = self._clock.monotonic_ns()
        parcels: list[Parcel] = []
        for stream, count in lost.items():
            log.error("entries_lost", stream=stream, entries=count, reason="removed before they were read")
            parcels += self._packer.of_loss(stream, self._rounds.positions[stream].entries, count)
        if lost:
            await self._keep(parcels, {"lost": sum(lost.values())})

    async def _keep(self, parcels: Sequence[Parcel], counts: dict[str, int], doubtful: Collection[str] = ()) -> None:
        """Write parcels and positions, however long the disk takes nothing: what was read is not read again."""
        while True:
            try:
                kept = await self._ledger.keep(parcels, self._rounds.positions, counts, doubtful=doubtful)
                self._carrier.add(kept)
            except UnavailableError as error:
                log.warning("ledger_unavailable", reason=str(error))
                await self._clock.sleep(BACKOFF_SECONDS[-1])
            else:
                break
        self._kept_at = self._clock.monotonic_ns()


def _place(position: Position) -> tuple[int, int]:
    return position.written_at, position.number
