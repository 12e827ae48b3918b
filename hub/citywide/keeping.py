"""What the city keeps in Redis: how far it has judged and read, moved in one transaction with its events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import structlog

from hub.clock import Clock
from hub.errors import ConfigError, UnavailableError
from hub.model.effects import Event
from hub.sinks.fence import Fence, Telling
from hub.sinks.ownership import Claim, Ownership
from hub.sinks.redis_link import Link, key_of, pack, pairs
from hub.sinks.rounds import Position
from hub.sinks.streams import (
    UNWRITABLE,
    Cursor,
    cursor_key,
    decode_cursor,
    heartbeat_key,
    outbox_key,
    pack_event,
    source_of,
)
from hub.sinks.timeseries.lines import event_line

CITY = "city"
"""The partition, and the journal, that a city's cursor names: no hub can have it, whose journal is a UUID."""
FIELD = b"city"
BACKOFF_SECONDS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.0)
_ENDLESS = 2**62
COMMANDS_PER_TELLING = 10_000
"""A request of a million words is the most that a server takes; and the note is read anew with each portion."""

log = structlog.get_logger(__name__)


class Kept(msgspec.Struct, frozen=True):
    """``judged_until``: ms of the server's clock; everything due by then has been judged, its events are written.

    ``pending`` sightings had been read up to ``positions`` and were not due yet.
    """

    judged_until: int = 0
    pending: int = 0
    positions: dict[str, Position] = {}
    counts: dict[str, int] = {}


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Kept).decode
_pack_commands = msgspec.msgpack.Encoder().encode
_decode_commands = msgspec.msgpack.Decoder(list[bytes]).decode


class TailLostError(Exception):
    """The server has forgotten transactions that it had confirmed: the city begins again from what it still knows."""


class Keeper:
    """Writes events and :class:`Kept` together, each transaction once, as the only one who may."""

    def __init__(self, link: Link, ownership: Ownership, clock: Clock) -> None:
        self.transactions = 0
        self.retries = 0
        self.tails_lost = 0
        self.rejected = 0
        self.behind_since: int | None = None
        self._clock = clock
        self._is_lost = False
        self._source = source_of(CITY)
        self._fence = Fence(link, ownership, confirmed=0, on_tail_lost=self._lose)

    def _lose(self, _expected: int, _found: int) -> None:
        self._is_lost = True
        self.tails_lost += 1

    @property
    def is_open(self) -> bool:
        """Whether Redis answered the last question."""
        return self._fence.is_open

    async def load(self) -> Kept | None:
        """Return what was kept last, None when nothing was; UnavailableError, or what ends the process."""
        await self._fence.position()
        self._is_lost = False
        return decode_kept(self._fence.fields)

    async def keep(self, events: Sequence[Event], kept: Kept) -> None:
        """Write ``events`` and ``kept`` in one transaction, however long that takes; TailLostError to begin again."""
        packed = [command for event in events for command in self._packed(event)]
        notes = _notes(packed)
        packed.append(pack(b"HSET", cursor_key(CITY), FIELD, _encode(kept)))
        failures, record = 0, await self._record() + 1
        while True:
            try:
                if await self._is_written(packed, record, notes) and not self._fence.untold:
                    break
            except UnavailableError as error:
                self._fall_behind(error)
                await self._clock.sleep(BACKOFF_SECONDS[min(failures, len(BACKOFF_SECONDS) - 1)])
                failures += 1
        self.transactions += 1
        self.behind_since = None

    def _packed(self, event: Event) -> tuple[bytes, ...]:
        """Return the commands of an event; none for what no encoder takes, which would hold up all that follow."""
        try:
            return pack_event(event, self._source), pack(b"RPUSH", outbox_key(CITY), event_line(event))
        except UNWRITABLE as error:
            self.rejected += 1
            log.error("city_event_rejected", id=event.id, reason=str(error))  # noqa: TRY400 -- its traceback says nothing more
            return ()

    async def _record(self) -> int:
        """Return the number of the last transaction."""
        while True:
            try:
                record = await self._fence.position()
            except UnavailableError as error:
                self._fall_behind(error)
                await self._clock.sleep(BACKOFF_SECONDS[-1])
            else:
                self._check()
                return record

    async def _is_written(self, packed: Sequence[bytes], record: int, notes: Mapping[str, bytes]) -> bool:
        """Return whether the transaction has happened: now, or before, when the answer did not come."""
        position = await self._fence.position()
        self._check()
        if untold := self._fence.untold:
            await self._fence.tell({key: telling_of(note) for key, note in untold.items()})
            return False
        return position >= record or await self._fence.commit(packed, record, notes)

    def _check(self) -> None:
        if self._is_lost:
            raise TailLostError

    def _fall_behind(self, error: UnavailableError) -> None:
        self.retries += 1
        if self.behind_since is None:
            self.behind_since = self._clock.monotonic_ns()
            log.warning("city_held_up", reason=str(error))

    async def close(self) -> None:
        """Close the connection."""
        await self._fence.close()


def _notes(packed: Sequence[bytes]) -> dict[str, bytes]:
    """Return what is noted of a key that refuses: its commands, for nobody else keeps them."""
    commands: dict[str, list[bytes]] = {}
    for command in packed:
        commands.setdefault(key_of(command).decode(), []).append(command)
    return {key: _pack_commands(each) for key, each in commands.items()}


def telling_of(note: bytes) -> Telling:
    """Return the next portion of what a key has not taken. Its mark is how many of the noted commands it has by now."""
    noted, _, mark = note.rpartition(b":")
    if mark.isdigit():  # else it is the end of a packed command
        told, commands = int(mark), _decode_commands(noted)
    else:
        told, commands = 0, _decode_commands(note)
    some = commands[told : told + COMMANDS_PER_TELLING]
    end = told + len(some)
    marked = [(b":%d" % at, command) for at, command in enumerate(some, told)]
    return Telling(marked, b":%d" % end if end < len(commands) else b"")


def decode_kept(fields: Mapping[bytes, bytes]) -> Kept | None:
    """Return what a cursor's hash holds of the city; ConfigError ``cursor_unreadable`` for what we did not write."""
    if FIELD not in fields:
        return None
    try:
        return _decode(fields[FIELD])
    except msgspec.DecodeError as error:
        hint = f"DEL {cursor_key(CITY)} makes the city begin with what happens from now on"
        raise ConfigError("cursor_unreadable", f"{error} in {cursor_key(CITY)}", hint=hint) from error


def claim_of(host: str, directory: Path) -> Claim:
    """Return what a city says of itself: another directory is another city, however near."""
    return Claim(partition=CITY, journal=CITY, host=f"{host}:{directory}", epoch_hint=0, journal_end=_ENDLESS)


class Standing(msgspec.Struct, frozen=True):
    """What can be asked of Redis about a city: whether one runs, what it keeps, and what it has not read yet."""

    is_running: bool
    cursor: Cursor
    kept: Kept
    unread: dict[str, int]


async def read_standing(link: Link) -> Standing:
    """Return how the city stands."""
    fields = pairs(await link.ask("HGETALL", cursor_key(CITY)))
    is_running = bool(await link.ask("EXISTS", heartbeat_key(CITY)))
    kept = decode_kept(fields) or Kept()
    unread = {stream: await _unread(link, stream, position) for stream, position in sorted(kept.positions.items())}
    return Standing(is_running=is_running, cursor=decode_cursor(fields), kept=kept, unread=unread)


async def _unread(link: Link, stream: str, position: Position) -> int:
    if not await link.ask("EXISTS", stream):
        return 0
    facts = pairs(await link.ask("XINFO", "STREAM", stream))
    return max(0, int(facts[b"entries-added"]) - position.entries)
