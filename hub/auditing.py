"""What people ask of a running hub, into the audit: who asked, which verb, of what; each request once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

import structlog

from hub.clock import Clock
from hub.commands.shown import ASKS
from hub.durations import nanoseconds
from hub.errors import PoisonError, UnavailableError
from hub.model.effects import Reply
from hub.model.records import Control
from hub.registry import audit
from hub.registry.audit import Note
from hub.registry.author import Author
from hub.registry.registry import Registry
from hub.sinks.control import ControlReader, answer_to, answers_to
from hub.sinks.redis_link import Link, RedisAddress
from hub.sinks.rounds import EntryId, entry_id
from hub.veil import Veil

log = structlog.get_logger(__name__)

VIA = "control stream"
_CONTROL = "control."
RETRY_SECONDS = 1.0
ANSWER_WAIT = timedelta(seconds=2)
LATE_WAIT = timedelta(minutes=5)
"""How long a hub that is slow, or starts only, is waited for."""
MOST_UNANSWERED = 1_000
_OURS = ("entry", "answer")
_CALLED = {"key": "about", **{name: f"asked_{name}" for name in _OURS}}
"""The audit hides what is called a key, and that of an alarm is no secret; our own words nobody else says."""


@dataclass(frozen=True, slots=True)
class Whose:
    """Of which partition; what masks what is personal there, as its kinds are now; what its hub ``answered``.

    The hub remembers that longer than Redis does, and over restarts.
    """

    partition: str
    veil: Callable[[], Veil]
    answered: Callable[[str], Reply | None]


class _Unanswered(NamedTuple):
    """A request that is written, whose answer is waited for ``until`` (monotonic ns)."""

    verb: str
    actor: str
    until: int


class Auditing:
    """Follows the control stream of a partition by itself, from the last request that the audit knows.

    It waits for the registry as long as it takes; nothing else waits for it. A request is written with what the hub
    answered, if it did so soon; what it answers later is a line of its own, for no line is ever changed: the lines that
    lack it say after a restart which answers are waited for. Who agreed to what somebody else asked for is written
    beside what that was.
    """

    def __init__(self, registry: Registry, address: RedisAddress, clock: Clock, whose: Whose) -> None:
        self._registry = registry
        self._link = Link(address)
        self._reader = ControlReader(self._link, clock, partition=whose.partition)
        self._clock = clock
        self._subject = f"control/{whose.partition}/"
        self._answers = f"answer/{whose.partition}/"
        self._whose = whose
        self._unanswered: dict[str, _Unanswered] = {}
        self._known_to: EntryId = (0, 0)

    async def run(self) -> None:
        """Write down every request, until cancelled."""
        try:
            position: str | None = None
            while True:
                try:
                    position = await self._last() if position is None else await self._some(position)
                except UnavailableError as error:
                    position = None  # in the middle of a page: what is written already is not written again
                    await self._rest(error)
        finally:
            await self._link.close()

    async def _rest(self, error: UnavailableError) -> None:
        log.debug("audit_waits", reason=str(error))
        await self._clock.sleep(RETRY_SECONDS)

    async def _last(self) -> str:
        """Return the last entry that is written, and wait again for the answers that the last minutes' lines lack."""
        async with self._registry.transaction() as connection:
            last = await audit.lines(connection, what=self._subject, limit=1)
            since = last[0].at - nanoseconds(LATE_WAIT) if last else 0
            asked = await audit.lines(connection, what=self._subject, since=since, limit=MOST_UNANSWERED)
            # Of each request at most one, and of those before these no more than were waited for.
            told = await audit.lines(connection, what=self._answers, since=since, limit=2 * MOST_UNANSWERED)
        self._unanswered = {}
        ended = {line.subject for line in told}
        for line in reversed(asked):
            identity = line.subject.removeprefix(self._subject)
            if _OURS[1] not in (line.after or {}) and self._answers + identity not in ended:
                self._wait_for(identity, line.what.removeprefix(_CONTROL), line.actor)
        return str((last[0].after or {}).get("entry", "0-0")) if last else "0-0"

    async def _some(self, position: str) -> str:
        requests: list[Control] = []
        try:
            await self._link.open()
            after = await self._reader.read_after(position, requests.append)
        except UnavailableError as error:  # nothing was written: what the audit knows needs no reading again
            await self._rest(error)
            return position
        if entry_id(after.encode()) < entry_id(position.encode()):
            self._known_to = entry_id(position.encode())
        for request in requests:
            # Whoever watches asks again and again, and changes nothing.
            if request.verb != ASKS and not await self._is_written(request):
                await self._write(request)
        await self._answered_late()
        return after

    async def _is_written(self, request: Control) -> bool:
        """Return whether a request that is read again is in the audit."""
        return entry_id(request.entry.encode()) <= self._known_to and await self._asked(request.id) is not None

    async def _answered_late(self) -> None:
        """Write down what the hub has answered since to requests that were written without."""
        now, waiting = self._clock.monotonic_ns(), list(self._unanswered.items())
        answers = await answers_to(self._link, [identity for identity, _ in waiting])
        for (identity, request), found in zip(waiting, answers, strict=True):
            answer = found or self._whose.answered(identity)
            if answer is not None:
                after = {"request": identity, "answer": answer.code}
                note = Note(what=f"{_CONTROL}{request.verb}.answered", subject=self._answers + identity, after=after)
                await self._registry.note(note, Author(os_user=VIA, actor=request.actor))
            if answer is not None or now > request.until:
                del self._unanswered[identity]

    async def _write(self, request: Control) -> None:
        words = {_CALLED.get(name, name): said for name, said in request.args.items()}
        after: dict[str, Any] = {**self._whose.veil().data(words), "entry": request.entry}
        wait = ANSWER_WAIT if request.expires_at > self._clock.wall_ns() else timedelta()
        try:
            answer = await answer_to(self._link, self._clock, request.id, wait=wait)
        except PoisonError:  # no hub wrote it
            answer = None
        if answer is not None:
            after["answer"] = answer.code
        before = await self._asked(str(request.args.get("request", ""))) if request.verb == "confirm" else None
        note = Note(what=_CONTROL + request.verb, subject=self._subject + request.id, before=before, after=after)
        await self._registry.note(note, Author(os_user=VIA, actor=request.actor))
        if answer is None and len(self._unanswered) < MOST_UNANSWERED:
            self._wait_for(request.id, request.verb, request.actor)

    def _wait_for(self, identity: str, verb: str, actor: str) -> None:
        until = self._clock.monotonic_ns() + nanoseconds(LATE_WAIT)
        self._unanswered[identity] = _Unanswered(verb, actor, until)

    async def _asked(self, identity: str) -> dict[str, Any] | None:
        """Return what was asked for by the first of two persons, and by whom; None for what nobody asked for."""
        if not identity.isprintable():  # it is no request's, and of a NUL PostgreSQL can be asked nothing
            return None
        async with self._registry.transaction() as connection:
            found = await audit.lines(connection, what=self._subject + identity, limit=1)
        if not found or found[0].subject != self._subject + identity:
            return None
        words = {name: value for name, value in (found[0].after or {}).items() if name not in _OURS}
        return {"asked_by": found[0].actor, **words}
