"""The fenced connection: transactions that move the partition's cursor, each of them once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, cast

import structlog
from redis.exceptions import ResponseError

from hub.errors import UnavailableError
from hub.sinks.ownership import Ownership
from hub.sinks.redis_link import Answer, Argument, Link, checked, pack, pack_around, pairs, rows
from hub.sinks.streams import Cursor, cursor_key, decode_cursor, pack_cursor

_MULTI = pack("MULTI")
_EXEC = pack("EXEC")
_UNTOLD = b"untold:"

# Both scripts carry commands: the length and the words of each. The keys of these are not among KEYS: one that an ACL
# forbids would refuse the whole script, and so what others get.
_RUN = """
local function run(call)
  local from = at + 1
  at = from + tonumber(ARGV[at])
  return call(unpack(ARGV, from, at - 1))
end
local function is_refused(answer) return type(answer) == 'table' and answer.err end
"""

# Moves the cursor, which is the first command, and runs what goes with it. What a key refuses, for whatever reason, is
# noted beside the cursor in the same breath, whoever is there to hear of it. ARGV: how many notes, key and note of
# each, the commands. The answer: of each key that refuses, its reason and how many commands that were.
MOVE = f"""
local notes, said, place, at = {{}}, {{}}, {{}}, 2
{_RUN}
for _ = 1, tonumber(ARGV[1]) do
  notes[ARGV[at]] = ARGV[at + 1]
  at = at + 2
end
run(redis.call)
while at <= #ARGV do
  local key = ARGV[at + 2]
  if place[key] then
    at = at + 1 + tonumber(ARGV[at])
    said[place[key]] = said[place[key]] + 1
  else
    local answer = run(redis.pcall)
    if is_refused(answer) then
      if notes[key] then redis.call('HSET', KEYS[1], 'untold:' .. key, notes[key]) end
      said[#said + 1], said[#said + 2], said[#said + 3] = key, answer.err, 1
      place[key] = #said
    end
  end
end
return said
"""

# Runs what a key has not taken, up to the first command that it refuses again, and marks in the same breath how far it
# came. ARGV: the key, the mark when all went well, how many commands, the mark of each if it is refused, the commands.
# A mark takes the place of the one at the end of the note: what stands before it is not sent again, however long it is.
TELL = f"""
local field, many, at = 'untold:' .. ARGV[1], tonumber(ARGV[3]), 4 + tonumber(ARGV[3])
{_RUN}
local function mark(told)
  local noted = redis.call('HGET', KEYS[1], field) or ''
  local last = string.match(string.sub(noted, -22), ':?%d*$')
  redis.call('HSET', KEYS[1], field, string.sub(noted, 1, #noted - #last) .. told)
end
for each = 1, many do
  local answer = run(redis.pcall)
  if is_refused(answer) then
    mark(ARGV[3 + each])
    return answer.err
  end
end
if ARGV[2] ~= '' then mark(ARGV[2]) else redis.call('HDEL', KEYS[1], field) end
return ''
"""

log = structlog.get_logger(__name__)


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

    ``on_tail_lost`` is told (expected, found) when the server has forgotten records that it had confirmed, or the
    cursor itself. ``confirmed`` is what its owner keeps no more: no note of ours lies below. ``generation`` counts
    connections and these losses: what is shown whole is shown again with each. ``fields`` are those of the cursor's
    hash at the last look: a transaction may have put its own beside the cursor.

    A key may refuse its command in a transaction that happens, cursor and all; ``refused`` counts these. It is then
    ``untold``: the server itself has noted that beside the cursor, so that it is known though the answer is lost, also
    to whoever owns the partition next, and a server that forgets the transaction forgets the note. :meth:`tell` ends
    that; ``refusing`` are those that refused when they were told last. Why a key refuses (it is somebody else's; an ACL
    took it away; no id is left in a stream) is for people to mend, so nothing is ever refused for good.
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
        self.confirmed = self._expected = confirmed
        self._on_tail_lost = on_tail_lost
        self._cursor: Cursor | None = None
        self._is_checked = False
        self._key = cursor_key(ownership.partition)
        self._look = pack("WATCH", self._key) + pack("HGETALL", self._key)

    @property
    def is_open(self) -> bool:
        """Whether the last exchange went well."""
        return self._link.is_open

    @property
    def untold(self) -> dict[str, bytes]:
        """The notes of keys that have refused something."""
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

    async def commit(self, packed: Sequence[bytes], record: int, notes: Mapping[str, bytes] | None = None) -> bool:
        """Run packed commands and move the cursor to ``record``, if the cursor is where we saw it.

        ``notes`` are what is noted of a key when it refuses its commands.

        False: it was not; ``position`` has been read again. UnavailableError: the answer was an error (nothing
        happened) or did not come (``position`` will tell), or something was refused that has no note.
        """
        known = notes or {}
        words = [len(known), *(word for pair in known.items() for word in pair)]
        script = _pack_script(MOVE, self._key, words, [self._pack_cursor(record), *packed])
        answers = await self._transact([script], record)
        if answers is None:
            return False
        refused = _refusals(answers[0])
        for key, reason, count in refused:
            self.refused += count
            log.error("stream_command_refused", record=record, key=key, reason=reason)
        for key, reason, _ in refused:
            if key not in known:
                raise UnavailableError("redis_refused", reason, key=key)
        return True

    async def tell(self, telling: Mapping[str, Telling]) -> None:
        """Let keys take what they have refused, the cursor staying where it is; call ``position`` before.

        UnavailableError: ``key_refuses`` when one of them refuses it still, or as of ``commit``.
        """
        packed = [_pack_telling(self._key, key, each) for key, each in telling.items()]
        answers = await self._transact([*packed, self._pack_cursor(self._expected)], self._expected)
        refused = {key: said for key, said in zip(telling, answers or (), strict=False) if said}
        self.refusing = frozenset(refused)
        for key, said in refused.items():
            reason = said.decode() if isinstance(said, bytes) else str(said)
            raise UnavailableError("key_refuses", reason, key=key)

    async def close(self) -> None:
        """Close the connection; the cursor will be read again."""
        self._cursor = None
        await self._link.close()

    def _pack_cursor(self, record: int) -> bytes:
        ownership = self._ownership
        return pack_cursor(ownership.partition, Cursor(ownership.journal, ownership.epoch or 0, record))

    async def _transact(self, commands: Sequence[bytes], record: int) -> list[Answer] | None:
        """Return the answers to ``commands``, the last of which moves the cursor; None when it did not happen."""
        self._cursor = None
        write = [_MULTI, *commands, _EXEC, self._look]
        *queued, executed, watched, fields = await self._link.exchange(write, len(commands) + 4)
        if isinstance(executed, ResponseError):
            # EXECABORT only says that there was an error; the first refused command says which (OOM, MISCONF …).
            reason = next((answer for answer in queued if isinstance(answer, ResponseError)), executed)
            raise UnavailableError("redis_refused", str(reason))
        answers = None if executed is None else rows(executed)
        if answers is not None and not isinstance(answers[-1], ResponseError):
            self._expected = record
        self._take(watched, fields)
        return answers

    def _take(self, watched: Answer, fields: Answer) -> None:
        checked(watched)
        said = pairs(fields)
        cursor = decode_cursor(said)
        self._ownership.check(cursor)
        if cursor.record < self._expected or (self.fields and not said):  # a flush ends no connection
            self._lose(self._expected, cursor.record)
        self._expected = cursor.record
        self._cursor, self.fields = cursor, said

    def reach(self, record: int) -> None:
        """Hear that some key has nothing behind ``record``: a server that forgot may have the note, and its cursor."""
        if record < self.confirmed:
            self._lose(self.confirmed, record)

    def _lose(self, expected: int, found: int) -> None:
        self.tails_lost += 1
        self.generation += 1
        self.confirmed = min(self.confirmed, found)
        log.error("stream_tail_lost", expected=expected, found=found)
        self._on_tail_lost(expected, found)


def _refusals(answer: Answer) -> list[tuple[str, str, int]]:
    """Return what a script of MOVE says: of each key that refuses, its reason and how many commands that were."""
    said = cast("list[bytes]", rows(answer))
    return [
        (key.decode(errors="replace"), reason.decode(errors="replace"), int(count))
        for key, reason, count in zip(said[::3], said[1::3], said[2::3], strict=True)
    ]


def _pack_telling(cursor: str, key: str, telling: Telling) -> bytes:
    marks = [mark for mark, _ in telling.commands]
    words: list[Argument] = [key, telling.if_told, len(marks), *marks]
    return _pack_script(TELL, cursor, words, [command for _, command in telling.commands])


def _pack_script(script: str, cursor: str, words: Sequence[Argument], carried: Sequence[bytes]) -> bytes:
    return pack_around("EVAL", script, 1, cursor, *words, carried=carried)
