"""Reading event streams in one order: what is written up to a moment, however many streams and hubs there are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, cast

import msgspec
import structlog

from hub.errors import PoisonError
from hub.model.effects import Entry
from hub.sinks.redis_link import Answer, Link, checked, pack, pairs, rows
from hub.sinks.streams import decode_event, events_key

PAGE = 1_000
BLOCK_SECONDS = 0.25
BACK_MS = 3_600_000
"""So much is read again of a stream that ends before where we were."""
_LAST_NUMBER = 2**63 - 1

EntryId = tuple[int, int]

log = structlog.get_logger(__name__)


class Position(msgspec.Struct, frozen=True):
    """How far a stream is read: the last entry's id, and how many entries the stream had been given by then.

    The second number is what tells trimmed entries that were never read from those that were.
    """

    written_at: int = 0
    number: int = 0
    entries: int = 0

    @property
    def text(self) -> str:
        """Return the entry's id."""
        return f"{self.written_at}-{self.number}"


class Round(NamedTuple):
    """Entries of one read; all that was written up to ``until`` (ms of the server's clock) has been read."""

    until: int
    entries: list[Entry]
    unreadable: int


def streams_of(names: Iterable[str]) -> list[str]:
    """Return the streams in which events of these names stand, each once."""
    return sorted({events_key(name) for name in names})


class Rounds:
    """Reads events on a connection of its own: those of these ``names``, or all; ``positions`` say how far.

    A key of somebody else in the place of a stream is passed over: what the others hold is read all the same.

    ``unread`` is how many entries of each stream lay behind that when ``lost`` was last asked.
    """

    def __init__(self, link: Link, streams: Iterable[str], names: Collection[str] | None = None) -> None:
        self.positions: dict[str, Position] = {}
        self.unread: dict[str, int] = {}
        self._away: set[str] = set()
        self._displaced: set[str] = set()
        self.streams = tuple(streams)
        self._names = None if names is None else frozenset(name.encode() for name in names)
        self._link = link

    async def begin(self, positions: Mapping[str, Position]) -> int:
        """Go on from ``positions``, with what is not among them from now on; return now in ms of the server's clock."""
        await self._link.open()
        now = await now_of(self._link)
        await self._look_for_displaced()
        self.positions = {stream: positions.get(stream) or await self._end(stream) for stream in self.streams}
        return now

    async def position_at(self, stream: str, since: int) -> Position:
        """Return the position before what was written from ``since`` (ms) on; what is gone already counts as read."""
        facts = await facts_of(self._link, stream)
        added = _number(facts, b"entries-added")
        if since <= 0:
            return Position(entries=added - _number(facts, b"length"))
        later, start, end = 0, f"{since}", facts.get(b"last-generated-id", b"0-0")
        if since > entry_id(end)[0]:
            return Position(*entry_id(end), added)
        while True:
            page = rows(await self._link.ask("XRANGE", stream, start, end, "COUNT", PAGE))
            later += len(page)
            if len(page) < PAGE:
                break
            start = f"({_text(_identified(page[-1])[0])}"
        return Position(since - 1, _LAST_NUMBER, added - later)

    async def go_back(self) -> list[str]:
        """Return the streams that end before where we are: their server has forgotten what was read, or is another.

        What it writes from then on may have ids that we are past: what such a stream holds of its last hour is unread.
        One that is not there is returned when it is there again, for that says what it then holds.
        """
        await self._link.open()
        back, away = {}, set()
        for stream, position in self.positions.items():
            facts = await facts_of(self._link, stream)
            last = entry_id(facts.get(b"last-generated-id", b"0-0"))
            is_behind = last < (position.written_at, position.number)
            if is_behind and not facts:
                away.add(stream)
            elif is_behind or stream in self._away:
                placed = await self.position_at(stream, last[0] - BACK_MS)
                back[stream] = min(placed, position, key=lambda each: (each.written_at, each.number))
        # Not before all have answered: whoever asks again must be told of each.
        self.positions |= back
        self._away = away
        return list(back)

    async def again(self, since: int) -> AsyncIterator[tuple[list[Entry], int]]:
        """Yield what was written from ``since`` (ms) on and has been read, as far as the streams still hold it.

        The number is how many entries of a page nobody can read.
        """
        for stream in self._readable:
            start = f"{max(since, 0)}"
            while True:
                answer = await self._link.ask("XRANGE", stream, start, self.positions[stream].text, "COUNT", PAGE)
                page = [_identified(row) for row in rows(answer)]
                yield self._decoded(stream, page)
                if len(page) < PAGE:
                    break
                start = f"({_text(page[-1][0])}"

    async def kept_since(self, since: int) -> list[str]:
        """Return the streams that no longer hold all that was written since ``since`` (ms)."""
        short = []
        for stream in self._readable:
            facts = await facts_of(self._link, stream)
            first = rows(await self._link.ask("XRANGE", stream, "-", "+", "COUNT", 1))
            is_trimmed = _number(facts, b"entries-added") > _number(facts, b"length")
            if is_trimmed and (not first or _identified(first[0])[0][0] > since):
                short.append(stream)
        return short

    async def lost(self) -> dict[str, int]:
        """Return how many entries of each stream were removed before they were read; each is told once."""
        await self._look_for_displaced()
        found, unread = {}, {}
        positions = dict(self.positions)
        for stream, position in self.positions.items():
            facts = await facts_of(self._link, stream)
            added, last = _number(facts, b"entries-added"), facts.get(b"last-generated-id", b"0-0")
            is_at_end = entry_id(last) == (position.written_at, position.number)
            missing = added - (0 if is_at_end else _number(facts, b"length")) - position.entries
            unread[stream] = 0 if is_at_end else max(0, added - position.entries - max(0, missing))
            if missing > 0:
                found[stream] = missing
            if missing > 0 or is_at_end:  # fewer than before: the server has forgotten some, and counts anew
                positions[stream] = msgspec.structs.replace(position, entries=position.entries + missing)
        # Not before all have answered: what is told once must have been returned.
        self.positions, self.unread = positions, unread
        return found

    async def read(self, block_seconds: float = BLOCK_SECONDS) -> Round:
        """Return the next round, waiting ``block_seconds`` for something to come."""
        await self._link.open()
        options = ("COUNT", PAGE, "BLOCK", max(1, int(block_seconds * 1000)))
        streams = self._readable
        starts = [self.positions[stream].text for stream in streams]
        packed = [pack("TIME"), pack("XREAD", *options, "STREAMS", *streams, *starts)]
        time, answer = await self._link.exchange(packed, 2, patience=block_seconds)
        # What is written later has a later id: the server stamps it with its clock, which it had read before.
        until = _milliseconds(time) - 1
        entries: list[Entry] = []
        unreadable = 0
        for row in rows(answer):
            name, found = rows(row)
            stream, page = cast("bytes", name).decode(), [_identified(each) for each in rows(found)]
            last = page[-1][0]
            self.positions[stream] = Position(*last, self.positions[stream].entries + len(page))
            if len(page) == PAGE:
                until = min(until, last[0] - 1)
            decoded, bad = self._decoded(stream, page)
            entries += decoded
            unreadable += bad
        return Round(until, entries, unreadable)

    async def close(self) -> None:
        """Close the connection."""
        await self._link.close()

    def _decoded(self, stream: str, page: Sequence[tuple[EntryId, dict[bytes, bytes]]]) -> tuple[list[Entry], int]:
        """Return the entries that are wanted, and how many of these nobody can read."""
        names = self._names
        wanted = [(entry, fields) for entry, fields in page if names is None or fields.get(b"type") in names]
        entries = []
        for (written_at, number), fields in wanted:
            try:
                event, source = decode_event(fields), fields.get(b"source", b"").decode()
                entries.append(Entry(stream, written_at, number, event, source))
            except PoisonError as error:
                log.warning("entry_unreadable", stream=stream, entry=f"{written_at}-{number}", reason=str(error))
        return entries, len(wanted) - len(entries)

    @property
    def _readable(self) -> list[str]:
        return [stream for stream in self.streams if stream not in self._displaced]

    async def _look_for_displaced(self) -> None:
        sorts = {stream: await self._link.ask("TYPE", stream) for stream in self.streams}
        displaced = {stream for stream, sort in sorts.items() if sort not in {b"stream", b"none"}}
        for stream in displaced - self._displaced:
            log.error("stream_displaced", stream=stream, reason="the key is somebody else's: DEL or RENAME it")
        self._displaced = displaced

    async def _end(self, stream: str) -> Position:
        facts = await facts_of(self._link, stream)
        return Position(*entry_id(facts.get(b"last-generated-id", b"0-0")), _number(facts, b"entries-added"))


async def now_of(link: Link) -> int:
    """Return now in ms of the server's clock: new entries have it in their ids."""
    return _milliseconds(await link.ask("TIME"))


async def facts_of(link: Link, stream: str) -> dict[bytes, bytes]:
    """Return what the server says of a stream; nothing when it is not there, or something else is."""
    if await link.ask("TYPE", stream) != b"stream":
        return {}
    return pairs(await link.ask("XINFO", "STREAM", stream))


def _identified(row: Answer) -> tuple[EntryId, dict[bytes, bytes]]:
    entry, fields = rows(row)
    return entry_id(cast("bytes", entry)), pairs(fields)


def entry_id(text: bytes) -> EntryId:
    """Return the two numbers of an entry's id."""
    written_at, _, number = text.partition(b"-")
    return int(written_at), int(number)


def _text(entry: EntryId) -> str:
    return f"{entry[0]}-{entry[1]}"


def _number(facts: Mapping[bytes, bytes], name: bytes) -> int:
    return int(facts.get(name, 0))


def _milliseconds(time: Answer) -> int:
    seconds, microseconds = (int(cast("bytes", each)) for each in rows(checked(time)))
    return seconds * 1_000 + microseconds // 1_000
