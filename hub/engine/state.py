"""The engine's state as entries: what each one holds, which have changed, and a checkpoint a little at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Any

import msgspec

from hub.commands.desired import Desired
from hub.commands.life import Command, Lease
from hub.engine.answers import Answers
from hub.engine.encoded import Encoded, Piece
from hub.engine.known import DeviceState, Written, entry_key, read
from hub.engine.ledger import Ledger
from hub.engine.meters import Meters
from hub.engine.rows import DeviceRow, Document, Kept, PlaceRow
from hub.engine.unsettled import Unsettled
from hub.errors import CorruptError
from hub.model.values import Scalar
from hub.rules.inputs import Memory
from hub.rules.states import RuleState

ENCODED_BYTES_PER_TURN = 64 * 1024
"""About 0.3 ms of encoding between two batches (``make bench``); the pause budget is 1 ms (engine.md, State)."""
MESSAGES_PER_ENTRY = 8
"""A checkpoint waits for messages that pay for it: an entry costs 6 us."""
GONE_BYTES = 64
"""What saying that an entry is gone counts for."""
SETTLING_NS = 5_000_000_000
"""How long a checkpoint waits for what may settle: that takes a broker 3 s, and what it took needs no digest."""

BLINK_NS = 5_000_000_000
"""What waited no longer than this while the hub was blind is as good as heard at once."""


class SessionState(msgspec.Struct):
    """One MQTT session as the engine knows it.

    ``reheard`` is how far what each older connection left unsettled has come again on this one, and those before
    ``reheard_from`` no more will; ``brings_new``: it has brought a message as sent before that none of them heard
    (hub/engine/redelivery.py).
    """

    connection: int = 0
    connected: bool = False
    caught_up: bool = False
    has_connected: bool = False
    reheard: dict[int, int] = {}
    reheard_from: int = 0
    brings_new: bool = False


class Clock(msgspec.Struct):
    """Engine time, blind time, running numbers; ``has_turned``: while blind, rules came to something else.

    What had come until the engine time awake ``unsure_until`` may be older than it looks, or be over unheard. ``began``
    is the mark of the last gap of the journal; ids are told apart by it.
    """

    journal: str = ""
    position: int = 0
    t: int = 0
    received_at: int = 0
    number: int = 0
    readings: int = 0
    blind_since: int | None = 0
    blind_total: int = 0
    last_entry: str = "0-0"  # of the control stream
    last_connection: int = 0
    sessions: dict[str, SessionState] = {}
    has_turned: bool = False
    claims: int = 0
    unsure_until: int = 0
    dropped: int = 0  # messages, as the broker itself counts them
    began: int = 1

    def awake(self, t: int) -> int:
        """Return ``t`` on the awake clock, which stands still while the hub is blind."""
        return (t if self.blind_since is None else self.blind_since) - self.blind_total

    def see(self, t: int) -> None:
        """Be blind no longer from ``t`` on."""
        woke = self.awake(t)
        if t - woke - self.blind_total > BLINK_NS:
            self.unsure_until = woke
        self.blind_total, self.blind_since = t - woke, None


class Waiting(msgspec.Struct):
    """Messages of a device that is not registered: [t, received_at, topic, payload], newest last.

    ``numbers`` are those of their dead letters; a former version wrote none.
    """

    messages: list[tuple[int, int, str, bytes]] = []
    payload_bytes: int = 0
    numbers: list[int] = []


class Seen(msgspec.Struct):
    """A value that a rule holds a state for, by its key: when it is forgotten, on the awake clock.

    ``number`` tells which was said last; ``is_timed``: somebody looks at that moment.
    """

    rule: str
    key: str
    number: int = 0
    forget_awake: int = 0
    is_timed: bool = False


class ExerciseKind(StrEnum):
    """What is tried: what is raised is only marked, or the whole chain."""

    TEST = "test"
    DRILL = "drill"


class Exercise(msgspec.Struct):
    """A test or drill of what ``key`` names, a device or a place with everything in it, until a moment of engine time.

    ``since`` and ``until_at`` are wall time, ``request`` is what asked for it. Of a drill only its ``rules``, and
    ``doubles`` of these devices, are tried (of a test all). One that is over stays until it ``is_judged``: what it
    changes for rules waits while the hub is blind.
    """

    kind: ExerciseKind
    key: str
    site: str
    actor: str
    reason: str
    since: int
    until_t: int
    until_at: int
    rules: list[str] = []
    with_commands: bool = False
    is_over: bool = False
    is_judged: bool = False
    doubles: list[str] = []
    request: str = ""


class Wanted(msgspec.Struct):
    """A command to a place that waits for a second person until a moment of engine time; ``args`` as it was asked."""

    id: str
    actor: str
    args: dict[str, Scalar]
    until_t: int


Asked = Command | Lease | Exercise | Wanted | Desired
Single = Clock | Ledger | Answers | Meters
Entry = Single | DeviceState | RuleState | Memory | Seen | Asked | Unsettled | Waiting | Document
Touched = Entry | DeviceRow | PlaceRow
"""The document of a device or place changes as its row."""

_TYPES: dict[str, type[Any]] = {
    "clock": Clock, "ledger": Ledger, "answers": Answers, "meters": Meters, "device": Written, "rule": RuleState,
    "memory": Memory, "seen": Seen, "command": Command, "lease": Lease, "mode": Exercise, "wanted": Wanted,
    "desired": Desired, "unsettled": Unsettled, "waiting": Waiting, "document": Document,
}  # fmt: skip


def count(counts: dict[str, int], name: str, by: int = 1) -> None:
    """Add to one of several counts."""
    counts[name] = counts.get(name, 0) + by


class State:
    """All entries by key (``device/site/id``, ``rule/name/key`` …) and which changed since the last checkpoint."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.ledger = Ledger()
        self.answers = Answers()
        self.meters = Meters()
        self.generation = 1
        self._dirty: dict[str, Touched | None] = {}
        self._pending: dict[str, Touched | None] = {}
        self._marked: list[DeviceState | DeviceRow] = []
        self._unencoded: list[DeviceState | DeviceRow] = []
        self._settling: dict[str, Unsettled] = {}
        self._begun = 0
        self._encoded: Encoded | None = None

    def restore(self, entry: Single) -> None:
        """Take one of the entries of which there is one each."""
        match entry:
            case Clock():
                self.clock = entry
            case Ledger():
                self.ledger = entry
            case Answers():
                self.answers = entry
            case Meters():
                self.meters = entry

    def touch(self, key: str, entry: Touched) -> None:
        """Say that ``entry`` is about to change: what a running checkpoint still needs of it is encoded first."""
        if key in self._pending:
            self._encode(key, self._pending.pop(key))
        self._dirty[key] = entry

    def remove(self, key: str) -> None:
        if key in self._pending:
            self._encode(key, self._pending.pop(key))
        elif key in self._settling:
            self._encode(key, self._settling.pop(key))
        self._dirty[key] = None

    def mark(self, known: DeviceState) -> None:
        """Say that a device is about to change, as :meth:`touch` does; once in a generation, which is its ``mark``."""
        self._finish(known)
        known.mark = self.generation
        self._marked.append(known)
        self._dirty.pop(entry_key(known.key), None)  # one of the same name was removed

    def put(self, key: str, document: Kept) -> None:
        """Say that there is a new document; nobody does while a checkpoint is made. A row needs no key: 170 bytes."""
        if isinstance(document, DeviceRow):
            self._marked.append(document)
            self._dirty.pop(f"document/{key}", None)
        else:
            self.touch(f"document/{key}", document)

    def remove_device(self, known: DeviceState) -> None:
        self._finish(known)
        known.mark = 0
        self._dirty[entry_key(known.key)] = None

    def _finish(self, changed: DeviceState | DeviceRow) -> int:
        """Encode what the running checkpoint still needs of a device, if it does; return the bytes of it."""
        if isinstance(changed, DeviceRow):
            return self._encode(f"document/{entry_key(f'{changed.site}/{changed.device}')}", changed)
        if changed.mark != self.generation - 1 or self._encoded is None:
            return 0
        changed.mark = 0
        return self._encode(entry_key(changed.key), changed)

    @property
    def worth_messages(self) -> int:
        """Return after how many messages the next checkpoint pays: with 100,000 devices each may change an entry.

        Where that is more than engine.md's 200,000, this holds; the 30 s stay whatever came.
        """
        return MESSAGES_PER_ENTRY * (len(self._dirty) + len(self._marked))

    @property
    def is_checkpointing(self) -> bool:
        """True between :meth:`begin_checkpoint` and :meth:`take_checkpoint`."""
        return self._encoded is not None

    def begin_checkpoint(self) -> None:
        """Fix what the checkpoint holds: the state as it is now."""
        self.generation += 1
        self._pending, self._dirty = self._dirty, {}
        self._unencoded, self._marked = self._marked, []
        self._unencoded.reverse()  # of two rows of a device the newer is written last
        self._begun = self.clock.t
        self._encoded = Encoded()
        for key, entry in {"clock": self.clock, "ledger": self.ledger, "answers": self.answers}.items():
            self._encoded.add(key, entry)
        self._encoded.add("meters", self.meters if self.meters.by_device else None)  # versions before quotas refuse it

    def encode_some(self, size: int = ENCODED_BYTES_PER_TURN) -> bool:
        """Encode about ``size`` bytes of the checkpoint; True when nothing is left to encode.

        Messages that have not settled come last, and only when they had time to: 0.4 us of each message of a flood.
        """
        done = 0
        while self._unencoded and done < size:
            done += self._finish(self._unencoded.pop())
        while self._pending and done < size:
            key, entry = self._pending.popitem()  # the first of many would be looked for among those gone
            if isinstance(entry, Unsettled):
                self._settling[key] = entry
            else:
                done += self._encode(key, entry)
        while self._settling and done < size and self.clock.t - self._begun > SETTLING_NS:
            done += self._encode(*self._settling.popitem())
        return not self._unencoded and not self._pending and not self._settling

    @property
    def has_only_unsettled(self) -> bool:
        """True when nothing but messages that have not settled is left to encode."""
        return not self._unencoded and not self._pending

    def full_pieces(self) -> list[Piece]:
        """Return what of the checkpoint may lie elsewhere until it is taken."""
        return [] if self._encoded is None else self._encoded.full()

    def take_checkpoint(self) -> Encoded:
        """Return the finished checkpoint: encoded entries by key, None for removed ones."""
        while self._unencoded:
            self._finish(self._unencoded.pop())
        for waiting in (self._pending, self._settling):
            while waiting:
                self._encode(*waiting.popitem())
        self._pending = {}  # an empty dict keeps the room of 100,000
        encoded, self._encoded = self._encoded, None
        return Encoded() if encoded is None else encoded

    def _encode(self, key: str, entry: Touched | None) -> int:
        if isinstance(entry, Unsettled):
            entry.fill()
        body = _body(entry)
        return 0 if self._encoded is None else self._encoded.add(key, body) or GONE_BYTES


def _body(entry: Touched | None) -> object:
    """Return what is encoded of an entry."""
    if isinstance(entry, DeviceState):
        return entry.written()
    return Document(entry.body) if isinstance(entry, DeviceRow | PlaceRow) else entry


def decode_entries(rows: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, Entry]]:
    """Yield the entries of a checkpoint; CorruptError ``bad_checkpoint`` for one that cannot be read."""
    decoders = {prefix: msgspec.msgpack.Decoder(kind) for prefix, kind in _TYPES.items()}
    for key, body in rows:
        try:
            entry = decoders[key.partition("/")[0]].decode(body)
            yield key, read(entry) if isinstance(entry, Written) else entry
        except (KeyError, msgspec.DecodeError) as error:
            code = "bad_checkpoint"
            raise CorruptError(code, f"entry {key!r} cannot be read: {error}") from error
