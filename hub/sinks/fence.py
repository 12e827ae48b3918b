"""The fenced connection: transactions that move the partition's cursor, each of them once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import structlog
from redis.exceptions import ResponseError

from hub.errors import UnavailableError
from hub.sinks.ownership import Ownership
from hub.sinks.redis_link import Answer, Argument, Link, checked, key_of, pack, pairs, rows, words_of
from hub.sinks.streams import Cursor, cursor_key, decode_cursor, pack_cursor

_MULTI = pack("MULTI")
_EXEC = pack("EXEC")
_UNTOLD = b"untold:"

# Runs last in a transaction, which the server does whole and alone: a key that is somebody else's now, or a stream in
# which no id is left, is the one whose commands it has just refused.
NOTE = """
local function takes(key, kind)
  local found = redis.call('TYPE', key).ok
  if found ~= 'stream' or kind ~= 'stream' then return found == 'none' or found == kind end
  local facts = redis.call('XINFO', 'STREAM', key)
  for at = 1, #facts, 2 do
    if facts[at] == 'last-generated-id' then return facts[at + 1] ~= '18446744073709551615-18446744073709551615' end
  end
  return true
end
for i = 2, #KEYS do
  local at = i * 2 - 3
  if not takes(KEYS[i], ARGV[at]) then redis.call('HSET', KEYS[1], 'untold:' .. KEYS[i], ARGV[at + 1]) end
end
return 0
"""

# Runs what a key has not taken, up to the first command that it refuses again, and marks in the same breath how far it
# came: ARGV is the mark when all went well, then for each command its mark if it is refused, and its words. A mark
# takes the place of the one at the end of the note: what stands before it is not sent again, however long it is.
TELL = """
local function mark(told)
  local noted = redis.call('HGET', KEYS[1], 'untold:' .. KEYS[2]) or ''
  local last = string.match(string.sub(noted, -22), ':?%d*$')
  redis.call('HSET', KEYS[1], 'untold:' .. KEYS[2], string.sub(noted, 1, #noted - #last) .. told)
end
local at = 2
while at <= #ARGV do
  local count = tonumber(ARGV[at + 1])
  local said = redis.pcall(unpack(ARGV, at + 2, at + 1 + count))
  if type(said) == 'table' and said.err then
    mark(ARGV[at])
    return said.err
  end
  at = at + 2 + count
end
if ARGV[1] ~= '' then mark(ARGV[1]) else redis.call('HDEL', KEYS[1], 'untold:' .. KEYS[2]) end
return ''
"""

log = structlog.get_logger(__name__)


class Note(NamedTuple):
    """What a transaction writes beside the cursor of a key that it writes to, if that key has refused it.

    The server itself notes a key that is not of this ``kind`` or has no id left, whoever is there to hear of it; any
    other refusal is noted when it is heard.
    """

    kind: bytes
    if_refused: bytes


class Telling(NamedTuple):
    """What a key has not taken: packed ``commands``, each with the mark that its note gets if it is refused again.

    ``if_told`` is the mark when all are taken; an empty one means that nothing is left to tell. A mark is a number, or
    a colon and a number behind what was noted, which ends in something else.
    """

    commands: Sequence[tuple[bytes, bytes]]
    if_told: bytes = b""


class Fence:
    """Redis as one owner may write it.

    A transaction happens only if nobody moved the cursor since we read it. Whether one happened whose answer never
    came is therefore a question with an answer: read the cursor. A copy that the server finds in some buffer later
    either runs before our next transaction, which then fails and reads again, or after it, and fails itself.

    ``generation`` counts connections. ``on_tail_lost`` is told (expected, found) when the server has forgotten
    records that it had confirmed.
    ``fields`` are those of the cursor's hash at the last look: a transaction may have put its own beside the cursor.

    A command may fail inside a transaction that happens, cursor and all; ``refused`` counts these. Its key is then
    ``untold``: noted beside the cursor, so that whoever owns the partition next knows it too, and a server that forgets
    the transaction forgets the note. :meth:`tell` ends that; ``refusing`` are those that refused when they were told
    last. Why a key refuses (it is somebody else's; an ACL took it away; no id is left in a stream) is for people to
    mend, so nothing is ever refused for good.
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
        self.refusing: frozenset[str] = frozenset()
        self.fields: Mapping[bytes, bytes] = {}
        self._link = link
        self._ownership = ownership
        self._expected = confirmed
        self._on_tail_lost = on_tail_lost
        self._cursor: Cursor | None = None
        self._is_checked = False
        self._unnoted: dict[str, bytes] = {}
        self._key = cursor_key(ownership.partition)
        self._look = pack("WATCH", self._key) + pack("HGETALL", self._key)

    @property
    def is_open(self) -> bool:
        """Whether the last exchange went well."""
        return self._link.is_open

    @property
    def untold(self) -> dict[str, bytes]:
        """The notes of keys that have refused something, as far as we know; see :class:`Note`."""
        fields = self.fields.items()
        noted = {name.removeprefix(_UNTOLD).decode(): note for name, note in fields if name.startswith(_UNTOLD)}
        return self._unnoted | noted

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
        while self._unnoted:
            await self._note()
        return self._expected

    async def refresh(self) -> None:
        """Read the cursor again and watch it; also tells whether the server is still there and still ours."""
        self._cursor = None
        watched, fields = await self._link.exchange([self._look], 2)
        self._take(watched, fields)

    async def commit(self, packed: Sequence[bytes], record: int, notes: Mapping[str, Note] | None = None) -> bool:
        """Run packed commands and move the cursor to ``record``, if the cursor is where we saw it.

        ``notes`` are those of each key whose commands may be refused.

        False: it was not; ``position`` has been read again. UnavailableError: the answer was an error (nothing
        happened) or did not come (``position`` will tell), or something was refused that has no note.
        """
        answers = await self._transact(packed, record, notes)
        refused = [pair for pair in enumerate(answers or ()) if isinstance(pair[1], ResponseError)]
        if refused:
            reasons = {self._key_of(packed, at): str(reason) for at, reason in reversed(refused)}
            self.refused += len(refused)
            self._remember(reasons, record, notes or {})
        return answers is not None

    async def tell(self, telling: Mapping[str, Telling]) -> None:
        """Let keys take what they have refused, the cursor staying where it is; call ``position`` before.

        UnavailableError: ``key_refuses`` when one of them refuses it still, or as of ``commit``.
        """
        packed = [_pack_telling(self._key, key, each) for key, each in telling.items()]
        answers = await self._transact(packed, self._expected)
        refused = {key: said for key, said in zip(telling, answers or (), strict=False) if said}
        self.refusing = frozenset(refused)
        for key, said in refused.items():
            reason = said.decode() if isinstance(said, bytes) else str(said)
            raise UnavailableError("key_refuses", reason, key=key)

    async def close(self) -> None:
        """Close the connection; the cursor will be read again."""
        self._cursor = None
        await self._link.close()

    def _remember(self, refused: Mapping[str, str], record: int, notes: Mapping[str, Note]) -> None:
        """Keep the notes of what the server has not noted for itself until ``position`` writes them."""
        for key, reason in refused.items():
            log.error("stream_command_refused", record=record, key=key, reason=reason)
        known = self.untold
        self._unnoted |= {key: notes[key].if_refused for key in refused if key in notes and key not in known}
        for key, reason in refused.items():
            if key not in notes:
                raise UnavailableError("redis_refused", reason, key=key)

    async def _note(self) -> None:
        words = [word for key, note in self._unnoted.items() for word in (_UNTOLD + key.encode(), note)]
        answers = await self._transact([pack("HSET", self._key, *words)], self._expected)
        if answers is not None:
            checked(answers[0])
            self._unnoted.clear()

    def _key_of(self, packed: Sequence[bytes], at: int) -> str:
        return key_of(packed[at]).decode(errors="replace") if at < len(packed) else self._key

    async def _transact(
        self, packed: Sequence[bytes], record: int, notes: Mapping[str, Note] | None = None
    ) -> list[Answer] | None:
        """Return the answers to ``packed``, to the move of the cursor and to the notes; None when it did not happen."""
        ownership = self._ownership
        cursor = Cursor(ownership.journal, ownership.epoch or 0, record)
        self._cursor = None
        commands = [*packed, pack_cursor(ownership.partition, cursor)]
        if notes:
            commands.append(_pack_notes(self._key, notes))
        write = [_MULTI, *commands, _EXEC, self._look]
        *queued, executed, watched, fields = await self._link.exchange(write, len(commands) + 4)
        if isinstance(executed, ResponseError):
            # EXECABORT only says that there was an error; the first refused command says which (OOM, MISCONF …).
            reason = next((answer for answer in queued if isinstance(answer, ResponseError)), executed)
            raise UnavailableError("redis_refused", str(reason))
        if executed is not None:
            self._expected = record
        self._take(watched, fields)
        return None if executed is None else rows(executed)

    def _take(self, watched: Answer, fields: Answer) -> None:
        checked(watched)
        said = pairs(fields)
        cursor = decode_cursor(said)
        self._ownership.check(cursor)
        if cursor.record < self._expected:
            self.tails_lost += 1
            self._unnoted.clear()  # with their transactions: all of it is told anew
            log.error("stream_tail_lost", expected=self._expected, found=cursor.record)
            self._on_tail_lost(self._expected, cursor.record)
        self._expected = cursor.record
        self._cursor, self.fields = cursor, said


def _pack_notes(cursor: str, notes: Mapping[str, Note]) -> bytes:
    words = [word for note in notes.values() for word in note]
    return pack("EVAL", NOTE, 1 + len(notes), cursor, *notes, *words)


def _pack_telling(cursor: str, key: str, telling: Telling) -> bytes:
    words: list[Argument] = []
    for mark, command in telling.commands:
        said = words_of(command)
        words += (mark, len(said), *said)
    return pack("EVAL", TELL, 2, cursor, key, telling.if_told, *words)
