"""The invariants by name: what must hold after every fault, each a function from evidence to what is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from hub.journal.outbox import MEMORY_BYTES
from tests.chaos.evidence import Evidence
from tests.chaos.faults.fault import Copies
from tests.chaos.town import ranges

LIVENESS_SECONDS = 5.0
JOURNAL_BYTES_PER_MESSAGE, JOURNAL_BYTES_ALWAYS = 2_000, 8 * 2**20
LAG_RECORDS = 50
RELEASE_SECONDS = 4.0
"""A start alone is 1.4 to 2.5 s of CPU, by the machine and its minute."""
ENDS = frozenset({"executed", "rejected", "failed", "timeout", "expired"})
"""How a command ends; what is told of it beside that (superseded, verified, interlocked) may come before and after."""

Invariant = Callable[[Evidence], Iterator[str]]


def conservation(found: Evidence) -> Iterator[str]:
    """What was PUBACKed is heard, but for what the broker may lose; what was heard is stored; the ledger adds up."""
    lost, bound = found.lost, found.bounds[found.fault.loss]
    if len(lost) > bound:
        yield f"never heard: {ranges(lost)}; {found.bound_line}"
    if found.losable is not None and (saved := sorted(set(lost) - found.losable)):
        yield f"never heard, though in the broker's last save or before what was heard: {ranges(saved)}"
    if unjudged := sorted(found.heard - found.judged.keys()):
        yield f"heard and neither a point nor an event: {ranges(unjudged)}"
    if missing := sorted(found.judged.keys() - found.stored.keys() - found.rejected):
        yield f"judged and not stored: {ranges(missing)}"
    if invented := sorted(found.stored.keys() - found.tried):
        yield f"stored and never sent: {ranges(invented)}"
    yield from _unbalanced(found.ledger)


def once(found: Evidence) -> Iterator[str]:
    """No event id twice, no message judged or stored twice, but for what the broker sends again unmarked."""
    doubled = set(found.doubled)
    if found.fault.copies is Copies.SINCE_SAVE:
        doubled -= found.copies_allowed
    if doubled:
        yield f"had their effect twice: {ranges(sorted(doubled))}"
    if more := sorted(number for number, times in found.stored.items() if times > found.judged[number]):
        yield f"stored more often than judged: {ranges(more)}"
    told = Counter(identity for ids in found.told.values() for identity in ids)
    for where, ids in (("streams", told), ("store", found.stored_events)):
        if twice := sorted(identity for identity, times in ids.items() if times > 1):
            yield f"event ids twice in the {where}: {twice[:5]} of {len(twice)}"


def order(found: Evidence) -> Iterator[str]:
    """First deliveries of a device and session are in the order in which they were sent; so are events in streams."""
    if found.inversions:
        yield f"came first behind a later one of their device: {ranges(sorted(found.inversions))}"
    for domain, ids in found.told.items():
        known = set(ids)
        if list(ids) != [identity for identity in found.expected.get(domain, ()) if identity in known]:
            yield f"the events of the stream {domain} are not in the order in which they were raised"


def state(found: Evidence) -> Iterator[str]:
    """Rules and all else come to what an uninterrupted run of the journal comes to, by entries and by events."""
    if not found.checkpoint:
        yield "no checkpoint was seen after the fault: nothing was compared"
    if found.differing:
        yield f"at record {found.checkpoint} the state differs in {list(found.differing[:5])} of {len(found.differing)}"
    for domain in sorted(found.told.keys() | found.expected.keys()):
        told, expected = set(found.told.get(domain, ())), set(found.expected.get(domain, ()))
        if told != expected:
            yield f"stream {domain}: {len(expected - told)} events missing, {len(told - expected)} that no rule raised"


def liveness(found: Evidence) -> Iterator[str]:
    """A fresh message passes from end to end within seconds after the fault."""
    if found.liveness_seconds > LIVENESS_SECONDS:
        yield f"a fresh message took {found.liveness_seconds:.1f} s, allowed {LIVENESS_SECONDS} s"


def bounded(found: Evidence) -> Iterator[str]:
    """Memory, what sinks are owed, what is not applied yet, and the journal stay within what they are allowed."""
    vital = found.vital
    limits = {
        "memory grew by": (vital.memory_grown_bytes, MEMORY_BYTES),
        "the outbox in memory held": (vital.outbox_bytes, MEMORY_BYTES),
        "the journal holds": (
            vital.journal_bytes,
            JOURNAL_BYTES_ALWAYS + JOURNAL_BYTES_PER_MESSAGE * len(found.tried),
        ),
    }
    for what, (amount, limit) in limits.items():
        if amount > limit:
            yield f"{what} {amount:,} bytes, allowed {limit:,}"
    if vital.lag_records > LAG_RECORDS or vital.waiting_records > LAG_RECORDS:
        yield f"{vital.lag_records} records are not applied, {vital.waiting_records} not delivered, after the fault"


def honest(found: Evidence) -> Iterator[str]:
    """While the fault lasts /readyz is degraded and names it, and names nothing else."""
    fault = found.fault
    if silent := fault.says - found.said:
        yield f"/readyz never said {sorted(silent)}; it said {sorted(found.said)}"
    may_say = fault.says | fault.may_say
    if "session_blind" in may_say:  # the connection for commands may be back a moment later
        may_say |= {"commands_held_up"}
    if wrong := found.said - found.unsure - may_say:
        yield f"/readyz said {sorted(wrong)}, which this fault is not"


def acting(found: Evidence) -> Iterator[str]:
    """Every command has one honest end; a start lets go at once what lapsed, and never what a fire holds."""
    told = {identity: [each for each in names if each in ENDS] for identity, names in found.ends.items()}
    if twice := sorted(identity for identity, ended in told.items() if len(ended) > 1):
        yield f"commands that ended more than once: {[(each, told[each]) for each in twice[:5]]} of {len(twice)}"
    for identity, end in found.acting.wanted.items():
        if told.get(identity) != [end]:
            yield f"command {identity} must be {end}, and was told to be {told.get(identity)}"
    if found.acting.release_seconds > RELEASE_SECONDS:
        yield f"a release took {found.acting.release_seconds:.1f} s from the start, allowed {RELEASE_SECONDS} s"
    if found.acting.let_go:
        yield f"let go while it burned: {found.acting.let_go}"
    if found.acting.forgotten:
        yield f"not held again by the hub that started: {found.acting.forgotten}"


INVARIANTS: Mapping[str, Invariant] = {
    "Conservation": conservation,
    "Once": once,
    "Order": order,
    "State": state,
    "Liveness": liveness,
    "Bounded": bounded,
    "Honest": honest,
    "Acting": acting,
}


def broken(found: Evidence) -> list[str]:
    """Return everything that is wrong, each line with the name of its invariant."""
    return [f"{name}: {what}" for name, invariant in INVARIANTS.items() for what in invariant(found)]


def _unbalanced(ledger: Mapping[str, float]) -> Iterator[str]:
    def total(*names: str) -> float:
        return sum(ledger.get(f"hub_{name}", 0) for name in names)

    ends = ("applied", "deduplicated", "dead_lettered", "refused")
    heard, ended = total("messages_heard_total"), total(*(f"messages_{end}_total" for end in ends))
    if heard != ended:
        yield f"the ledger does not add up: {heard:.0f} heard, {ended:.0f} ended"
    derived = total("points_derived_total")
    settled = total("points_written_total", "points_waiting", "points_rejected_total")
    if derived != settled:
        yield f"points do not add up: {derived:.0f} derived, {settled:.0f} written, waiting or rejected"
