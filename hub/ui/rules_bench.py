"""The bench: a rule's own tests, run through the engine on a virtual clock, without a broker or a store."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

import msgspec

from hub.bridge import topics
from hub.bridge.frames import decode_packets
from hub.catalogue import Catalogue
from hub.durations import nanoseconds
from hub.engine.apply import Engine
from hub.engine.device import DeviceRow
from hub.model import (
    Batch,
    Body,
    Effects,
    Event,
    Heard,
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
from hub.rules.names import kinds_of
from hub.rules.rule import Rule, write_rule
from hub.rules.testing import Happening, RuleTest, Step, differences
from hub.yaml_documents import canonical_json

START = 1_772_352_000_000_000_000
JOURNAL = "00000000-0000-4000-8000-000000000000"
SITE, BUILDING, DEVICE, SESSION = "site", "building", "device", "telemetry"


def run_case(rule: Rule, case: RuleTest, catalogue: Catalogue) -> list[str]:
    """Return what differs from what ``case`` expects, a line each; nothing when it holds.

    The device under test is of the first kind that the rule concerns and speaks the native payload; for each kind that
    an action is sent to, one device stands in the same building. Raises ConfigError for a rule that cannot work.
    """
    bench = _Bench(rule, catalogue)
    for step in case.given:
        bench.take(step)
    return [*bench.refusals, *differences(case.expected, bench.happenings)]


class _Bench:
    """An engine that knows one rule. Ticks come only when something can be due: that makes days of silence cheap."""

    def __init__(self, rule: Rule, catalogue: Catalogue) -> None:
        self.happenings: list[Happening] = []
        self.refusals: list[str] = []
        self._rule = rule
        self._engine = Engine(JOURNAL, topics, decode_packets)
        self._position, self._t = 0, START
        self._spans = sorted(set(_spans(rule)))
        self._due: list[int] = []
        self._kinds = {DEVICE: kinds_of(rule, catalogue)[0].kind}
        self._kinds |= {f"near-{action.to.kind}": action.to.kind for action in rule.do if action.to is not None}
        self._begin(_documents(rule, catalogue, self._kinds))

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
        while self._due and self._due[0] <= now:
            due = heapq.heappop(self._due)
            if due > self._t:
                self._apply(due, Tick())
        if step.speaks:
            topic = f"hub/{SITE}/{DEVICE}/{TopicClass.TELEMETRY if step.signal is None else TopicClass.SIGNAL}"
            self._apply(now, Batch(SESSION, 1, True, 0, b""), [Publish(topic, _payload(step))])  # noqa: FBT003 -- as in the journal

    def _apply(self, at: int, body: Body, messages: Sequence[Heard] = (), bodies: Mapping[str, bytes] = {}) -> None:
        self._position, t = self._position + 1, max(at, self._t + 1)
        self._t = t + len(messages)
        effects = self._engine.apply(Record(self._position, t, t, body, messages, bodies))
        if not isinstance(body, Tick) or effects.events or effects.transmissions:
            for span in self._spans:
                heapq.heappush(self._due, t + span)
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


def _spans(rule: Rule) -> Iterator[int]:
    """Yield how long after a record its timers can be due."""
    clear = timedelta(0) if rule.clear is None else rule.clear.for_
    for span in (rule.for_, clear, rule.absent_for):
        if span:
            yield nanoseconds(span)
    for action in rule.do:
        if action.until is not None:
            yield nanoseconds(action.ttl) // 2
            yield nanoseconds(action.ttl)
            if action.at_most is not None:
                yield nanoseconds(action.at_most)


def _documents(rule: Rule, catalogue: Catalogue, kinds: Mapping[str, str]) -> dict[str, bytes]:
    documents = {f"kind/{kind.kind}": canonical_json(kind) for kind in catalogue.kinds.values()}
    documents[f"rule/{rule.rule}"] = write_rule(rule)
    for device, kind in kinds.items():
        row = DeviceRow(SITE, device, kind, building=BUILDING)
        documents[f"device/{SITE}/{device}"] = msgspec.json.encode(row)
    return documents


def _payload(step: Step) -> bytes:
    said: dict[str, object] = {"values": step.values}
    if step.part is not None:
        said["part"] = step.part
    if step.signal is not None:
        said["signals"] = [{"name": step.signal, **step.data}]
    return msgspec.json.encode(said)
