"""The fenced connection: transactions that move the partition's cursor, each of them once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import structlog
from redis.exceptions import ResponseError

from hub.errors import UnavailableError
from hub.sinks.ownership import Ownership
from hub.sinks.redis_link import Answer, Link, checked, pack, pairs, rows
from hub.sinks.streams import Cursor, cursor_key, decode_cursor, pack_cursor

_MULTI = pack("MULTI")
_EXEC = pack("EXEC")
_FRAME = 3  # the answers around the caller's commands before EXEC's own: MULTI, HSET cursor, EXEC

log = structlog.get_logger(__name__)


class Fence:
    """Redis as one owner may write it.

    A transaction happens only if nobody moved the cursor since we read it. Whether one happened whose answer never
    came is therefore a question with an answer: read the cursor. A copy that the server finds in some buffer later
    either runs before our next transaction, which then fails and reads again, or after it, and fails itself.

    ``generation`` counts connections. ``on_tail_lost`` is told (expected, found) when the server has forgotten
    records that it had confirmed. ``refused`` counts commands that failed inside a transaction that happened;
    ``refusals`` are those that wait for :meth:`send_again`.
    ``fields`` are those of the cursor's hash at the last look: a transaction may have put its own beside the cursor.
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
        self.refusals: list[bytes] = []
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

    async def commit(self, packed: Sequence[bytes], record: int) -> bool:
        """Run packed commands and move the cursor to ``record``, if the cursor is where we saw it.

        False: it was not; ``position`` has been read again. UnavailableError: the answer was an error (nothing
        happened) or did not come (``position`` will tell).
        """
        ownership = self._ownership
        cursor = Cursor(ownership.journal, ownership.epoch or 0, record)
        self._cursor = None
        write = [_MULTI, *packed, pack_cursor(ownership.partition, cursor), _EXEC, self._look]
        answers = await self._link.exchange(write, len(packed) + _FRAME + 2)
        *queued, executed, watched, fields = answers
        if executed is not None:
            self._settle(packed, queued, executed, record)
        self._take(watched, fields)
        return executed is not None

    async def send_again(self, record: int) -> None:
        """Send what was refused inside a transaction that happened; UnavailableError ``key_foreign`` while it still is.

        The cursor covers it: if the answer does not come it is sent once more, for twice is better than never; and a
        process that ends before that leaves it untold.
        """
        if not self.refusals:
            return
        packed, self.refusals = self.refusals, []
        is_done = False
        try:
            is_done = await self.commit(packed, record)
        finally:
            if not is_done:
                self.refusals = packed
        if self.refusals:
            raise UnavailableError("key_foreign", f"{len(self.refusals)} commands: a key of ours holds something else")

    async def types(self, keys: Sequence[str]) -> list[bytes]:
        """Return the type of each key, ``none`` where there is none."""
        answers = await self._link.exchange([pack("TYPE", key) for key in keys], len(keys))
        return [cast("bytes", checked(answer)) for answer in answers]

    async def close(self) -> None:
        """Close the connection; the cursor will be read again."""
        self._cursor = None
        await self._link.close()

    def _settle(self, packed: Sequence[bytes], queued: Sequence[Answer], executed: Answer, record: int) -> None:
        if isinstance(executed, ResponseError):
            # EXECABORT only says that there was an error; the first refused command says which (OOM, MISCONF …).
            reason = next((answer for answer in queued if isinstance(answer, ResponseError)), executed)
            raise UnavailableError("redis_refused", str(reason))
        self._expected = record
        for command, answer in zip((*packed, b""), rows(executed), strict=True):  # the last moved the cursor
            if isinstance(answer, ResponseError):
                # A key of ours that someone made into something else: the rest of the transaction happened.
                self.refused += 1
                self.refusals.append(command)
                log.error("stream_command_refused", record=record, reason=str(answer))

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
