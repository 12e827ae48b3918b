"""The nouns of the hub: what is heard, what the engine wants done, what the rims promise each other.

Times are integer nanoseconds. ``t`` is engine time (strictly increasing within a journal), ``received_at`` and
``measured_at`` are UTC wall clock. Structs of msgspec are used instead of dataclasses where a noun crosses the
journal or the outbox: they are their own wire form (encoding an event: 1.1 us, against 14 us for dataclass + json).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple, Protocol, TypeVar

import msgspec

W = TypeVar("W")

Scalar = bool | int | float | str
Values = dict[str, Scalar]


class Quality(StrEnum):
    """Trust in a value."""

    GOOD = "good"
    UNCERTAIN = "uncertain"
    BAD = "bad"


class Severity(StrEnum):
    """How bad an event or alarm is, worst first."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"


SEVERITY_RANKS = {severity: rank for rank, severity in enumerate(Severity)}
"""The worst is 0."""


class PlaceType(StrEnum):
    """What a place is; the tree goes from a site down. A rule can be for any of them, and sees all devices below it."""

    SITE = "site"
    BUILDING = "building"
    UNIT = "unit"
    FLOOR = "floor"
    DWELLING = "dwelling"
    ELEVATOR = "elevator"
    GATE = "gate"
    LANE = "lane"
    FIRE_ZONE = "fire_zone"


class CodeForm(StrEnum):
    """What stands behind the colon of a code: an opaque reference, a plate, a device or place, or a word of its own."""

    REFERENCE = "reference"
    PLATE = "plate"
    DEVICE = "device"
    PLACE = "place"
    WORD = "word"


class TopicClass(StrEnum):
    """What a topic carries; the last segment of a native topic."""

    TELEMETRY = "telemetry"
    SIGNAL = "signal"
    RESPONSE = "response"
    AVAILABILITY = "availability"
    DRILL = "drill"
    """What a drill lets a detector's double say: never the device itself, and heard only while the drill runs."""


class Timeliness(StrEnum):
    """What a message may do: act, be judged without acting, or only be stored."""

    LIVE = "live"
    LATE = "late"
    BACKFILL = "backfill"


# --------------------------------------------------------------------------------------------- heard from devices


class Heard(Protocol):
    """One PUBLISH as its codec decoded it; the codec's own object, so that no second one is made per message."""

    @property
    def topic(self) -> str: ...
    @property
    def payload(self) -> bytes: ...
    @property
    def packet_id(self) -> int | None: ...
    @property
    def duplicate(self) -> bool: ...
    @property
    def retain(self) -> bool: ...


class Publish(msgspec.Struct, frozen=True):
    """A :class:`Heard` of our own, for packets that did not come through the codec and for tests."""

    topic: str
    payload: bytes
    packet_id: int | None = None
    duplicate: bool = False
    retain: bool = False


class Address(msgspec.Struct, frozen=True):
    """What a topic says: which device of which site, and what it carries."""

    site: str
    device: str
    topic_class: TopicClass


class Signal(msgspec.Struct, frozen=True):
    """A momentary fact a device reports, such as ``access.denied``."""

    name: str
    data: dict[str, Scalar] = {}


class Reading(msgspec.Struct, frozen=True, gc=False):
    """What one element of a payload means: canonical values and signals of one part at one moment.

    ``values`` are typed as the kind says (a float property is a float). ``measured_at`` is None without a device
    clock. ``seq``/``boot`` are the native counters. A heartbeat is a reading with neither values nor signals.
    ``bad`` names the properties outside their range: stored, but of quality bad.
    """

    values: Values
    signals: Sequence[Signal] = ()
    part: str | None = None
    measured_at: int | None = None
    identity: str | None = None
    backfill: bool = False
    critical: bool = False
    seq: int | None = None
    boot: str | None = None
    bad: Sequence[str] = ()


class Handler(Protocol):
    """A compiled device profile: one payload to its readings; raises PoisonError with a stable code."""

    def __call__(self, payload: bytes, /) -> Sequence[Reading]: ...


# ------------------------------------------------------------------------------- what a session hands to the uplink


class Packets(msgspec.Struct):
    """PUBLISH packets in receive order: ``raw`` is the concatenation of their bytes, ``messages`` their decoding.

    ``settled`` counts the messages of this connection whose ack the broker surely took.
    """

    raw: bytes
    messages: list[Heard]
    settled: int
    session_present: bool


class Connected(msgspec.Struct, frozen=True, tag="connected"):
    """A CONNACK with success."""

    session_present: bool


class Lost(msgspec.Struct, frozen=True, tag="lost"):
    """The connection ended; ``reason`` for people."""

    reason: str


class CaughtUp(msgspec.Struct, frozen=True, tag="caught_up"):
    """The marker of this connection came back: everything queued before it has been read."""

    packet_id: int | None = None


class Delivery(msgspec.Struct):
    """One thing a session says, in receive order; ``connection`` fences its acks."""

    session: str
    connection: int
    body: Packets | Connected | Lost | CaughtUp


class UplinkSession(Protocol):
    """One MQTT session: reads, and acknowledges only when told, only on the connection the message came on."""

    @property
    def name(self) -> str: ...

    async def run(self) -> None:
        """Connect, subscribe, read into the inbox, reconnect; until cancelled."""
        ...

    def acknowledge(self, delivery: Delivery) -> bool:
        """Ack what ``delivery`` carries, in order. False (and counted) when its connection is gone."""
        ...

    def pause_reading(self) -> None:
        """Stop reading the socket; pings go on."""
        ...

    def resume_reading(self) -> None:
        """Read again."""
        ...


# --------------------------------------------------------------------------------------------------------- records


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
    """A hub process began; the engine has replayed everything before this record."""

    version: str
    sessions: Sequence[str]


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


class Control(msgspec.Struct, frozen=True, tag="control"):
    """What an operator or another process asked through ``hub:control:{partition}``; ``expires_at`` is wall ns.

    Without ``entry`` it is a report of our own rim that becomes an event.
    """

    entry: str
    id: str
    actor: str
    verb: str
    expires_at: int
    args: dict[str, Scalar] = {}


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
    """One input of the engine, fsynced at ``position`` (1, 2, 3 …). Message i of a batch has both times + i ns."""

    position: int
    t: int
    received_at: int
    body: Body
    messages: Sequence[Heard] = ()
    bodies: Mapping[str, bytes] = {}


# --------------------------------------------------------------------------------------------------------- effects


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

    True: its values are known to be properties that are floats.
    """

    begin: Callable[[Series], bytes]
    write: Callable[[bytes, int, Values, bool], bytes]


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


# ------------------------------------------------------------------------------------------- from outbox to sinks


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


Emit = Callable[[Outcome], None]
