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
from hub.errors import UnavailableError
from hub.model import Control
from hub.registry import audit
from hub.registry.audit import Note
from hub.registry.author import Author
from hub.registry.registry import Registry
from hub.sinks.control import ControlReader, answer_to
from hub.sinks.redis_link import Link, RedisAddress
from hub.veil import Veil

log = structlog.get_logger(__name__)

VIA = "control stream"
RETRY_SECONDS = 1.0
ANSWER_WAIT = timedelta(seconds=2)
LATE_WAIT = timedelta(minutes=5)
"""How long a hub that is slow, or starts only, is waited for; its answers stay in Redis for a minute."""
MOST_UNANSWERED = 1_000
_OURS = ("entry", "answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Whose:
    """Of which partition, and what masks what is personal there, as its kinds are now."""

    partition: str
    veil: Callable[[], Veil]


class _Unanswered(NamedTuple):
    """A request that is written, whose answer is waited for ``until`` (monotonic ns)."""

    verb: str
    actor: str
    until: int


class Auditing:
    """Follows the control stream of a partition by itself, from the last request that the audit knows.

    It waits for the registry as long as it takes; nothing else waits for it. A request is written with what the hub
    answered, if it did so soon; what it answers later is a line of its own, for no line is ever changed. Who agreed to
    what somebody else asked for is written beside what that was.
    """

    def __init__(self, registry: Registry, address: RedisAddress, clock: Clock, whose: Whose) -> None:
        self._registry = registry
        self._link = Link(address)
        self._reader = ControlReader(self._link, clock, partition=whose.partition)
        self._clock = clock
        self._subject = f"control/{whose.partition}/"
        self._answers = f"answer/{whose.partition}/"
        self._veil = whose.veil
        self._unanswered: dict[str, _Unanswered] = {}

    async def run(self) -> None:
        """Write down every request, until cancelled."""
        try:
            position: str | None = None
            while True:
                try:
                    position = await self._last() if position is None else await self._some(position)
                except UnavailableError as error:
                    position = None  # in the middle of a page: what is written already is not written again
                    log.debug("audit_waits", reason=str(error))
                    await self._clock.sleep(RETRY_SECONDS)
        finally:
            await self._link.close()

    async def _last(self) -> str:
        async with self._registry.transaction() as connection:
            found = await audit.lines(connection, what=self._subject, limit=1)
        return str((found[0].after or {}).get("entry", "0-0")) if found else "0-0"

    async def _some(self, position: str) -> str:
        requests: list[Control] = []
        await self._link.open()
        after = await self._reader.read_after(position, requests.append)
        for request in requests:
            if request.verb != ASKS:  # whoever watches asks again and again, and changes nothing
                await self._write(request)
        await self._answered_late()
        return after

    async def _answered_late(self) -> None:
        """Write down what the hub has answered since to requests that were written without."""
        now = self._clock.monotonic_ns()
        for identity, request in list(self._unanswered.items()):
            answer = await answer_to(self._link, self._clock, identity, wait=timedelta())
            if answer is not None:
                after = {"request": identity, "answer": answer.code}
                note = Note(what=f"control.{request.verb}.answered", subject=self._answers + identity, after=after)
                await self._registry.note(note, Author(os_user=VIA, actor=request.actor))
            if answer is not None or now > request.until:
                del self._unanswered[identity]

    async def _write(self, request: Control) -> None:
        # The audit hides what is called a key, and that of an alarm is no secret.
        words = {"about" if name == "key" else name: said for name, said in request.args.items()}
        after: dict[str, Any] = {**self._veil().data(words), "entry": request.entry}
        wait = ANSWER_WAIT if request.expires_at > self._clock.wall_ns() else timedelta()
        answer = await answer_to(self._link, self._clock, request.id, wait=wait)
        if answer is not None:
            after["answer"] = answer.code
        before = await self._asked(str(request.args.get("request", ""))) if request.verb == "confirm" else None
        note = Note(what=f"control.{request.verb}", subject=self._subject + request.id, before=before, after=after)
        await self._registry.note(note, Author(os_user=VIA, actor=request.actor))
        if answer is None and len(self._unanswered) < MOST_UNANSWERED:
            until = self._clock.monotonic_ns() + nanoseconds(LATE_WAIT)
            self._unanswered[request.id] = _Unanswered(request.verb, request.actor, until)

    async def _asked(self, identity: str) -> dict[str, Any] | None:
        """Return what was asked for by the first of two persons, and by whom; None for what nobody asked for."""
        async with self._registry.transaction() as connection:
            found = await audit.lines(connection, what=self._subject + identity, limit=1)
        if not found or found[0].subject != self._subject + identity:
            return None
        words = {name: value for name, value in (found[0].after or {}).items() if name not in _OURS}
        return {"asked_by": found[0].actor, **words}
