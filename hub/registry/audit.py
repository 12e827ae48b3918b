"""The audit: who changed what, and who looked at what is secret or personal; it goes with the change or not at all."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from hub.errors import HubError
from hub.registry import schema
from hub.registry.author import Author
from hub.veil import masked_plates

Values = Mapping[str, Any]

HIDDEN = "****"
PAGE = 1_000
ACTOR_SIZE, WHAT_SIZE, SUBJECT_SIZE, REASON_SIZE = 128, 64, 256, 256
_SECRET = re.compile(r"secret|passw|token|hash|private|credential|(^|_)(key|appkey|pin)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One line of the audit before it is written: ``what`` was done to which ``subject`` (``device/s1/gate-1``).

    ``before`` and ``after`` are what differs, None where there was nothing. Values whose names speak of secrets are
    hidden, and so are plates in any text; what else is personal must come in masked (``hub.veil``): the audit is never
    erased.
    """

    what: str
    subject: str
    before: Values | None = None
    after: Values | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line(Note):
    """A line of the audit as it was written; ``revision`` is that of the registry, None for a look."""

    id: int
    at: int
    actor: str
    os_user: str
    revision: int | None


@dataclass(slots=True)
class Change:
    """A transaction that makes the next revision, and what it will leave in the audit."""

    connection: AsyncConnection
    notes: list[Note] = field(default_factory=list)
    may_be_none: bool = False
    """Set by who found that there may be nothing to do: without a note there is then no change, instead of an error."""

    def note(
        self, what: str, subject: str, before: Values | None = None, after: Values | None = None, reason: str = ""
    ) -> None:
        """Write down what is done; a change without a note is refused."""
        self.notes.append(Note(what=what, subject=subject, before=before, after=after, reason=reason))

    def changed(self, what: str, subject: str, old: object, new: object) -> None:
        """Write down what differs between two nouns, which are dataclasses; None: there was none, or is none now."""
        before, after = _plain(old), _plain(new)
        if before is not None and after is not None:
            same = {name for name in before if before[name] == after.get(name)}
            before = {name: value for name, value in before.items() if name not in same}
            after = {name: value for name, value in after.items() if name not in same}
        self.note(what, subject, before, after)


async def write(
    connection: AsyncConnection, author: Author, at: int, revision: int | None, notes: Iterable[Note]
) -> None:
    """Append ``notes`` in the transaction of ``connection``; HubError ``change_not_audited`` when there are none."""
    rows = [
        {
            "at": at,
            "actor": _line(author.actor or author.os_user, ACTOR_SIZE),
            "os_user": _line(author.os_user, ACTOR_SIZE),
            "what": _line(note.what, WHAT_SIZE),
            "subject": _line(masked_plates(note.subject), SUBJECT_SIZE),
            "before": _without_secrets(note.before),
            "after": _without_secrets(note.after),
            "reason": _line(masked_plates(note.reason), REASON_SIZE),
            "revision": revision,
        }
        for note in notes
    ]
    if not rows:
        raise HubError("change_not_audited", "a change that nobody writes down does not happen")
    await connection.execute(schema.audit.insert(), rows)


async def last_line(connection: AsyncConnection) -> int:
    """Return the id of the last line of a revision, 0 before any: a look may be written between the lines of one."""
    of_revisions = select(schema.audit.c.id).where(schema.audit.c.revision.is_not(None))
    return int((await connection.execute(of_revisions.order_by(schema.audit.c.id.desc()).limit(1))).scalar() or 0)


async def lines(  # noqa: PLR0913 -- each is a word of the question
    connection: AsyncConnection,
    *,
    since: int = 0,
    until: int = 2**63 - 1,
    actor: str = "",
    what: str = "",
    limit: int = 1_000,
) -> list[Line]:
    """Return the newest lines, newest first: of ``actor`` (or that OS user), and of what begins with ``what``."""
    table = schema.audit
    query = table.select().where(table.c.at >= since, table.c.at <= until).order_by(table.c.id.desc()).limit(limit)
    if actor:
        query = query.where((table.c.actor == actor) | (table.c.os_user == actor))
    if what:
        is_there = table.c.what.startswith(what, autoescape=True) | table.c.subject.startswith(what, autoescape=True)
        query = query.where(is_there)
    return [Line(**row) for row in (await connection.execute(query)).mappings()]


async def between(connection: AsyncConnection, since: int, until: int) -> AsyncIterator[Line]:
    """Yield all lines of a span (wall ns), oldest first: a town that is imported leaves hundreds of thousands."""
    table = schema.audit
    query = table.select().where(table.c.at >= since, table.c.at <= until).order_by(table.c.id)
    async with connection.stream(query.execution_options(yield_per=PAGE)) as found:
        async for row in found.mappings():
            yield Line(**row)


def _line(text: str, size: int) -> str:
    """Return ``text`` as every database takes it: of a request nobody knows what its sender wrote."""
    return "".join(each if each.isprintable() else "?" for each in text[:size])


def _plain(noun: object) -> dict[str, Any] | None:
    return None if noun is None else asdict(noun)  # type: ignore[call-overload] # a dataclass, as the caller promises


def _without_secrets(values: Values | None) -> dict[str, Any] | None:
    """Return ``values`` with what is secret by its name hidden, at any depth; whether it is set still shows."""
    if values is None:
        return None
    return {name: HIDDEN if value and _SECRET.search(name) else _inside(value) for name, value in values.items()}


def _inside(value: object) -> object:
    if isinstance(value, Mapping):
        return _without_secrets(value)
    if isinstance(value, (list, tuple)):
        return [_inside(each) for each in value]
    return masked_plates(value) if isinstance(value, str) else value
