"""The bench: a rule's own tests, run through the engine on a virtual clock, without a broker or a store."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import timedelta

import msgspec

from hub.bridge import topics
from hub.bridge.frames import decode_packets
from hub.catalogue import Catalogue
from hub.durations import nanoseconds
from hub.engine.apply import Engine
from hub.engine.device import DeviceRow
from hub.engine.places import PlaceRow
from hub.model import (
    Batch,
    Body,
    Effects,
    Event,
    Heard,
    PlaceType,
    Publish,
    Record,
    Revision,
    SessionCaughtUp,
    SessionConnected,
    Started,
    Tick,
    TopicClass,
    Transmission,
)
from hub.rules.names import scope_of
from hub.rules.rule import Do, Rule, write_rule
from hub.rules.testing import Happening, RuleTest, Step, differences
from hub.yaml_documents import canonical_json

START = 1_772_352_000_000_000_000
JOURNAL = "00000000-0000-4000-8000-000000000000"
SITE, BUILDING, PLACE, DEVICE, SESSION = "site", "building", "place", "device", "telemetry"


def run_case(
    rule: Rule, case: RuleTest, catalogue: Catalogue, documents: Mapping[str, bytes] | None = None
) -> list[str]:
    """Return what differs from what ``case`` expects, a line each; nothing when it holds.

    The device under test is of the first kind that the rule concerns and speaks the native payload. Others that the
    steps name stand at the same place, and for each kind that an action is sent to one device, too. ``documents`` are
    params and lists that hold beside the rule. Raises ConfigError for a rule that cannot work.
    """
    bench = _Bench(rule, case.given, catalogue, documents)
    for step in case.given:
        bench.take(step)
    return [*bench.refusals, *differences(case.expected, bench.happenings)]


class _Bench:
    """An engine that knows one rule. Ticks come only when something can be due: that makes days of silence cheap."""

    def __init__(
        self, rule: Rule, given: Sequence[Step], catalogue: Catalogue, documents: Mapping[str, bytes] | None
    ) -> None:
        self.happenings: list[Happening] = []
        self.refusals: list[str] = []
        self._rule = rule
        self._engine = Engine(JOURNAL, topics, decode_packets)
        self._position, self._t = 0, START
        self._kinds = {DEVICE: scope_of(rule, catalogue).kinds[0].kind} if rule.for_each.place is None else {}
        self._kinds |= {step.device: step.device.partition("-")[0] for step in given if step.device is not None}
        self._kinds |= {f"near-{action.to.kind}": action.to.kind for action in _actions(rule) if action.to is not None}
        self._begin({**_documents(rule, catalogue, self._kinds), **(documents or {})})

    def _begin(self, documents: Mapping[str, bytes]) -> None:
        bodies = {hashlib.blake2b(body, digest_size=16).hexdigest(): body for body in documents.values()}
        put = {key: digest for (key, _), digest in zip(documents.items(), bodies, strict=True)}
        self._apply(START, Started("bench", (SESSION,)))
        self._apply(START, Revision("bench", put), bodies=bodies)
        self._apply(START, SessionConnected(SESSION, 1, session_present=True))
        self._apply(START, SessionCaughtUp(SESSION, 1))

    def take(self, step: Step) -> None:
        """Let time pass until ``step``, then let the device say it."""
        now = START + nanoseconds(step.at)
        while (due := self._engine.next_due) is not None and due <= now:
            self._apply(due, Tick())
        if step.speaks:
            sort = TopicClass.TELEMETRY if step.signal is None else TopicClass.SIGNAL
            topic = f"hub/{SITE}/{step.device or DEVICE}/{sort}"
            self._apply(now, Batch(SESSION, 1, True, 0, b""), [Publish(topic, _payload(step))])  # noqa: FBT003 -- as in the journal

    def _apply(self, at: int, body: Body, messages: Sequence[Heard] = (), bodies: Mapping[str, bytes] = {}) -> None:
        self._position, t = self._position + 1, max(at, self._t + 1)
        self._t = t + len(messages)
        effects = self._engine.apply(Record(self._position, t, t, body, messages, bodies))
        self._note(effects)

    def _note(self, effects: Effects) -> None:
        self.refusals += [f"refused: {letter.code}: {letter.detail}" for letter in effects.dead_letters]
        for event in effects.events:
            if event.name == "device.rule_failed":
                self.refusals.append(f"failed: {event.data['error']}")
            elif event.name == self._rule.raise_.event:
                self.happenings.append(_told(event))
        self.happenings += [self._sent(one) for one in effects.transmissions]

    def _sent(self, transmission: Transmission) -> Happening:
        command = msgspec.json.decode(transmission.payload)
        device = transmission.topic.split("/")[2]
        where = command.get("part", "") if device == DEVICE else self._kinds[device]
        return Happening(_since_start(self._t), "sent", command["command"], where)


def _told(event: Event) -> Happening:
    return Happening(_since_start(event.time), event.transition.value, event.name, event.part)


def _since_start(t: int) -> timedelta:
    return timedelta(milliseconds=(t - START) // 1_000_000)


def _actions(rule: Rule) -> list[Do]:
    return [*rule.while_pending, *rule.do]


def _documents(rule: Rule, catalogue: Catalogue, kinds: Mapping[str, str]) -> dict[str, bytes]:
    documents = {f"kind/{kind.kind}": canonical_json(kind) for kind in catalogue.kinds.values()}
    documents[f"rule/{rule.rule}"] = write_rule(rule)
    where = rule.for_each.place or PlaceType.BUILDING
    for place, sort, parent in ((SITE, "site", ""), (BUILDING, "building", SITE), (PLACE, where.value, BUILDING)):
        row_of_place = PlaceRow(SITE, place, sort, parent, BUILDING if parent else "")
        documents[f"place/{SITE}/{place}"] = msgspec.json.encode(row_of_place)
    for device, kind in kinds.items():
        row = DeviceRow(SITE, device, kind, building=BUILDING, place=PLACE)
        documents[f"device/{SITE}/{device}"] = msgspec.json.encode(row)
    return documents


def _payload(step: Step) -> bytes:
    said: dict[str, object] = {"values": step.values}
    if step.part is not None:
        said["part"] = step.part
    if step.signal is not None:
        said["signals"] = [{"name": step.signal, **step.data}]
    return msgspec.json.encode(said)
