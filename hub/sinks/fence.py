"""The fenced connection: transactions that move the partition's cursor, each of them once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, cast

import structlog
from redis.exceptions import ResponseError

from hub.errors import UnavailableError
from hub.sinks.ownership import Ownership
from hub.sinks.redis_link import Answer, Link, checked, key_of, pack, pairs, rows
from hub.sinks.streams import Cursor, cursor_key, decode_cursor, pack_cursor

_MULTI = pack("MULTI")
_EXEC = pack("EXEC")
_UNTOLD = b"untold:"
_WRONG_TYPE = "WRONGTYPE"

# Runs last in a transaction, which the server does whole and alone: a key that is somebody else's now is the one whose
# commands it has just refused.
NOTE = """
for i = 2, #KEYS do
  local found, at = redis.call('TYPE', KEYS[i]).ok, i * 3 - 5
  local is_ours = found == 'none' or found == ARGV[at]
  local note = is_ours and ARGV[at + 2] or ARGV[at + 1]
  if note ~= '' then redis.call('HSET', KEYS[1], 'untold:' .. KEYS[i], note)
  else redis.call('HDEL', KEYS[1], 'untold:' .. KEYS[i]) end
end
return 0
"""

log = structlog.get_logger(__name__)


class Note(NamedTuple):
    """What a transaction writes beside the cursor of a key that it writes to; an empty one removes what is there.

    ``if_foreign`` when the key is not of this ``kind``, so that its commands were refused; ``if_ours`` otherwise.
    """

    kind: bytes
    if_foreign: bytes
    if_ours: bytes = b""


class Fence:
    """Redis as one owner may write it.

    A transaction happens only if nobody moved the cursor since we read it. Whether one happened whose answer never
    came is therefore a question with an answer: read the cursor. A copy that the server finds in some buffer later
    either runs before our next transaction, which then fails and reads again, or after it, and fails itself.

    ``generation`` counts connections. ``on_tail_lost`` is told (expected, found) when the server has forgotten
    records that it had confirmed.
    ``fields`` are those of the cursor's hash at the last look: a transaction may have put its own beside the cursor.

    A command may fail inside a transaction that happens, cursor and all; ``refused`` counts these. When its key is
    somebody else's it is ``untold``: noted by that very transaction, so that whoever owns the partition next knows it
    too, and a server that forgets the transaction forgets the note. Anything else is refused for good, and passed by.
    """

    def __init__(
        self,
        link: Link,
        ownership: Ownership,
        *,
        confirmed: int,
        on_tail_lost: Callable[[int, int], None],
    ) -> None:
        self.generation = 0
        self.tails_lost = 0
        self.refused = 0
        self.fields: Mapping[bytes, bytes] = {}
        self._link = link
        self._ownership = ownership
        self._expected = confirmed
        self._on_tail_lost = on_tail_lost
        self._cursor: Cursor | None = None
        self._is_checked = False
        watched_key = cursor_key(ownership.partition)
        self._look = pack("WATCH", watched_key) + pack("HGETALL", watched_key)

    @property
    def is_open(self) -> bool:
        """Whether the last exchange went well."""
        return self._link.is_open

    @property
    def untold(self) -> dict[str, bytes]:
        """The notes of keys that were somebody else's, at the last look; see :class:`Note`."""
        fields = self.fields.items()
        return {name.removeprefix(_UNTOLD).decode(): note for name, note in fields if name.startswith(_UNTOLD)}

    async def position(self) -> int:
        """Return the last delivered record, connecting and claiming first if need be.

        UnavailableError (``redis_unsafe``: its settings are looked at once a connection), OwnershipLostError, or
        ConfigError from a claim that had to wait for Redis.
        """
        if self._cursor is None or not self._link.is_open:
            self._cursor = None  # of a connection that is gone, should we fail before the next look
            await self._ownership.hold()
            if not self._link.is_open:
                await self._link.open()
                self._is_checked = False
                self.generation += 1
            if not self._is_checked:
                await self._ownership.server.require(self._link)
                self._is_checked = True
            await self.refresh()
        return self._expected

    async def refresh(self) -> None:
        """Read the cursor again and watch it; also tells whether the server is still there and still ours."""
        self._cursor = None
        watched, fields = await self._link.exchange([self._look], 2)
        self._take(watched, fields)

    async def commit(self, packed: Sequence[bytes], record: int, notes: Mapping[str, Note] | None = None) -> bool:
        """Run packed commands and move the cursor to ``record``, if the cursor is where we saw it.

        ``notes`` are those of each key that the commands write to and that may be somebody else's.

        False: it was not; ``position`` has been read again. UnavailableError: the answer was an error (nothing
        happened) or did not come (``position`` will tell).
        """
        ownership = self._ownership
        cursor = Cursor(ownership.journal, ownership.epoch or 0, record)
        self._cursor = None
        commands = [*packed, pack_cursor(ownership.partition, cursor)]
        if notes:
            commands.append(_pack_notes(cursor_key(ownership.partition), notes))
        write = [_MULTI, *commands, _EXEC, self._look]
        *queued, executed, watched, fields = await self._link.exchange(write, len(commands) + 4)
        if executed is not None:
            self._settle(commands, queued, executed, record)
        self._take(watched, fields)
        return executed is not None

    async def types(self, keys: Sequence[str]) -> list[bytes]:
        """Return the type of each key, ``none`` where there is none."""
        answers = await self._link.exchange([pack("TYPE", key) for key in keys], len(keys))
        return [cast("bytes", checked(answer)) for answer in answers]

    async def close(self) -> None:
        """Close the connection; the cursor will be read again."""
        self._cursor = None
        await self._link.close()

    def _settle(self, commands: Sequence[bytes], queued: Sequence[Answer], executed: Answer, record: int) -> None:
        if isinstance(executed, ResponseError):
            # EXECABORT only says that there was an error; the first refused command says which (OOM, MISCONF …).
            reason = next((answer for answer in queued if isinstance(answer, ResponseError)), executed)
            raise UnavailableError("redis_refused", str(reason))
        self._expected = record
        for command, answer in zip(commands, rows(executed), strict=True):
            if isinstance(answer, ResponseError):  # the rest of the transaction happened
                self.refused += 1
                waits = str(answer).startswith(_WRONG_TYPE)
                key = key_of(command).decode(errors="replace")
                log.error("stream_command_refused", record=record, key=key, reason=str(answer), waits=waits)

    def _take(self, watched: Answer, fields: Answer) -> None:
        checked(watched)
        said = pairs(fields)
        cursor = decode_cursor(said)
        self._ownership.check(cursor)
        if cursor.record < self._expected:
            self.tails_lost += 1
            log.error("stream_tail_lost", expected=self._expected, found=cursor.record)
            self._on_tail_lost(self._expected, cursor.record)
        self._expected = cursor.record
        self._cursor, self.fields = cursor, said


def _pack_notes(cursor: str, notes: Mapping[str, Note]) -> bytes:
    words = [word for note in notes.values() for word in note]
    return pack("EVAL", NOTE, 1 + len(notes), cursor, *notes, *words)
