"""Who may write for a partition: the claim at start, the heartbeat, and the loss of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import cast
from uuid import uuid4

import structlog

from hub.clock import Clock, stroke
from hub.errors import ConfigError, OwnershipLostError, UnavailableError
from hub.sinks.redis_check import ServerCheck, check_server
from hub.sinks.redis_link import Answer, Link, checked, pack, pairs, rows
from hub.sinks.streams import Cursor, cursor_key, decode_cursor, heartbeat_key, pack_cursor

HEARTBEAT_SECONDS = 5
BEAT_EVERY_SECONDS = 1.0
GRACE_SECONDS = 0.2
ASK_SECONDS = 1.0
"""How long Redis may take for an answer: connecting, asking and the second between stay below the heartbeat's life."""
_LIFE_NS = HEARTBEAT_SECONDS * 1_000_000_000

# Check and beat are one atomic step: after a takeover not even the heartbeat of the loser is written. The cursor is
# not WATCHed for it, because our own transactions move it all the time.
_BEAT = """
local owner = redis.call('HMGET', KEYS[1], 'journal', 'epoch')
if owner[1] and (owner[1] ~= ARGV[1] or tonumber(owner[2]) > tonumber(ARGV[2])) then return owner end
redis.call('SET', KEYS[2], ARGV[3], 'EX', ARGV[4])
return 0
"""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a process says of itself when it asks for a partition.

    ``epoch_hint`` is the last epoch that the state file knows, ``journal_end`` the last record of the journal.
    """

    partition: str
    journal: str
    host: str
    epoch_hint: int
    journal_end: int


class Ownership:
    """The ownership of one partition by this process.

    ``epoch`` is None until Redis has given one. ``is_lost`` never turns back. ``confirmed_at`` is the monotonic time
    in ns at which Redis was last asked and said that the epoch is ours. ``on_claimed`` is told the epoch, to keep it
    as the next hint. ``server`` looks at the settings of Redis before anything is claimed.
    """

    def __init__(
        self, link: Link, clock: Clock, claim: Claim, *, on_claimed: Callable[[int], None] | None = None
    ) -> None:
        self.partition = claim.partition
        self.journal = claim.journal
        self.epoch: int | None = None
        self.is_lost = False
        self.confirmed_at: int | None = None
        self.beats_failed = 0
        self.server = ServerCheck()
        self._link = link
        self._clock = clock
        self._claim = claim
        self._on_claimed = on_claimed
        self._token = f"{claim.host} {uuid4().hex}"
        self._asked_at = 0
        self._lock = asyncio.Lock()

    async def claim(self) -> int | None:
        """Claim at start: the epoch, or None while Redis is down (``hold`` claims later).

        ConfigError, before anything is changed: ``journal_mismatch``, ``cursor_ahead``, ``partition_owned_elsewhere``,
        or what :func:`check_server` finds.
        """
        try:
            await check_server(self._link)
            return await self.hold()
        except UnavailableError as error:
            log.warning("partition_claim_postponed", partition=self.partition, reason=str(error))
            return None

    async def hold(self) -> int:
        """Return our epoch, claiming it first if need be; UnavailableError, or the errors of ``claim``."""
        async with self._lock:
            if self.epoch is None:
                await self.server.require(self._link)
                self.epoch = await self._take()
                self.confirmed_at = self._asked_at = self._clock.monotonic_ns()
                log.info("partition_claimed", partition=self.partition, epoch=self.epoch)
                if self._on_claimed is not None:
                    self._on_claimed(self.epoch)
            return self.epoch

    async def run(self) -> None:
        """Beat every second until cancelled; OwnershipLostError ends it."""
        while True:
            try:
                await self.beat()
            except UnavailableError as error:
                self.beats_failed += 1
                log.debug("heartbeat_failed", partition=self.partition, reason=str(error))
            await stroke(self._clock, BEAT_EVERY_SECONDS)

    async def beat(self) -> None:
        """Ask Redis whether the epoch is still ours, and say that we live.

        OwnershipLostError when it is not; UnavailableError when Redis cannot say.
        """
        epoch = await self.hold()
        keys = (cursor_key(self.partition), heartbeat_key(self.partition))
        async with self._lock:
            asked_at = self._clock.monotonic_ns()
            try:
                await self._link.open()
                asked_at = self._clock.monotonic_ns()
                owner = await self._link.ask(
                    "EVAL", _BEAT, 2, *keys, self.journal, epoch, self._token, HEARTBEAT_SECONDS
                )
            finally:
                # The moment of the question: an answer may lie in the socket for as long as we sleep.
                self._asked_at = asked_at
        if owner != 0:
            raise self.lose(owner)
        self.confirmed_at = asked_at

    # What parts that must not act for a lost partition do before they act: hub.bridge.reconnect.Guard.

    @property
    def is_awake(self) -> bool:
        """False when Redis was not even asked for so long that our heartbeat lapsed: another may own the partition."""
        return self.epoch is None or self._clock.monotonic_ns() - self._asked_at < _LIFE_NS

    async def wake(self) -> None:
        """Return at once when awake, else ask; OwnershipLostError."""
        if not self.is_awake:
            await self.ask()

    async def ask(self) -> None:
        """Ask Redis now, for a second at most: OwnershipLostError, or we go on, since no answer stops nothing."""
        with suppress(UnavailableError, TimeoutError):
            async with asyncio.timeout(ASK_SECONDS):
                await self.beat()

    async def prove(self) -> None:
        """Wait until Redis says that the partition is ours; OwnershipLostError."""
        while True:
            try:
                await self.beat()
            except UnavailableError as error:
                log.warning("hearing_waits_for_redis", reason=str(error))
                await self._clock.sleep(BEAT_EVERY_SECONDS)
            else:
                return

    async def close(self) -> None:
        """Close the connection; for after ``run`` has ended. The heartbeat lapses by itself."""
        await self._link.close()

    def check(self, cursor: Cursor) -> None:
        """OwnershipLostError if ``cursor`` belongs to somebody else; an empty or older one is a lost tail, not that."""
        if cursor.journal not in {"", self.journal} or cursor.epoch > (self.epoch or 0):
            raise self.lose(cursor)

    def lose(self, owner: object) -> OwnershipLostError:
        """Mark the partition as lost and return the error to raise."""
        self.is_lost = True
        return OwnershipLostError(
            "partition_taken_over",
            "another process owns the partition; this one stops",
            partition=self.partition,
            epoch=self.epoch,
            owner=str(owner),
        )

    async def _take(self) -> int:
        """Claim until no one else claimed at the same time."""
        has_waited = False
        while True:
            cursor, elsewhere = await self._look()
            check_journal(cursor, self._claim)
            if elsewhere > 0:
                if has_waited:
                    raise _owned_elsewhere(self.partition)
                has_waited = True
                await self._clock.sleep(elsewhere)
                continue
            owned = Cursor(self.journal, max(cursor.epoch, self._claim.epoch_hint) + 1, cursor.record)
            beat = pack("SET", heartbeat_key(self.partition), self._token, "EX", HEARTBEAT_SECONDS)
            if await _transact(self._link, [pack_cursor(self.partition, owned), beat]):
                return owned.epoch

    async def _look(self) -> tuple[Cursor, float]:
        """Watch and read; the seconds to wait for a heartbeat of another host, 0 for none.

        A heartbeat of our own host is a process before us that was killed: the journal's lock says that it is gone.
        """
        cursor, token, seconds = await _watch(self._link, self.partition)
        is_elsewhere = token is not None and token.rpartition(b" ")[0].decode() != self._claim.host
        return cursor, seconds + GRACE_SECONDS if is_elsewhere else 0


def check_journal(cursor: Cursor, claim: Claim) -> None:
    """ConfigError ``journal_mismatch`` or ``cursor_ahead`` if the cursor was not moved by this journal."""
    adopt = f"is the disk of data_dir mounted? restore that journal, or run: hub journal adopt {claim.partition}"
    if cursor.journal not in {"", claim.journal}:
        raise ConfigError(
            "journal_mismatch",
            "this Redis was written from another journal",
            hint=adopt,
            partition=claim.partition,
            ours=claim.journal,
            found=cursor.journal,
        )
    if cursor.record > claim.journal_end:
        raise ConfigError(
            "cursor_ahead",
            "Redis has effects of records that this journal does not hold",
            hint=adopt,
            partition=claim.partition,
            cursor=cursor.record,
            journal_end=claim.journal_end,
        )


async def adopt(link: Link, claim: Claim) -> int:
    """Make the partition's cursor ours, whatever journal wrote it; return the record above which ours must start.

    ConfigError ``partition_owned_elsewhere`` while any process beats for it. For ``hub journal adopt``.
    """
    await link.open()
    while True:
        cursor, token, _ = await _watch(link, claim.partition)
        if token is not None:
            hint = f"stop its hub first; one that has stopped is believed to live for {HEARTBEAT_SECONDS} s more: wait"
            raise ConfigError("partition_owned_elsewhere", "a hub is delivering", hint=hint, partition=claim.partition)
        owned = Cursor(claim.journal, max(cursor.epoch, claim.epoch_hint) + 1, cursor.record)
        if await _transact(link, [pack_cursor(claim.partition, owned)]):
            return owned.record


async def _watch(link: Link, partition: str) -> tuple[Cursor, bytes | None, float]:
    """Watch and read the cursor, the heartbeat and the seconds it has left."""
    cursor, heartbeat = cursor_key(partition), heartbeat_key(partition)
    packed = [
        pack("WATCH", cursor, heartbeat),
        pack("HGETALL", cursor),
        pack("GET", heartbeat),
        pack("PTTL", heartbeat),
    ]
    watched, fields, token, milliseconds = await link.exchange(packed, len(packed))
    checked(watched)
    left = max(cast("int", checked(milliseconds)), 0) / 1000
    return decode_cursor(pairs(fields)), cast("bytes | None", checked(token)), left


async def _transact(link: Link, packed: list[bytes]) -> bool:
    """Run commands in a transaction; False if a watched key changed."""
    answers = await link.exchange([pack("MULTI"), *packed, pack("EXEC")], len(packed) + 2)
    done: Answer = checked(answers[-1])
    for answer in rows(done):
        checked(answer)
    return done is not None


def _owned_elsewhere(partition: str) -> ConfigError:
    return ConfigError(
        "partition_owned_elsewhere",
        "another host is delivering for this partition",
        hint="stop the hub there first",
        partition=partition,
    )
