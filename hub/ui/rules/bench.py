"""The bench: a rule's own tests, run through the engine on a virtual clock, without a broker or a store."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import lru_cache
from types import MappingProxyType
from uuid import UUID

import msgspec

from hub.bridge import topics
from hub.bridge.frames import decode_packets
from hub.catalogue import Catalogue, Kind
from hub.durations import nanoseconds
from hub.engine.answers import ANSWER_NS
from hub.engine.apply import Engine
from hub.engine.rows import DeviceRow, PlaceRow
from hub.model.effects import AlarmState, Effects, Event, Transition, Transmission
from hub.model.heard import Heard, Publish
from hub.model.records import (
    Batch,
    Body,
    Control,
    Outcome,
    OutcomeKind,
    Record,
    Revision,
    SessionCaughtUp,
    SessionConnected,
    Started,
    Tick,
)
from hub.model.values import PlaceType, Scalar, TopicClass
from hub.rules.held import SILENT
from hub.rules.names import scope_of
from hub.rules.pseudonyms import NO_KEY, pseudonym
from hub.rules.rule import Do, Rule, write_rule
from hub.rules.settling import asked_of
from hub.rules.testing import Happening, RuleTest, Step, differences, speaking_kind
from hub.yaml_documents import canonical_json

START = 1_772_352_000_000_000_000
JOURNAL = "00000000-0000-4000-8000-000000000000"
SITE, BUILDING, PLACE, DEVICE, SESSION = "site", "building", "place", "device", "telemetry"


def run_case(
    rule: Rule,
    case: RuleTest,
    catalogue: Catalogue,
    documents: Mapping[str, bytes] | None = None,
    others: Mapping[str, Rule] = MappingProxyType({}),
) -> list[str]:
    """Return what differs from what ``case`` expects, a line each; nothing when it holds.

    The device under test is of the first kind that the rule concerns and speaks the native payload; in a rule for
    places it is one of the first kind that has what a step says. Others that the steps name stand at the same place,
    and for each kind that an action is sent to one device, too. ``documents`` hold beside the rule. Of ``others`` those
    that inhibit it are at work, without their commands. Raises ConfigError for a rule that cannot work.
    """
    bench = Bench(Scene(rule, case, catalogue, {**beside(rule, others), **(documents or {})}))
    for step in case.given:
        bench.take(step)
    return [*bench.refusals, *differences(case.expected, bench.happenings)]


class Scene:
    """What a case is about: the rule, who stands there, how a step is said, and how what comes of it reads."""

    def __init__(
        self, rule: Rule, case: RuleTest, catalogue: Catalogue, documents: Mapping[str, bytes] | None = None
    ) -> None:
        self._rule = rule
        self._values = dict(_pseudonyms(rule, case.given))
        self._scope = scope_of(rule, catalogue)
        self._kinds = {} if rule.for_each.place is not None else {DEVICE: self._scope.kinds[0].kind}
        speakers = [self.speaker(step) for step in case.given]
        self._kinds |= {name: name.partition("-")[0] for name in speakers if name != DEVICE}
        said = {kind for name, kind in self._kinds.items() if name != DEVICE}
        named = {action.to.kind for action in _actions(rule) if action.to is not None}
        self._kinds |= {f"near-{kind}": kind for kind in sorted(named - said)}
        where = (rule.for_each.place or PlaceType.BUILDING).value
        around = {PlaceType.SITE.value: "", PlaceType.BUILDING.value: SITE}.get(where, BUILDING)
        row = PlaceRow(SITE, PLACE, where, around, BUILDING, facts=case.facts)
        self.documents = {**_documents(rule, catalogue, self._kinds, row), **_told_of(rule, case), **(documents or {})}

    def speaker(self, step: Step) -> str:
        """Return which device says a step: in a rule for places one of the first kind that has all that is said.

        A kind of the place's own name comes first.
        """
        place = self._rule.for_each.place
        if step.device is not None or place is None or not step.speaks:
            return step.device or DEVICE
        return speaking_kind(step, place, self._scope.kinds).kind

    def message(self, step: Step) -> Publish | None:
        """Return what ``step`` says, in the native payload; None when it only lets time pass."""
        if not step.speaks:
            return None
        sort = TopicClass.TELEMETRY if step.signal is None else TopicClass.SIGNAL
        return Publish(f"hub/{SITE}/{self.speaker(step)}/{sort}", _payload(step))

    def requests(self, step: Step, alarms: Iterable[AlarmState], number: int, now: int) -> list[Control]:
        """Return what a person asks: of every alarm of the rule, or of the one that its subject would have."""
        where = DEVICE if self._rule.for_each.place is None else f"@{PLACE}"
        subject = f"{SITE}/{where}#{step.part}" if step.part else f"{SITE}/{where}"
        mine = [each.key for each in alarms if each.rule == self._rule.rule and (not step.part or each.key == subject)]
        words: dict[str, Scalar] = {"rule": self._rule.rule, "role": step.role}
        return [
            Control(
                f"{number}-{n}",
                str(UUID(int=number << 16 | n)),
                "tester",
                step.ask,
                now + ANSWER_NS,
                {**words, "key": key},
            )
            for n, key in enumerate(mine or [subject])
            if step.ask is not None
        ]

    def happenings(self, effects: Effects, at: timedelta) -> list[Happening]:
        """Return what of ``effects``, which came ``at`` after the start, the rule brought about."""
        about = (self._rule.rule, self._rule.raise_.event)
        mine = [each for each in effects.events if (each.rule, each.name) == about]
        parts = [self._values.get(event.part, event.part) for event in mine]
        told = [
            Happening(at, event.transition.value, event.name, part, told_to(event))
            for event, part in zip(mine, parts, strict=True)
        ]
        refused = [Happening(at, "refused", reply.code) for reply in effects.replies if not reply.ok]
        return [*told, *(self._sent(one, at) for one in effects.transmissions), *refused]

    def _sent(self, transmission: Transmission, at: timedelta) -> Happening:
        command = msgspec.json.decode(transmission.payload)
        device = transmission.topic.split("/")[2]
        where = command.get("part", "") if device == DEVICE else self._kinds[device]
        return Happening(at, "sent", command["command"], where)


def told_to(event: Event) -> str:
    """Return the role that a step of ``escalate`` tells; empty for any other event."""
    return str(event.data["to"]) if event.transition is Transition.ESCALATED else ""


def refusals(effects: Effects) -> list[str]:
    """Return what went wrong in ``effects``, a line each."""
    failed = [event for event in effects.events if event.name == "device.rule_failed"]
    found = [f"refused: {letter.code}: {letter.detail}" for letter in effects.dead_letters]
    return [*found, *(f"failed: {event.data['error']}" for event in failed)]


def since_start(t: int) -> timedelta:
    """Return how long after the start of a case ``t`` is."""
    return timedelta(milliseconds=(t - START) // 1_000_000)


def revision_of(documents: Mapping[str, bytes]) -> tuple[Revision, dict[str, bytes]]:
    """Return the record that makes ``documents`` known, and its bodies."""
    put = {key: hashlib.blake2b(body, digest_size=16).hexdigest() for key, body in documents.items()}
    bodies = {put[key]: body for key, body in documents.items()}
    return Revision("bench", put), bodies


class Bench:
    """An engine that knows one rule. Ticks come only when something can be due: that makes days of silence cheap."""

    def __init__(self, scene: Scene) -> None:
        self.happenings: list[Happening] = []
        self.refusals: list[str] = []
        self._scene = scene
        self.engine = Engine(JOURNAL, topics, decode_packets)
        self._position, self._t = 0, START
        revision, bodies = revision_of(scene.documents)
        self._apply(START, Started("bench", (SESSION,)))
        self._apply(START, revision, bodies=bodies)
        self._apply(START, SessionConnected(SESSION, 1, session_present=True))
        self._apply(START, SessionCaughtUp(SESSION, 1))

    def take(self, step: Step) -> None:
        """Let time pass until ``step``, then let the device say it."""
        now = START + nanoseconds(step.at)
        while (due := self.engine.next_due) is not None and due <= now:
            self._apply(due, Tick())
        for request in self._scene.requests(step, self.engine.alarms(), self._position, now):
            self._apply(now, request)
        message = self._scene.message(step)
        if message is not None:
            self._apply(now, Batch(SESSION, 1, True, 0, b""), [message])  # noqa: FBT003 -- as in the journal

    def _apply(self, at: int, body: Body, messages: Sequence[Heard] = (), bodies: Mapping[str, bytes] = {}) -> None:
        self._position, t = self._position + 1, max(at, self._t + 1)
        self._t = t + len(messages)
        effects = self.engine.apply(Record(self._position, t, t, body, messages, bodies))
        self.refusals += refusals(effects)
        self.happenings += self._scene.happenings(effects, since_start(t))
        for each in effects.transmissions:
            self._apply(t, Outcome(each.command, OutcomeKind.DELIVERED))
            self._apply(t, Batch(SESSION, 1, True, 0, b""), [answer(each)])  # noqa: FBT003 -- as in the journal


def answer(transmission: Transmission) -> Publish:
    """Return what a device says that did what it was told."""
    topic = f"{transmission.topic.rpartition('/')[0]}/{TopicClass.RESPONSE}"
    return Publish(topic, msgspec.json.encode({"id": transmission.command, "ok": True}))


def _pseudonyms(rule: Rule, given: Sequence[Step]) -> Iterator[tuple[str, str]]:
    """Yield what the values that are said go by, and the values: a test tells them as they are."""
    field = rule.for_each.value
    for step in given if field is not None else ():
        for said in (step.data, step.values):
            if field in said:
                yield pseudonym(field, said[field], NO_KEY), str(said[field])


def _actions(rule: Rule) -> list[Do]:
    return [*rule.while_pending, *rule.do]


def companions(rule: Rule, others: Mapping[str, Rule]) -> list[Rule]:
    """Return those ``others`` that inhibit ``rule``, and those that find a silence which it reads."""
    named = [] if rule.inhibit is None else [others[name] for name in rule.inhibit.by if name in others]
    if any(SILENT in (each.where or "") for each in rule.inputs.values()):
        named += [each for each in others.values() if each.absent_for is not None]
    return named


def beside(rule: Rule, others: Mapping[str, Rule]) -> dict[str, bytes]:
    """Return the documents of those ``others`` that go with ``rule``; they command nothing here."""
    told = {each.rule: msgspec.json.decode(write_rule(each)) for each in companions(rule, others)}
    quiet = {"do", "while_pending", "tests"}
    return {
        f"rule/{name}": msgspec.json.encode(asked_of({word: said for word, said in words.items() if word not in quiet}))
        for name, words in told.items()
    }


def _told_of(rule: Rule, case: RuleTest) -> dict[str, bytes]:
    """Return the documents of what holds where ``case`` happens."""
    found: dict[str, Mapping[str, object]] = {
        f"list/{SITE}/{name}": {"site": SITE, "list": name, "entries": dict.fromkeys(entries, True)}
        for name, entries in case.lists.items()
    }
    values = {name: value for name, value in case.params.items() if name in rule.params}
    if values:
        found["params/test"] = {"rule": rule.rule, "values": values, "site": SITE}
    return {key: msgspec.json.encode(body) for key, body in found.items()}


def _documents(rule: Rule, catalogue: Catalogue, kinds: Mapping[str, str], place: PlaceRow) -> dict[str, bytes]:
    documents = {f"kind/{kind.kind}": _written(kind) for kind in catalogue.kinds.values()}
    documents[f"rule/{rule.rule}"] = write_rule(rule)
    site, building = PlaceRow(SITE, SITE, "site"), PlaceRow(SITE, BUILDING, "building", SITE, BUILDING)
    for each in {row.type: row for row in (site, building, place)}.values():
        documents[f"place/{SITE}/{each.place}"] = msgspec.json.encode(each)
    for device, kind in kinds.items():
        row = DeviceRow(SITE, device, kind, building=BUILDING, place=PLACE)
        documents[f"device/{SITE}/{device}"] = msgspec.json.encode(row)
    return documents


@lru_cache(256)
def _written(kind: Kind) -> bytes:
    """Return the document of a kind: of all of them for each case that is played it was a fifth of the work."""
    return canonical_json(kind)


def _payload(step: Step) -> bytes:
    said: dict[str, object] = {"values": step.values}
    if step.part is not None:
        said["part"] = step.part
    if step.signal is not None:
        said["signals"] = [{"name": step.signal, **step.data}]
    return msgspec.json.encode(said)
