"""A stage: a case of a rule played record by record, with real packets, and with whatever may go wrong between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import mqtt5
import orjson

from hub.bridge import topics
from hub.bridge.frames import decode_packets
from hub.catalogue import Catalogue
from hub.durations import nanoseconds
from hub.engine.apply import Engine
from hub.model.effects import Effects, Transmission
from hub.model.heard import Heard
from hub.model.records import (
    Batch,
    Body,
    Outcome,
    OutcomeKind,
    Record,
    SessionCaughtUp,
    SessionConnected,
    SessionLost,
    Started,
    Tick,
)
from hub.rules.names import scope_of
from hub.rules.rule import Rule
from hub.rules.states import CompiledRule
from hub.rules.testing import Happening, RuleTest, Step
from hub.rules.timers import TimerClass
from hub.ui.rules.bench import JOURNAL, START, Scene, answer, beside, companions, refusals, revision_of, since_start
from tests.shipped import profiles as shipped_profiles

SESSIONS = ("events", "telemetry")
CATALOGUE, _ = shipped_profiles()
MINUTE = 60_000_000_000
MILLISECOND = 1_000_000
ANSWER, FIRST_ANSWER, ANSWERS = "answer", 30_000, 30_000
LESSONS = 10
"""How many messages teach the hub the clock of a device."""


class Word(NamedTuple):
    """What a device says in a case: when (ns after the start), on which topic, the native payload, the packet id.

    Or what a person asks.
    """

    at: int
    topic: str = ""
    said: Mapping[str, object] = MappingProxyType({})
    packet_id: int = 1
    ask: Step | None = None

    @property
    def speaker(self) -> tuple[str, object]:
        """Return who says it: the device, and the part that it speaks of."""
        return self.topic.split("/")[2] if self.topic else "", self.said.get("part")

    @property
    def values(self) -> Mapping[str, object]:
        """Return the values in it."""
        found = self.said.get("values")
        return found if isinstance(found, dict) else {}

    def says(self, **said: object) -> Word:
        """Return it with something else in it; None takes out."""
        kept = {key: value for key, value in {**self.said, **said}.items() if value is not None}
        return self._replace(said=kept)


def session_of(word: Word) -> str:
    """Return the session that hears a word."""
    return "telemetry" if word.topic.endswith("/telemetry") else "events"


Others = Mapping[str, Rule]
"""The rules that ship, by name: those that inhibit the one under test are at work beside it."""


class Script(NamedTuple):
    """A case as it is played: its rule, who stands there, its words, and the moment (ns) at which it ends."""

    rule: Rule
    case: RuleTest
    others: Others
    scene: Scene
    words: Sequence[Word]
    end: int


def script_of(rule: Rule, case: RuleTest, others: Others) -> Script:
    """Return the script of a case."""
    scene = Scene(rule, case, concerned(rule, case, others), beside(rule, others))
    words = []
    for number, step in enumerate(case.given, 1):
        message = scene.message(step)
        if message is not None:
            words.append(Word(nanoseconds(step.at), message.topic, orjson.loads(message.payload), number))
        elif step.ask is not None:
            words.append(Word(nanoseconds(step.at), ask=step))
    end = nanoseconds(case.given[-1].at) + MILLISECOND - 1  # each record takes a nanosecond
    return Script(rule, case, others, scene, words, end)


def concerned(rule: Rule, case: RuleTest, others: Others) -> Catalogue:
    """Return the kinds that a case is about: to compile all of them takes most of the time of a performance."""
    beside_it = companions(rule, others)
    named = {step.device.partition("-")[0] for step in case.given if step.device is not None}
    for each in (rule, *beside_it):
        scope = scope_of(each, CATALOGUE)
        compiled = CompiledRule(each, scope)
        named |= {kind for name in compiled.names for kind, _ in scope.sources.get(name, ())}
        named |= {kind.kind for kind in scope.kinds if each.for_each.place is None or each.on_signal is not None}
        named |= {kind for wanted in each.inputs.values() for kind in wanted.of}
        named |= {action.to.kind for action in (*each.do, *each.while_pending) if action.to is not None}
    return Catalogue(kind for name, kind in CATALOGUE.kinds.items() if name in named)


class Beat(NamedTuple):
    """A record of a performance: its moment (ns after the start), what brought it about, and what came of it.

    ``cause`` is a class of timers, or the kind of record.
    """

    at: int
    cause: str
    happenings: Sequence[Happening]

    @property
    def is_heard(self) -> bool:
        """Return whether somebody said something."""
        return self.cause == Batch.__name__


class Stage:
    """Plays one script. ``now`` is in ns after the start; the wall clock runs with it unless it is moved."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.engine = Engine(JOURNAL, topics, decode_packets)
        self.now = 0
        self.wall_step = 0
        self.beats: list[Beat] = []
        self.records: list[Record] = []
        self.effects: list[Effects] = []
        self.refusals: list[str] = []
        self.entries: dict[str, bytes] = {}
        self.takes_acks = True
        self.expected: list[Happening] = []
        self._last, self._connection = START, 0
        self._heard: Counter[str] = Counter()
        self._settled: Counter[str] = Counter()
        revision, bodies = revision_of(script.scene.documents)
        self.start()
        self.say(revision, bodies=bodies)
        self.connect()
        self.catch_up()

    # --------------------------------------------------------------------------------------------------------- records

    def say(
        self, body: Body, messages: Sequence[Heard] = (), bodies: Mapping[str, bytes] = {}, *, cause: str = ""
    ) -> Effects:
        """Journal ``body`` now and apply it; what is to be sent leaves at once, and is done."""
        t = max(START + self.now, self._last + 1)
        self._last = t + len(messages)
        record = Record(len(self.records) + 1, t, t + self.wall_step, body, messages, bodies)
        self.records.append(record)
        effects = self.engine.apply(record)
        self.effects.append(effects)
        happenings = self.script.scene.happenings(effects, since_start(t))
        self.beats.append(Beat(self.now, cause or type(body).__name__, happenings))
        self.refusals += refusals(effects)
        for each in effects.transmissions:
            self.say(Outcome(each.command, OutcomeKind.SENT))
            self.say(Outcome(each.command, OutcomeKind.DELIVERED))
            self._answer(each)
        return effects

    def _answer(self, transmission: Transmission) -> None:
        """Let the device say that it did what it was told; nothing settles within so short a time."""
        done, session = answer(transmission), SESSIONS[0]
        packet_id = FIRST_ANSWER + len(self.records) % ANSWERS
        raw = mqtt5.PublishPacket(done.topic, done.payload, qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=packet_id).write()
        self._hear(session, raw, cause=ANSWER)

    def hear(self, *words: Word, clock: int | None = None, late: int = 0, again: bool = False) -> None:
        """Hear words in one batch, each session its own; ``clock`` ns ahead of ours is the device's own, if it has one.

        ``late`` is how long ago (ns) they were said, ``again`` whether the broker sends them again.
        """
        for word in words:
            if word.ask is not None and not again:
                self._ask(word.ask)
        self._settled = Counter(self._heard if self.takes_acks else ())
        for session in SESSIONS:
            mine = [word for word in words if word.ask is None and session_of(word) == session]
            if mine:
                raw = b"".join(self._packet(word, clock, late, again=again) for word in mine)
                self._hear(session, raw)

    def _hear(self, session: str, raw: bytes, *, cause: str = "") -> None:
        heard, settled = decode_packets(raw), self._settled[session]
        self._heard[session] += len(heard)
        self.say(Batch(session, self._connection, True, settled, raw), heard, cause=cause)  # noqa: FBT003 -- as in the journal

    def _packet(self, word: Word, clock: int | None, late: int, *, again: bool) -> bytes:
        said = dict(word.said)
        if clock is not None:
            said["t"] = (START + self.now - late + clock) // MILLISECOND
        once = mqtt5.QoS.AT_LEAST_ONCE
        packet = mqtt5.PublishPacket(
            word.topic, orjson.dumps(said), qos=once, packet_id=word.packet_id, duplicate=again
        )
        return packet.write()

    def _ask(self, step: Step) -> None:
        wall = START + self.now + self.wall_step
        for request in self.script.scene.requests(step, self.engine.alarms(), len(self.records), wall):
            self.say(request)

    def teach(self, clock: int) -> None:
        """Let the devices of the script live long enough for their clocks to be known."""
        topics_of = dict.fromkeys(word.topic.rpartition("/")[0] for word in self.script.words if word.ask is None)
        for topic in topics_of:
            for _ in range(LESSONS):
                self.hear(Word(0, f"{topic}/telemetry", {"values": {}}), clock=clock)

    def show_clock(self, word: Word, clock: int) -> None:
        """Let who says a word show its clock: what was known of it is forgotten after a day."""
        if word.ask is None:
            self.hear(Word(0, f"{word.topic.rpartition('/')[0]}/telemetry", {"values": {}}), clock=clock)

    # ------------------------------------------------------------------------------------------------------------ life

    def start(self) -> None:
        """Begin a process."""
        self.say(Started("stage", SESSIONS))

    def connect(self) -> None:
        """Connect both sessions anew."""
        self._connection += 1
        self._heard.clear()
        self._settled.clear()
        for session in SESSIONS:
            self.say(SessionConnected(session, self._connection, session_present=True))

    def catch_up(self) -> None:
        """Let both markers return."""
        for session in SESSIONS:
            self.say(SessionCaughtUp(session, self._connection))

    def lose(self) -> None:
        """Lose both sessions."""
        for session in SESSIONS:
            self.say(SessionLost(session, self._connection, "trouble"))

    def move(self) -> None:
        """Go on in the memory of another process, which knows the state as it was written down and nothing else."""
        self.write_down()
        self.engine = Engine(JOURNAL, topics, decode_packets)
        self.engine.restore(sorted(self.entries.items()))

    def write_down(self) -> None:
        """Write a checkpoint."""
        self.engine.state.begin_checkpoint()
        for key, body in self.engine.state.take_checkpoint().items():
            if body is None:
                self.entries.pop(key, None)
            else:
                self.entries[key] = body

    # ------------------------------------------------------------------------------------------------------------ time

    def until(self, moment: int) -> None:
        """Let time pass; a tick comes whenever something is due."""
        while (due := self.engine.next_due) is not None and due <= START + moment:
            self.now = max(self.now, due - START)
            self.say(Tick(), cause=self._due())
        self.now = max(self.now, moment)

    def endure(self, moment: int) -> None:
        """Let time pass while blind: a tick a second, as a hub makes them."""
        second = MINUTE // 60
        for at in range((self.now // second + 1) * second, moment + 1, second):
            self.now = at
            self.say(Tick())
        self.now = max(self.now, moment)

    def _due(self) -> str:
        """Return which timers are the first to come."""
        found = [(due, kind.name) for kind in TimerClass if (due := self.pending(kind)) is not None]
        return min(found)[1] if found and min(found)[0] <= START + self.now else "SCHEDULE"

    def pending(self, kind: TimerClass) -> int | None:
        """Return when the first timer of a class is due, in engine time."""
        due = self.engine._timers.next_due(kind)  # noqa: SLF001 -- which sort of time it waits for shows nowhere else
        clock = self.engine.state.clock
        return None if due is None else due + clock.blind_total * (kind is TimerClass.AWAKE)

    # ------------------------------------------------------------------------------------------------------- afterwards

    @property
    def happenings(self) -> list[Happening]:
        """Return everything that came of the rule."""
        return [each for beat in self.beats for each in beat.happenings]

    @property
    def open_alarms(self) -> list[str]:
        """Return the keys of the alarms that are active."""
        return [alarm.key for alarm in self.engine.alarms() if alarm.rule == self.script.rule.rule]


def play(script: Script) -> Stage:
    """Return the undisturbed performance."""
    stage = Stage(script)
    for word in script.words:
        stage.until(word.at)
        stage.hear(word)
    stage.until(nanoseconds(script.case.given[-1].at))
    stage.expected = stage.happenings
    stage.until(script.end)
    return stage
