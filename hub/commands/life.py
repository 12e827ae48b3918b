"""The life of a command: accepted, sent, delivered, executed or an honest end; and leases that always end."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from hub.model.records import OutcomeKind
from hub.model.values import Scalar

DEFAULT_EXPIRY_NS = 10_000_000_000
"""Every command has an expiry (engine.md, Commands)."""


class CommandState(StrEnum):
    """Where a command stands; PUBACK (delivered) is not execution, and ``executed`` is only the device's word.

    ``verified``: what the device reports shows it. ``superseded``: another owns the actuator. ``cancelled``: a person
    took it back. ``waiting_for_uplink``: it leaves when the device, which hears nothing before, has spoken.
    """

    ACCEPTED = "accepted"
    WAITING = "waiting_for_uplink"
    SENT = "sent"
    DELIVERED = "delivered"
    EXECUTED = "executed"
    VERIFIED = "verified"
    REJECTED = "rejected"
    FAILED = "failed"
    TIMEOUT = "timeout"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"


OPEN = frozenset({CommandState.ACCEPTED, CommandState.WAITING, CommandState.SENT, CommandState.DELIVERED})
UNSENT = frozenset({CommandState.ACCEPTED, CommandState.WAITING})
_ORDER = {CommandState.ACCEPTED: 0, CommandState.WAITING: 0, CommandState.SENT: 1, CommandState.DELIVERED: 2}

_AFTER = {
    OutcomeKind.SENT: CommandState.SENT,
    OutcomeKind.DELIVERED: CommandState.DELIVERED,
    OutcomeKind.FAILED: CommandState.FAILED,
}


class Step(msgspec.Struct, frozen=True):
    """What became of a command at a moment of wall time (ns), and what was said of it: a device's code, a reason."""

    what: str
    at: int
    detail: str = ""


ANSWERED_LATE = "answered_late"
MOST_STEPS = 20
"""Whoever answers a command again and again is not written down for ever."""


class Command(msgspec.Struct):
    """One request to a device. ``expires_t`` is engine time, ``expires_at`` wall ns (also the MQTT message expiry).

    ``created_t`` is the engine time at which it was made, 0: an older version wrote it. ``ended_t`` is that of its end,
    from which on it is kept for answers that come late.
    ``sets`` names what of the part it sets, its actuator; one that a ``lease`` sends stands for that. ``number`` tells
    which was made last. Until ``verify_t`` what is reported ``since`` it was made (engine time awake) may show it done;
    0: nothing can, or that time is over. ``steps``: what became of it since it was accepted, oldest first. ``tries``:
    how often the same was let go in vain before it.
    """

    id: str
    site: str
    device: str
    part: str
    name: str
    args: dict[str, Scalar]
    priority: str
    cause: str
    created_at: int
    expires_t: int
    expires_at: int
    reflex: bool = False
    drill: bool = False
    state: CommandState = CommandState.ACCEPTED
    detail: str = ""
    sets: str = ""
    number: int = 0
    lease: str = ""
    is_delivered: bool = False
    ended_t: int = 0
    verify_t: int = 0
    since: int = 0
    steps: tuple[Step, ...] = ()
    created_t: int = 0
    tries: int = 0

    @property
    def is_done(self) -> bool:
        """True when its device said, or shows, that it was done; also when it said so after the end."""
        has_ended_well = self.state in {CommandState.EXECUTED, CommandState.VERIFIED}
        return has_ended_well or any(step.what == ANSWERED_LATE for step in self.steps)

    def note(self, what: str, at: int, detail: str) -> None:
        """Write down what became of it."""
        if len(self.steps) < MOST_STEPS:
            self.steps = (*self.steps, Step(what, at, detail))

    @property
    def words(self) -> dict[str, Scalar]:
        """What an event tells of it: also when it was accepted, and its steps in ms from then on."""
        steps = ", ".join(f"{step.what} {(step.at - self.created_at) // 1_000_000}" for step in self.steps)
        return {
            "command": self.name, "id": self.id, "detail": self.detail, "priority": self.priority,
            "accepted_at": self.created_at // 1_000_000, "steps": steps,
        }  # fmt: skip


class Standing(StrEnum):
    """Where a lease stands: it owns its actuator, waits beneath another claim, or is over but for its release."""

    HOLDS = "holds"
    WAITS = "waits"
    RELEASES = "releases"


class Lease(msgspec.Struct):
    """A hold that must end: renewed at half its ttl while its alarm is active, released when it is cleared or lapses.

    What nobody could renew while the hub was down lapses at the start; an alarm's for the safety of life is renewed
    then, and until the alarm is judged. ``lapses_t`` is when the device lets go by itself; ``ends_t`` bounds the
    renewals (``at_most``). ``last`` is the command that it sent last. One that ``releases`` tries at ``renews_t``,
    until its release is done; one that waits ``owes_release`` as long as that is not. ``tries``: how many releases came
    to nothing since it held, of which ``unheeded`` the broker took or the device refused. ``barred``: why an interlock
    keeps it, or its release, from leaving. ``asleep``: its device speaks more seldom than it lasts, so it is sent
    whenever that has spoken, and not in between. ``made_at`` is wall ns.
    """

    id: str
    rule: str
    key: str
    site: str
    device: str
    part: str
    command: str
    release: str
    args: dict[str, Scalar]
    priority: str
    ttl_ns: int
    renews_t: int
    lapses_t: int
    ends_t: int | None = None
    steps: int = 0
    drill: bool = False
    reflex: bool = False
    sets: str = ""
    number: int = 0
    standing: Standing = Standing.HOLDS
    last: str = ""
    tries: int = 0
    owes_release: bool = False
    barred: str = ""
    expiry_ns: int = DEFAULT_EXPIRY_NS
    made_at: int = 0
    asleep: bool = False
    unheeded: int = 0

    @property
    def is_of_an_alarm(self) -> bool:
        """True when it lasts as long as an alarm does; else as long as was asked."""
        return self.key != self.id


def after_outcome(state: CommandState, outcome: OutcomeKind) -> CommandState:
    """Return the state after what the rim saw; a late or repeated outcome moves nothing back."""
    if state not in OPEN:
        return state
    wanted = _AFTER[outcome]
    return wanted if wanted not in _ORDER or _ORDER[wanted] > _ORDER[state] else state


def after_response(state: CommandState, *, ok: bool) -> CommandState:
    """Return the state after the device's own answer; one that comes after the end moves nothing."""
    if state not in OPEN:
        return state
    return CommandState.EXECUTED if ok else CommandState.REJECTED


def after_expiry(state: CommandState) -> CommandState:
    """Return the state when time is up: never sent is expired, sent without an answer is a timeout."""
    if state not in OPEN:
        return state
    return CommandState.EXPIRED if state in UNSENT else CommandState.TIMEOUT
