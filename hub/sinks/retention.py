"""How long streams are kept: by age, not past what a group still owes, and never for ever."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import cast

import structlog

from hub.clock import Clock
from hub.errors import UnavailableError
from hub.sinks.redis_link import Answer, Link, pairs, rows

TRIM_EVERY_SECONDS = 60.0
TELL_EVERY_NS = 6 * 3_600_000_000_000
"""A group that nobody reads for any more loses entries with every minute, for ever."""
MINUTE_MS, HOUR_MS = 60_000, 3_600_000
FASTER_PERCENT = 101
"""A clock that runs faster than this beside our monotonic one was set, and what was there before it is no older."""
MEMORY_SHARE = 0.7
MOST_SQUEEZED = 6

EntryId = tuple[int, int]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """Entries younger than ``age`` stay; so do those that a group owes and that are younger than ``owe_for``."""

    age: timedelta = timedelta(days=7)
    owe_for: timedelta = timedelta(hours=72)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lagging:
    """A group that owes more than it may: its oldest entry is ``owed``; what lies before ``kept_from`` is gone."""

    stream: str
    group: str
    owed: str
    kept_from: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """A group that is no more since its server forgot; somebody may have ended it in the minute before."""

    stream: str
    group: str


class Retention:
    """Trims streams once a minute on a connection of its own.

    Above 70 % of the server's memory both ages are halved, again each minute (at most to 1/64), and come back likewise.
    ``tell`` hears when a group begins to lag or trimming takes entries from it, of each group every six hours at most,
    and of each group that was seen and is gone since a server forgot. Counts: ``trimmed`` entries, ``lagged`` (groups
    that began to), ``gone``.
    ``lagging`` holds the (stream, group) that do now.

    A server whose clock was ahead gives ids from then until that moment comes, and none of them tells its age: of such
    a stream it is remembered, each hour, which entry was the newest. A clock that jumps ahead makes nothing old: time
    goes on as ours does, and one that is ahead of our wall clock at the beginning is not believed either.
    """

    def __init__(
        self, link: Link, clock: Clock, streams: Sequence[str], *, keep: Keep, tell: Callable[[Lagging | Gone], None]
    ) -> None:
        self.trimmed = 0
        self.lagged = 0
        self.gone = 0
        self.lagging: set[tuple[str, str]] = set()
        self._link = link
        self._clock = clock
        self._streams = streams
        self._keep = keep
        self._tell = tell
        self._squeeze = 0
        self._newest: dict[str, list[tuple[int, EntryId]]] = {}
        self._looked: tuple[int, int] | None = None
        self._told_at: dict[tuple[str, str], int] = {}
        self._groups: set[tuple[str, str]] = set()
        self._missing: set[tuple[str, str]] = set()
        self._before_loss: set[tuple[str, str]] = set()

    def lost(self) -> None:
        """Hear that Redis has forgotten what it was told: groups that were there may be gone.

        Also those that the last look missed, for it may have come before this was found out; of these nobody can say
        whether somebody ended them.
        """
        self._before_loss |= self._groups | self._missing

    async def run(self) -> None:
        """Trim every minute until cancelled."""
        while True:
            try:
                await self.trim()
            except UnavailableError as error:
                log.debug("trimming_missed", reason=str(error))
            await self._clock.sleep(TRIM_EVERY_SECONDS)

    async def close(self) -> None:
        """Close the connection; for after ``run`` has ended."""
        await self._link.close()

    async def trim(self) -> None:
        """Trim every stream once; UnavailableError when Redis cannot."""
        await self._link.open()
        await self._measure_memory()
        # The server's clock, because entry ids come from it.
        seconds = rows(await self._link.ask("TIME"))[0]
        now = self._believed(int(cast("bytes", seconds)) * 1000)
        for stream in self._streams:
            try:
                groups = await self._groups_of(stream)
                self._look_for_gone(stream, groups)
                await self._trim_stream(stream, groups, now)
            except UnavailableError as error:  # it may be this one alone: somebody else's key in its place
                log.debug("trimming_missed", stream=stream, reason=str(error))

    def _believed(self, told: int) -> int:
        """Return the ms that it is at most, by what the server told and by what has passed since the last look."""
        run = self._clock.monotonic_ns() // 1_000_000
        before, when = self._looked or (self._clock.wall_ns() // 1_000_000, run)
        now = min(told, before + (run - when) * FASTER_PERCENT // 100)
        self._looked = now, run
        return now

    def _look_for_gone(self, stream: str, groups: Collection[str]) -> None:
        """Remember the groups of a stream; tell of those that are gone since a server forgot."""
        now = {(stream, group) for group in groups}
        before, known = _of(stream, self._before_loss), _of(stream, self._groups)
        self._before_loss -= before
        self._missing = self._missing - _of(stream, self._missing) | known - now
        self._groups = self._groups - known | now
        for _, group in sorted(before - now):
            self.gone += 1
            log.error("consumer_group_lost", stream=stream, group=group)
            self._tell(Gone(stream=stream, group=group))

    async def _groups_of(self, stream: str) -> dict[str, dict[bytes, bytes]]:
        """Return what the server says of each group of a stream, by name."""
        if not await self._link.ask("EXISTS", stream):
            return {}
        found = map(pairs, rows(await self._link.ask("XINFO", "GROUPS", stream)))
        return {fields[b"name"].decode(errors="backslashreplace"): fields for fields in found}

    async def _trim_stream(self, stream: str, groups: Mapping[str, Mapping[bytes, bytes]], now: int) -> None:
        first = await self._first(stream, "-")
        if first is None:
            return
        newest = self._newest_of(stream, await self._first(stream, "+", "XREVRANGE", "-") or first, now)
        minimum = _before(now - self._milliseconds(self._keep.age), newest)
        owable = _before(now - self._milliseconds(self._keep.owe_for), newest)
        overdue: dict[str, EntryId] = {}
        for name, fields in groups.items():
            owed = await self._oldest_owed(stream, fields, first)
            if owed is not None:
                minimum = min(minimum, max(owed, owable))
                if owed < owable:
                    overdue[name] = owed
        removed = 0
        if minimum > first:
            removed = cast("int", await self._link.ask("XTRIM", stream, "MINID", "~", _text(minimum)))
        self.trimmed += removed
        await self._mark(stream, overdue, is_loss=removed > 0)

    async def _mark(self, stream: str, overdue: Mapping[str, EntryId], *, is_loss: bool) -> None:
        """Tell of the groups that began to lag, and of those that just lost entries."""
        kept_from, now = await self._first(stream, "-") or (0, 0), self._clock.monotonic_ns()
        self._told_at = {each: at for each, at in self._told_at.items() if now - at < TELL_EVERY_NS}
        for group, owed in overdue.items():
            is_new = (stream, group) not in self.lagging
            self.lagged += is_new
            if (is_new or (is_loss and owed < kept_from)) and (stream, group) not in self._told_at:
                self._told_at[stream, group] = now
                log.warning("consumer_group_lagging", stream=stream, group=group, owed=_text(owed))
                self._tell(Lagging(stream=stream, group=group, owed=_text(owed), kept_from=_text(kept_from)))
        self.lagging = {pair for pair in self.lagging if pair[0] != stream} | {(stream, group) for group in overdue}

    async def _oldest_owed(self, stream: str, group: Mapping[bytes, bytes], first: EntryId) -> EntryId | None:
        """Return the oldest entry that still exists and that the group has not taken or not acknowledged."""
        taken = group[b"last-delivered-id"].decode()
        unread = await self._first(stream, f"({taken}")
        pending = rows(await self._link.ask("XPENDING", stream, group[b"name"], _text(first), "+", 1))
        owed = [_entry_id(rows(row)[0]) for row in pending]
        return min([*owed, *([] if unread is None else [unread])], default=None)

    def _newest_of(self, stream: str, entry: EntryId, now: int) -> list[tuple[int, EntryId]]:
        """Return which entry was the newest at which ms, as long as ids are ahead of the server's clock."""
        if entry[0] <= now + MINUTE_MS:
            self._newest.pop(stream, None)
            return []
        known = self._newest.setdefault(stream, [])
        if not known:
            log.warning("stream_ids_ahead", stream=stream, newest=_text(entry))
        if not known or now - known[-1][0] >= HOUR_MS:
            known.append((now, entry))
            del known[: -self._milliseconds(max(self._keep.age, self._keep.owe_for)) // HOUR_MS - 2]
        return known

    async def _first(self, stream: str, start: str, how: str = "XRANGE", end: str = "+") -> EntryId | None:
        found = rows(await self._link.ask(how, stream, start, end, "COUNT", 1))
        return _entry_id(rows(found[0])[0]) if found else None

    async def _measure_memory(self) -> None:
        answer = cast("bytes", await self._link.ask("INFO", "memory"))
        facts = dict(line.split(":", 1) for line in answer.decode().splitlines() if ":" in line)
        limit = int(facts.get("maxmemory", 0))
        is_full = limit > 0 and int(facts["used_memory"]) > MEMORY_SHARE * limit
        self._squeeze = min(self._squeeze + 1, MOST_SQUEEZED) if is_full else max(self._squeeze - 1, 0)

    def _milliseconds(self, age: timedelta) -> int:
        return int(age / timedelta(milliseconds=1)) >> self._squeeze


def _before(at: int, newest: Sequence[tuple[int, EntryId]]) -> EntryId:
    """Return what the entries from before ``at`` (ms) are below."""
    return max([(at, 0), *(entry for when, entry in newest if when <= at)])


def _of(stream: str, groups: set[tuple[str, str]]) -> set[tuple[str, str]]:
    return {group for group in groups if group[0] == stream}


def _entry_id(text: Answer) -> EntryId:
    milliseconds, _, number = cast("bytes", text).partition(b"-")
    return int(milliseconds), int(number)


def _text(entry: EntryId) -> str:
    return f"{entry[0]}-{entry[1]}"
