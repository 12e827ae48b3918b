"""Effects: what the engine wants done, as the sinks owe it and as readers see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple, Protocol, TypeVar

import msgspec

from hub.model.values import Quality, Scalar, Severity, Values

W = TypeVar("W")
UNREGISTERED = " is not registered"
"""What a dead letter ``unknown_device`` says of who is named before it."""


class Series(msgspec.Struct, eq=False, kw_only=True, gc=False):
    """The tags of a time series, from the registry; ``prefix`` is the store's cache of their encoding.

    It comes first because it is all that a message touches: one line of the processor's cache.
    """

    prefix: bytes = b""
    kind: str
    site: str
    building: str
    device: str
    part: str
    profile: str


Point = tuple[Series, int, Values]
"""(series, time in ns UTC, fields): a plain tuple, 0.05 us a message against 0.25 for a struct."""


class Writing(NamedTuple):
    """Points to lines in the words of the stores: how all lines of a series begin, and a line that begins so.

    True: its values are known to be properties that are floats. ``draw`` makes of values what ``end`` writes as a line.
    """

    begin: Callable[[Series], bytes]
    write: Callable[[bytes, int, Values, bool], bytes]
    draw: Callable[[Values], bytes]
    end: Callable[[bytes, int, bytes], bytes]


class Transition(StrEnum):
    """How an alarm moved; ``OCCURRED`` for an event without a state."""

    RAISED = "raised"
    CLEARED = "cleared"
    ACKNOWLEDGED = "acknowledged"
    COMMENTED = "commented"
    SEVERITY_CHANGED = "severity_changed"
    REMINDED = "reminded"
    ESCALATED = "escalated"
    SHELVED = "shelved"
    UNSHELVED = "unshelved"
    OCCURRED = "occurred"


class Where(msgspec.Struct, frozen=True, omit_defaults=True):
    """The place that an event or alarm of a rule for places is about, in words: readers need no registry for it."""

    id: str
    type: str = ""
    label: dict[str, str] = {}


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule raised. ``id`` is BLAKE2b-128 (hex) of journal, rule, key, raise and transition: a replay's is equal.

    ``time`` is wall-clock ns of the transition, ``number`` the running number of the event in its journal: it tells
    two events of one millisecond apart in the time series. ``age`` ns before ``time`` it happened, by the clock of the
    device less that clock's error; 0 where the device told no time. ``causes`` are ``[record position, message index]``
    pairs; ``key`` names what it is about (``site/device`` or ``site/device#part``).
    """

    id: str
    name: str
    severity: Severity
    transition: Transition
    time: int
    age: int = 0
    number: int = 0
    key: str
    rule: str
    rule_version: str
    site: str
    building: str = ""
    device: str = ""
    part: str = ""
    late: bool = False
    test: bool = False
    drill: bool = False
    place: Where | None = None
    label: dict[str, str] = {}
    data: dict[str, Scalar] = {}
    causes: Sequence[tuple[int, int]] = ()


class Entry(NamedTuple):
    """An event as its stream holds it: ``written_at`` ms by the server's clock, ``number`` among those of that ms.

    ``source`` is which hub wrote it, as CloudEvents mean it.
    """

    stream: str
    written_at: int
    number: int
    event: Event
    source: str = ""


class AlarmState(msgspec.Struct, frozen=True, kw_only=True):
    """An active alarm as readers see it in ``hub:alarms:{site}``; ``shelved_until`` wall ns, 0 when it is not.

    ``escalated``: the number of the last step of its rule at which others were told (0: none), and to whom.

    The tests and drills that run stand among them, as ``_test`` and ``_drill``.
    """

    id: str
    name: str
    severity: Severity
    key: str
    rule: str
    site: str
    building: str
    device: str
    part: str
    since: int
    late: bool
    test: bool = False
    drill: bool = False
    acknowledged_by: str | None = None
    shelved_until: int = 0
    shelved_by: str = ""
    place: Where | None = None
    label: dict[str, str] = {}
    data: dict[str, Scalar] = {}
    escalated: int = 0
    escalated_to: str = ""

    @property
    def is_real(self) -> bool:
        """False for what was raised in a test or drill, and for tests and drills themselves."""
        return not (self.test or self.drill)


class AlarmChange(msgspec.Struct, frozen=True):
    """One field of ``hub:alarms:{site}``: ``alarm`` None removes it."""

    site: str
    rule: str
    key: str
    alarm: AlarmState | None


class Reply(msgspec.Struct, frozen=True):
    """The answer to a control entry."""

    id: str
    ok: bool
    code: str
    detail: str = ""


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A message that will never work, with its bytes (first 256 KiB)."""

    number: int
    position: int
    index: int
    received_at: int
    topic: str
    payload: bytes
    payload_bytes: int
    site: str
    device: str
    code: str
    detail: str

    @property
    def whose(self) -> str:
        """Who said it: ``site/device``, or ``@source/name`` as a network calls a device that nobody had registered."""
        if self.code == "unknown_device":
            return self.detail.removesuffix(UNREGISTERED)
        return f"{self.site}/{self.device}"

    @property
    def announced(self) -> DeadLetter:
        """Return what Redis is told of it: its bytes stay with the hub, and need not wait a second time."""
        return msgspec.structs.replace(self, payload=b"")


class Settled(NamedTuple):
    """What was a dead letter until the record at ``position``, and is none any more."""

    position: int
    number: int


class Transmission(msgspec.Struct, frozen=True, kw_only=True):
    """A command on its way to a device: publish ``payload`` at QoS 1 before ``expires_at`` (wall ns), else fail it."""

    command: str
    topic: str
    payload: bytes
    expires_at: int
    response_topic: str
    correlation: bytes
    reflex: bool = False


class Effects(msgspec.Struct):
    """What one record wants done, per deliverer, in order. An engine that can write makes ``lines`` of its points."""

    position: int
    points: list[Point]
    events: list[Event]
    alarms: list[AlarmChange]
    replies: list[Reply]
    dead_letters: list[DeadLetter]
    transmissions: list[Transmission]
    directories: list[tuple[str, bytes]] = []
    """(source, what it says of its devices): the rim makes profiles of it, for the next revision."""
    lines: list[bytes] = []
    settled: list[Settled] = []


class StreamWork(msgspec.Struct):
    """What one record writes to Redis, in one transaction with its cursor."""

    events: list[Event]
    alarms: list[AlarmChange]
    replies: list[Reply]
    dead_letters: list[DeadLetter]


class LineWork(msgspec.Struct):
    """Line protocol of one record; ``points`` and ``events`` count the lines of each sort.

    Each of ``lines`` may be several, a newline between two: of a flood that waits for its store an object for each took
    a quarter more, and left its room among what lives long.
    """

    lines: list[bytes]
    points: int
    events: int


class DesiredValue(msgspec.Struct, frozen=True, kw_only=True):
    """What a person wants a property to be: ``progress`` is pending, satisfied or refused ``since`` then (wall ns)."""

    value: Scalar
    progress: str
    since: int
    set_at: int
    by: str
    reason: str = ""
    detail: str = ""


class Twin(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The state of ``device`` or ``device#part`` as readers see it in ``hub:twin:{site}``.

    ``reported`` maps a property to ``[value, measured_at ns, quality]``; ``desired`` holds those that something is
    desired of, and is left out where nothing is.
    """

    site: str
    name: str
    kind: str
    availability: str
    heard_at: int
    reported: dict[str, tuple[Scalar, int, Quality]]
    desired: dict[str, DesiredValue] = {}


class Owed(Protocol[W]):
    """The undelivered work of one sink, in record order: in memory, and in the outbox on disk when it fell behind."""

    async def take(self, *, items: int, linger: timedelta) -> list[tuple[int, W]]:
        """Return the next (record position, work) pairs; the same ones again until they are confirmed.

        Waits until there is work, then at most ``linger`` for ``items`` of it to come together.
        """
        ...

    async def confirm(self, position: int, tally: Mapping[str, int]) -> None:
        """Forget everything up to ``position``; ``tally`` is added to the sink's counts in the same transaction."""
        ...
