"""What is known when a fault is over: the publisher's log, the journal, the stores, and what the hub said of itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.chaos.faults.fault import Fault, Loss

HUB_DOWN_SECONDS = 2.2
"""What a kill may cost while nobody listens: with autosave_interval 1 mosquitto 2.0.11 saves every 2.0 s (see
tests/bridge/test_saves.py), and then the save takes a moment."""


@dataclass(frozen=True, kw_only=True)
class Vital:
    """What the hub's process took at most."""

    memory_grown_bytes: int = 0
    outbox_bytes: int = 0
    journal_bytes: int = 0
    lag_records: int = 0
    waiting_records: int = 0


@dataclass(kw_only=True)
class Acting:
    """What came of commands, as a fault saw it on the wire.

    ``wanted``: how each command that it asked for must end, by id. ``release_seconds``: from the start of a hub until
    the release of what had lapsed was there. Doors that a fire holds: ``let_go`` while it burned, ``forgotten`` by a
    hub that started.
    """

    wanted: dict[str, str] = field(default_factory=dict)
    release_seconds: float = 0.0
    let_go: list[str] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Observations of one fault; numbers are the publisher's.

    ``acked``: PUBACKed; ``tried``: sent; ``heard``: in the journal; ``inversions`` came first behind a later one of
    their device and session. ``judged``: how often each became a point or an event by the shadow; ``stored``: how
    often each is in the store (a point) or in the stream (a card). ``told``: event ids of the streams by domain, in
    order; ``expected``: the shadow's. ``stored_events`` counts event ids in the store. ``ledger`` is /metrics.
    ``differing``: entries of the hub's state that are not the shadow's at record ``checkpoint``. ``said``: codes of
    /readyz during the fault; ``unsure``: those that may tell of a busy machine alone. ``forgiven`` and
    ``doubled_before`` were told of after an earlier fault; ``rejected``: what the store refuses for good;
    ``losable``: what a killed broker took after its last save and behind all that was heard of that topic, where that
    is known; ``copies_allowed``: what the broker could not mark as sent before. ``ends``: what the streams tell of each
    command, by id, in order.
    """

    fault: Fault
    rate: int
    ack_delay_seconds: float
    acked: frozenset[int]
    tried: frozenset[int]
    heard: frozenset[int]
    judged: Counter[int]
    stored: Counter[int]
    inversions: Sequence[int]
    told: Mapping[str, Sequence[str]]
    expected: Mapping[str, Sequence[str]]
    stored_events: Counter[str]
    ledger: Mapping[str, float]
    checkpoint: int
    differing: Sequence[str]
    said: frozenset[str]
    liveness_seconds: float
    vital: Vital
    unsure: frozenset[str] = frozenset()
    forgiven: frozenset[int] = frozenset()
    doubled_before: frozenset[int] = frozenset()
    rejected: frozenset[int] = frozenset()
    losable: frozenset[int] | None = None
    copies_allowed: frozenset[int] = field(default_factory=frozenset)
    ends: Mapping[str, Sequence[str]] = field(default_factory=dict)
    acting: Acting = field(default_factory=Acting)

    @property
    def lost(self) -> list[int]:
        """Numbers that were PUBACKed and never came to the hub's journal, new ones only."""
        return sorted(self.acked - self.heard - self.forgiven)

    @property
    def doubled(self) -> list[int]:
        """Numbers that had their effect more than once, new ones only."""
        twice = {number for number, times in (self.judged | self.stored).items() if times > 1}
        return sorted(twice - self.doubled_before)

    @property
    def bounds(self) -> Mapping[Loss, int]:
        """How many messages each sort of loss comes to here."""
        return {
            Loss.NOTHING: 0,
            Loss.ACK_DELAY: round(self.ack_delay_seconds * self.rate),
            Loss.SINCE_SAVE: round(HUB_DOWN_SECONDS * self.rate),
        }

    @property
    def bound_line(self) -> str:
        """Both bounds beside what was lost."""
        up, down = self.bounds[Loss.ACK_DELAY], self.bounds[Loss.SINCE_SAVE]
        delay = f"{self.ack_delay_seconds * 1000:.0f} ms"
        return (
            f"lost {len(self.lost)}; bounds: hub up {up} ({delay} × {self.rate}/s),"
            f" hub down {down} ({HUB_DOWN_SECONDS} s × {self.rate}/s); this fault may lose {self.fault.loss.value}"
        )
