"""What is desired of a device, lastingly: held to what it reports, and when to send what makes it so; pure."""

from __future__ import annotations

from enum import Enum, StrEnum, auto
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from hub.model.values import Scalar

SECOND = 1_000_000_000
FIRST_NS, LONGEST_NS = 10 * SECOND, 600 * SECOND
"""How long after a command the next one may leave: twice as long each time."""
MOST_TRIES = 8
"""So many commands in half an hour change nothing: then a person has to look."""
CALM_NS = 600 * SECOND
"""What was as desired for so long begins anew when it is no longer; what flaps in between does not."""


class Progress(StrEnum):
    """How far it is: not so yet, as the device reports it, or given up."""

    PENDING = "pending"
    SATISFIED = "satisfied"
    REFUSED = "refused"


class Desired(msgspec.Struct, frozen=True, kw_only=True):
    """A value that a person wants a property of a part to have from now on; ``command`` is what makes it so.

    ``id`` is that of the request; ``set_at`` and ``since`` (when ``progress`` changed last) are wall ns, ``since_t`` is
    engine time. ``tries`` left without avail, the last one at ``tried_t``, named ``last``; no other before ``next_t``.
    ``is_overruled``: somebody had something else done, or took its command back, so this is not done until somebody
    wants it anew.
    """

    id: str
    site: str
    device: str
    part: str
    name: str
    value: Scalar
    command: str
    sets: str
    actor: str
    reason: str
    set_at: int
    since: int
    progress: Progress = Progress.PENDING
    detail: str = ""
    tries: int = 0
    sent: int = 0
    last: str = ""
    since_t: int = 0
    tried_t: int = 0
    next_t: int = 0
    was_away: bool = False
    is_overruled: bool = False

    @property
    def key(self) -> str:
        """Return what there is one of: this property of this part."""
        return f"{self.site}/{self.device}#{self.part}/{self.name}"

    @property
    def on_its_way(self) -> str:
        """Return what is said of it while its command is out."""
        return f"{self.command} is sent"


class Seen(NamedTuple):
    """What is known of the device: what it reports (None: nothing), whether it is there, and of the last command.

    ``at`` is wall ns, ``t`` engine time.
    """

    reported: Scalar | None
    is_here: bool
    is_open: bool
    last_end: str
    at: int
    t: int


class Move(Enum):
    """What comes of a look."""

    STAY = auto()
    TRY = auto()
    DIVERGED = auto()
    RECONCILED = auto()
    GAVE_UP = auto()


def is_same(one: Scalar | None, other: Scalar | None) -> bool:
    """Return whether two values are one: true is not 1."""
    return one == other and isinstance(one, bool) is isinstance(other, bool)


def look(wanted: Desired, seen: Seen) -> tuple[Desired, Move]:
    """Return what becomes of ``wanted``, the very same when nothing does. Whoever tries says so by :func:`tried`."""
    if not wanted.is_overruled and is_same(seen.reported, wanted.value):
        return _satisfied(wanted, seen)
    if wanted.is_overruled or (wanted.progress is Progress.SATISFIED and seen.reported is None):
        return wanted, Move.STAY
    if wanted.progress is Progress.SATISFIED:
        tries = 0 if seen.t - wanted.since_t > CALM_NS else wanted.tries
        return _moved(wanted, Progress.PENDING, "", seen, tries=tries), Move.DIVERGED
    if not seen.is_here:
        return (wanted if wanted.was_away else replace(wanted, was_away=True, detail="offline")), Move.STAY
    if wanted.was_away:
        back = replace(wanted, was_away=False, tries=0, next_t=wanted.tried_t and wanted.tried_t + FIRST_NS, detail="")
        return look(_moved(back, Progress.PENDING, "", seen), seen)
    return _press(wanted, seen)


def _press(wanted: Desired, seen: Seen) -> tuple[Desired, Move]:
    """Return what becomes of one whose device is there, and otherwise: what its last command came to is kept."""
    if wanted.progress is Progress.REFUSED or seen.is_open:
        return wanted, Move.STAY
    came_to = f"{wanted.command} {seen.last_end}"
    if seen.last_end and wanted.detail == wanted.on_its_way:
        wanted = replace(wanted, detail=came_to)
    if seen.t < wanted.next_t:
        return wanted, Move.STAY
    if wanted.tries >= MOST_TRIES:
        why = f"{wanted.tries} commands did not make it so: {wanted.detail}"
        return _moved(wanted, Progress.REFUSED, why, seen), Move.GAVE_UP
    return wanted, Move.TRY


def _satisfied(wanted: Desired, seen: Seen) -> tuple[Desired, Move]:
    if wanted.progress is Progress.SATISFIED:
        return (replace(wanted, was_away=False) if wanted.was_away else wanted), Move.STAY
    return replace(_moved(wanted, Progress.SATISFIED, "", seen), was_away=False), Move.RECONCILED


def _moved(wanted: Desired, progress: Progress, detail: str, seen: Seen, *, tries: int | None = None) -> Desired:
    now = replace(wanted, progress=progress, detail=detail, tries=wanted.tries if tries is None else tries)
    return now if progress is wanted.progress else replace(now, since=seen.at, since_t=seen.t)


def tried(wanted: Desired, identity: str, t: int) -> Desired:
    """Return it after a command, named ``identity``, has left."""
    wait = min(FIRST_NS << wanted.tries, LONGEST_NS)
    return replace(
        wanted, tries=wanted.tries + 1, sent=wanted.sent + 1, last=identity, tried_t=t, next_t=t + wait,
        detail=wanted.on_its_way,
    )  # fmt: skip


def hindered(wanted: Desired, why: str) -> Desired:
    """Return it while something keeps its command from leaving, which costs no try; the same when that is known."""
    return wanted if wanted.detail == why else replace(wanted, detail=why)


def overruled(wanted: Desired, who: str, at: int) -> Desired:
    """Return it after somebody has had something else done."""
    return replace(wanted, progress=Progress.REFUSED, detail=f"overruled: {who}", since=at, is_overruled=True)
