"""Records: the inputs of the engine, each as the journal keeps it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum

import msgspec

from hub.model.heard import Heard, Publish
from hub.model.values import Scalar


class Batch(msgspec.Struct, frozen=True, tag="batch"):
    """PUBLISH packets of one session, as they came. ``messages`` is not journaled: it is ``packets`` decoded."""

    session: str
    connection: int
    session_present: bool
    settled: int
    packets: bytes


class Tick(msgspec.Struct, frozen=True, tag="tick"):
    """Nothing but time."""


class Started(msgspec.Struct, frozen=True, tag="started"):
    """A hub process began; the engine has replayed everything before this record.

    ``began`` is the mark of the last gap of its journal, 1 for none: an earlier process of its name may have told of
    more than came before that.
    """

    version: str
    sessions: Sequence[str]
    began: int = 1


class SessionConnected(msgspec.Struct, frozen=True, tag="connected"):
    """A session got its CONNACK."""

    session: str
    connection: int
    session_present: bool


class SessionLost(msgspec.Struct, frozen=True, tag="lost"):
    """A session lost its connection."""

    session: str
    connection: int
    reason: str


class SessionCaughtUp(msgspec.Struct, frozen=True, tag="caught_up"):
    """A session has read everything that was queued before its connection."""

    session: str
    connection: int


class Revision(msgspec.Struct, frozen=True, tag="revision"):
    """New content: documents by key (``kind/…``, ``profile/…``, ``rule/…``, ``place/…``, ``device/…``) by hash.

    The bodies (canonical JSON) are in the journal's ``bodies`` table, written in the same transaction.
    """

    code: str
    put: dict[str, str]
    removed: Sequence[str] = ()


class NewRevision(msgspec.Struct, frozen=True, kw_only=True):
    """A note for the inbox: content that has been checked, with its bodies by hash."""

    revision: Revision
    bodies: Mapping[str, bytes]


class Letter(Publish, frozen=True):
    """The message of a dead letter, which somebody asks to be taken again: its number, and when it came (wall ns)."""

    number: int = 0
    received_at: int = 0


class Control(msgspec.Struct, frozen=True, tag="control"):
    """What an operator or another process asked through ``hub:control:{partition}``; ``expires_at`` is wall ns.

    Without ``entry`` it is a report of our own rim that becomes an event. ``letters`` are those that it names: the rim
    put them there, so that the journal holds what is taken again.
    """

    entry: str
    id: str
    actor: str
    verb: str
    expires_at: int
    args: dict[str, Scalar] = {}
    letters: tuple[Letter, ...] = ()


class OutcomeKind(StrEnum):
    """What the rim saw of a command."""

    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"


class Outcome(msgspec.Struct, frozen=True, tag="outcome"):
    """What became of one transmission of a command at the rim."""

    command: str
    kind: OutcomeKind
    detail: str = ""


Body = Batch | Tick | Started | SessionConnected | SessionLost | SessionCaughtUp | Revision | Control | Outcome


class Record(msgspec.Struct):
    """One input of the engine, fsynced at ``position`` (1, 2, 3 …). Message i of a batch has both times + i ns.

    So has letter i of a request to take some again: they are the messages of its record.
    """

    position: int
    t: int
    received_at: int
    body: Body
    messages: Sequence[Heard] = ()
    bodies: Mapping[str, bytes] = {}


Emit = Callable[[Outcome], None]
