"""What operators and other processes ask: the reader of the control stream, and the way to ask."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import cast
from uuid import UUID, uuid4

import msgspec
import structlog

from hub.clock import Clock
from hub.errors import PoisonError, UnavailableError
from hub.model.effects import Reply
from hub.model.records import Control
from hub.model.values import Scalar
from hub.sinks.redis_link import Answer, Argument, Link, pairs, rows
from hub.sinks.rounds import entry_id, facts_of, now_of
from hub.sinks.streams import control_key, decode_reply, pack_first_reply, reply_key

ENTRIES_PER_READ = 100
BLOCK_SECONDS = 2.0
RETRY_SECONDS = 0.5
POLL_SECONDS = 0.02
MOST_BYTES = 64 * 1024
BACK_MS = 300_000
"""So much is read again of a stream that ends before where we were: no request is good for longer (engine.md, Control).

What of it was read before the engine knows, and does not do again.
"""
MOST_ID_BYTES = 64
REQUIRED = (b"id", b"actor", b"verb", b"expires_at")

log = structlog.get_logger(__name__)

_decode_args = msgspec.json.Decoder(dict[str, Scalar]).decode


class ControlReader:
    """Reads ``hub:control:{partition}`` on a connection of its own. Counts: ``read``, ``malformed``.

    For readyz: ``refused_since`` (monotonic ns of the first refusal since the last look, None while it may be read) and
    ``last_error``.
    """

    def __init__(self, link: Link, clock: Clock, *, partition: str) -> None:
        self.read = 0
        self.malformed = 0
        self.refused_since: int | None = None
        self.last_error = ""
        self._link = link
        self._clock = clock
        self._key = control_key(partition)

    async def run(self, after: str, put: Callable[[Control], None]) -> None:
        """Hand over every request after entry ``after`` (the last one journaled; "" = from the first), in order.

        Until cancelled. A malformed entry is answered ``bad_control``, where it has an id, and skipped.
        """
        position = after or "0-0"
        while True:
            try:
                await self._link.open()
                position = await self.read_after(position, put)
            except UnavailableError as error:
                log.debug("control_stream_missed", reason=str(error))
                if error.code == "redis_refused":  # that Redis is away others say
                    self._note_refusal(error)
                await self._clock.sleep(RETRY_SECONDS)
            else:
                self.refused_since = None

    async def close(self) -> None:
        """Close the connection; for after ``run`` has ended."""
        await self._link.close()

    async def read_after(self, position: str, put: Callable[[Control], None]) -> str:
        """Hand over some requests after entry ``position``, waiting a moment for one; return the last entry read.

        Or none, and an earlier one, where the stream ends before ``position``: then some come once more.
        """
        reachable = await self._reachable(position)
        if reachable != position:
            return reachable
        block = ("BLOCK", int(BLOCK_SECONDS * 1000))
        command = ("XREAD", "COUNT", ENTRIES_PER_READ, *block, "STREAMS", self._key, position)
        answer = await self._link.ask(*command, patience=BLOCK_SECONDS)
        for stream in rows(answer):
            for row in rows(rows(stream)[1]):
                entry, fields = cast("tuple[bytes, Answer]", rows(row))
                position = entry.decode()
                await self._take(position, pairs(fields), put)
        return position

    def _note_refusal(self, error: UnavailableError) -> None:
        self.last_error = str(error)
        if self.refused_since is None:
            self.refused_since = self._clock.monotonic_ns()
            log.error("control_stream_refused", reason=self.last_error)

    async def _reachable(self, position: str) -> str:
        """Return ``position``, or an earlier one if the server has lost what led up to it.

        What is asked of it meanwhile may lie before ``position``, its clock being behind that of its predecessor.
        """
        facts = await facts_of(self._link, self._key)
        last = entry_id(facts.get(b"last-generated-id", b"0-0"))
        if last >= entry_id(position.encode()):
            return position
        back = min(last, (max(await now_of(self._link) - BACK_MS, 0), 0))
        log.error("control_stream_goes_back", position=position, to=back)
        return f"{back[0]}-{back[1]}"

    async def _take(self, entry: str, fields: Mapping[bytes, bytes], put: Callable[[Control], None]) -> None:
        try:
            control = decode_control(entry, fields)
        except PoisonError as error:
            self.malformed += 1
            log.warning("control_refused", entry=entry, reason=error.message)
            await self._refuse(fields.get(b"id", b""), error)
        else:
            self.read += 1
            put(control)

    async def _refuse(self, request: bytes, error: PoisonError) -> None:
        if not 0 < len(request) <= MOST_ID_BYTES:
            return  # nobody can be waiting
        # NX: a broken copy of a good request must not replace its answer. A Redis that takes none holds up no other.
        reply = Reply(request.decode(errors="replace"), ok=False, code=error.code, detail=error.message)
        await self._link.exchange([pack_first_reply(reply)], 1)


def decode_control(entry: str, fields: Mapping[bytes, bytes]) -> Control:
    """Return the request of a stream entry; PoisonError ``bad_control``.

    Fields: id (UUID), actor, verb, expires_at (wall ms; ns in the noun), args (a JSON object of scalars, optional).
    """
    missing = [name.decode() for name in REQUIRED if name not in fields]
    if missing:
        raise PoisonError("bad_control", f"missing: {', '.join(missing)}")
    if sum(map(len, fields.values())) > MOST_BYTES:
        raise PoisonError("bad_control", f"more than {MOST_BYTES} bytes")
    try:
        actor, verb, expires_at = (fields[name].decode() for name in REQUIRED[1:])
        control = Control(
            entry,
            _identity(fields[b"id"].decode()),
            actor,
            verb,
            int(expires_at) * 1_000_000,
            _decode_args(fields.get(b"args", b"{}")),
        )
        msgspec.msgpack.encode(control)  # what the journal does: no integer beyond 64 bits gets that far
    except (ValueError, OverflowError, RecursionError, msgspec.DecodeError) as error:
        raise PoisonError("bad_control", str(error)) from error
    if not (actor and verb):
        raise PoisonError("bad_control", "actor and verb must say something")
    return control


def _identity(text: str) -> str:
    """Return the id of a request, a UUID, as its asker spells it: by that he looks for the answer. ValueError."""
    usual = str(UUID(text))
    return text if text.lower() == usual else usual


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What somebody wants of a partition's hub, within ``expires_in``."""

    actor: str
    verb: str
    args: Mapping[str, Scalar] = field(default_factory=dict)
    expires_in: timedelta = timedelta(seconds=10)


async def send_control(link: Link, clock: Clock, partition: str, request: Request, *, wait: timedelta) -> Reply:
    """Ask, and wait for the answer; UnavailableError ``control_unanswered`` (with the id) if none came in time."""
    identity = str(uuid4())
    expires_at = clock.wall_ns() // 1_000_000 + int(request.expires_in / timedelta(milliseconds=1))
    said: tuple[Argument, ...] = ("id", identity, "actor", request.actor, "verb", request.verb)
    args = msgspec.json.encode(dict(request.args))
    await link.ask("XADD", control_key(partition), "*", *said, "expires_at", expires_at, "args", args)
    reply = await answer_to(link, clock, identity, wait=wait)
    if reply is None:
        reason = "no answer; is the hub of this partition running?"
        raise UnavailableError("control_unanswered", reason, partition=partition, id=identity)
    return reply


async def answers_to(link: Link, identities: Sequence[str]) -> list[Reply | None]:
    """Return what the hub answered to each of these requests, as far as Redis still holds it and it can be read."""
    found = rows(await link.ask("MGET", *map(reply_key, identities))) if identities else []
    return [_readable(cast("bytes | None", answer)) for answer in found]


def _readable(answer: bytes | None) -> Reply | None:
    try:
        return None if answer is None else decode_reply(answer)
    except PoisonError:
        return None


async def answer_to(link: Link, clock: Clock, identity: str, *, wait: timedelta) -> Reply | None:
    """Return what the hub answered to a request, as soon as it has; None if it does not in time."""
    deadline = clock.monotonic_ns() + int(wait.total_seconds() * 1e9)
    while True:
        answer = await link.ask("GET", reply_key(identity))
        if answer is not None:
            return decode_reply(cast("bytes", answer))
        if clock.monotonic_ns() >= deadline:
            return None
        await clock.sleep(POLL_SECONDS)
