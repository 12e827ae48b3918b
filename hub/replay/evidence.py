"""The evidence for an event: the journal's bytes, the values they became, the terms of the rule; by doing it again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec

from hub.authoring.trace import Sent, Trace, trace
from hub.bridge import topics
from hub.engine.apply import Engine
from hub.engine.device import Device
from hub.errors import PoisonError
from hub.model.effects import Event
from hub.model.heard import Heard
from hub.model.records import Batch, Record, Tick
from hub.normalize.networks.network import Network, SourceRow
from hub.normalize.networks.routing import compile_router
from hub.normalize.profile import Profile, profile_of
from hub.replay.beginning import Beginning, Fidelity, Find, beginning, engine_at
from hub.replay.lockstep import Progress
from hub.replay.tape import Tape
from hub.replay.witnesses import Ear, Place, Term
from hub.rules.rule import Rule, read_rule

LATER_NS = 60_000_000_000
"""How far behind the moment of an event its record may be looked for."""
NATIVE = {
    "profile": "hub/native", "version": "1.0.0", "payload": {"format": "native"},
    "label": {"en": "The native payload", "zh": "原生格式"},
}  # fmt: skip
"""What stands for the profile of a device that has none."""
COMPARED = ("name", "severity", "transition", "time", "key", "rule", "rule_version", "late", "test", "drill", "data")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One place of the journal that an event names; ``record`` is None when it is no longer there.

    ``message`` is None where time was the cause, or something else that is not a message. ``kind`` is that of the
    device that said it, empty where that is not known.
    """

    place: Place
    record: Record | None
    message: Heard | None
    kind: str = ""
    decoded: Trace | None = None
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What doing it again came to. ``again`` is None when the event did not come again; ``why`` says what is missing.

    ``differences`` are the words in which the two differ: none of them, and the event is proven.
    """

    again: Event | None
    differences: Sequence[str] = ()
    fidelity: Fidelity = Fidelity.EXACT
    records: int = 0
    causes: Sequence[Cause] = ()
    terms: Sequence[Term] = ()
    rule: Rule | None = None
    why: str = ""

    @property
    def is_proven(self) -> bool:
        """True when the same journal gave the same event."""
        return self.again is not None and not self.differences


def gather(tape: Tape, checkpoint: Find, event: Event, progress: Progress) -> Evidence:
    """Do again what led to ``event``, from the nearest state, and stop there."""
    at = event.causes[-1] if event.causes else _search(tape, checkpoint, event, progress)
    if at is None:
        return Evidence(again=None, why=_not_found(tape, event))
    if tape.find(at[0]) is None:
        why = f"record {at[0]} is not in the journal, which holds {tape.first} to {tape.last}"
        causes = [Cause(place=place, record=None, message=None, why=why) for place in event.causes]
        return Evidence(again=None, causes=causes, why=why)
    begin = beginning(tape, checkpoint(at[0]), at[0])
    found = _Witness(tape, begin, event).testify(at, progress)
    if found.again is None and at[1] == 0:  # the first message is named, too, for what comes of all of them at the end
        found = _Witness(tape, begin, event, is_whole=True).testify(at, progress)
    return found


def _search(tape: Tape, checkpoint: Find, event: Event, progress: Progress) -> Place | None:
    """Return the cause of an event of which only the time is known: it is done again until it comes."""
    at = tape.before(event.time) + 1
    begin = beginning(tape, checkpoint(at), at)
    engine = engine_at(tape, begin)
    for record in tape.read(begin.position):
        progress(record)
        for each in engine.apply(record).events:
            if each.id == event.id:
                return each.causes[-1]
        if record.received_at > event.time + LATER_NS:
            break
    return None


def _not_found(tape: Tape, event: Event) -> str:
    if event.time < tape.begins_at:
        return f"the journal begins at record {tape.first}, after the event: its records are gone"
    return "doing it again did not bring the event"


class _Witness:
    """An engine that is led up to the moment of the event, and what its device said on the way."""

    def __init__(self, tape: Tape, begin: Beginning, event: Event, *, is_whole: bool = False) -> None:
        self._is_whole = is_whole
        self._tape = tape
        self._begin = begin
        self._event = event
        self._engine: Engine = engine_at(tape, begin)
        self._ear = Ear(self._engine, event)
        self._records = 0
        self._timed: Place | None = None
        self._now = 0

    def testify(self, at: Place, progress: Progress) -> Evidence:
        again: Event | None = None
        for record in self._tape.read(self._begin.position):
            progress(record)
            self._records += 1
            if record.position == at[0]:
                again = self._last(record, at[1])
                break
            self._engine.apply(record)
            self._ear.listen(record)
        known = self._event if again is None else again
        terms = list(self._ear.terms(self._now, known.data))
        places = dict.fromkeys([*(term.place for term in terms if term.place is not None), *self._event.causes])
        if again is not None:
            places |= dict.fromkeys(again.causes)
        return Evidence(
            again=again,
            differences=[] if again is None else differing(self._event, again),
            fidelity=self._begin.fidelity,
            records=self._records,
            causes=[self._cause(place) for place in sorted(places)],
            terms=terms,
            rule=self._rule(),
            why="" if again is not None else "doing it again did not bring the event",
        )

    def _last(self, record: Record, index: int) -> Event | None:
        """Apply the record that brought the event whole, or first its moment alone, then its messages up to the one."""
        steps = [record]
        if isinstance(record.body, Batch) and not self._is_whole:
            until = Record(record.position, record.t, record.received_at, record.body, record.messages[: index + 1])
            steps = [Record(record.position, record.t, record.received_at, Tick()), until]
        for step in steps:
            self._now = step.t + max(0, len(step.messages) - 1)
            events = self._engine.apply(step).events
            self._ear.listen(step)
            for event in events:
                if event.id == self._event.id:
                    self._timed = event.causes[-1] if isinstance(step.body, Tick) or self._is_whole else None
                    return event
        return None

    def _device(self) -> Device | None:
        return self._engine.content.find(self._event.site, self._event.device)

    def _sender(self, message: Heard) -> Device | None:
        """Return who said it: a rule for a place hears many devices. A foreign topic is taken for the event's own."""
        address = topics.parse(message.topic)
        return self._device() if address is None else self._engine.content.find(address.site, address.device)

    def _rule(self) -> Rule | None:
        document = self._engine.content.documents.get(f"rule/{self._event.rule}")
        return None if document is None else read_rule(document.body)

    def _cause(self, place: Place) -> Cause:
        record = self._tape.find(place[0])
        if record is None:
            return Cause(place=place, record=None, message=None, why="no longer in the journal")
        if place == self._timed or place[1] >= len(record.messages):
            return Cause(place=place, record=record, message=None)
        message = record.messages[place[1]]
        device = self._sender(message)
        if device is None:
            return Cause(place=place, record=record, message=message, why="its device is not known any more")
        cause = Cause(place=place, record=record, message=message, kind=device.kind)
        try:
            return replace(cause, decoded=decoded(self._engine, device, message))
        except PoisonError as error:
            return replace(cause, why=str(error))


def differing(stored: Event, again: Event) -> list[str]:
    """Return the words in which two events of one id differ; what the store does not keep is not compared."""
    has_causes = bool(stored.causes)
    words = [word for word in COMPARED if word != "time" or has_causes]
    found = [word for word in words if getattr(stored, word) != getattr(again, word)]
    if has_causes and [*map(tuple, stored.causes)] != [*map(tuple, again.causes)]:
        found.append("causes")
    return found


def decoded(engine: Engine, device: Device, message: Heard) -> Trace:
    """Return what became of a message of ``device``, byte by byte; a foreign network's envelope is taken off first."""
    kind, documents = engine.content.kind(device), engine.content.documents
    name = getattr(device, "profile", "") or device.row.profile
    if name and f"profile/{name}" in documents:
        profile = profile_of(documents[f"profile/{name}"].body)
    else:
        profile = Profile.model_validate({**NATIVE, "kind": kind.kind})
    payload, port = _opened(engine, message)
    return trace(profile, kind, Sent(payload=payload, port=port, params=device.row.params, zone=device.row.zone))


def _opened(engine: Engine, message: Heard) -> tuple[bytes, int | None]:
    documents = engine.content.bodies()
    rows = [msgspec.json.decode(documents[key], type=SourceRow) for key in documents if key.startswith("source/")]
    if not rows:
        return message.payload, None
    networks = [Network.model_validate_json(documents[key]) for key in documents if key.startswith("network/")]
    route = compile_router(rows, {network.network: network for network in networks}).route(message.topic)
    if route is None:
        return message.payload, None
    envelope = route.stream.read(message.payload)
    return envelope.payload or b"", envelope.port
