"""An engine on a desk: documents from YAML, records stamped by hand, effects to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import msgspec
import orjson

from hub.bridge import topics
from hub.catalogue import Catalogue
from hub.config.settings import packaged
from hub.engine.apply import Engine
from hub.model.effects import Effects, Event, Writing
from hub.model.heard import Heard, Publish
from hub.model.records import Batch, Body, Record, SessionCaughtUp, SessionConnected, SessionLost, Started, Tick
from hub.revisions.files import read_scenes, read_yaml
from hub.revisions.revision import differing, revise
from hub.rules.rule import write_rule
from tests.shipped import profiles as shipped_profiles

SECOND = 1_000_000_000
START = 1_772_352_000 * SECOND
JOURNAL = "00000000-0000-4000-8000-000000000001"
SESSIONS = ("events", "telemetry")
HOUR = 3_600
SITE = "s1"


def device(name: str, kind: str, profile: str = "", *, building: str = "b1", site: str = "s1") -> dict[str, bytes]:
    """Return a device document."""
    row = {
        "site": site, "device": name, "kind": kind, "profile": profile, "building": building, "place": building,
        "zone": "Asia/Shanghai", "params": {},
    }  # fmt: skip
    return {f"device/{site}/{name}": orjson.dumps(row, option=orjson.OPT_SORT_KEYS)}


@cache
def shipped() -> tuple[Mapping[str, bytes], Catalogue]:
    """Return the shipped YAML and its kinds; read once, for that takes half a second."""
    catalogue, _ = shipped_profiles()
    return read_yaml([packaged("device_profiles")], [packaged("rules"), packaged("scenes")]), catalogue


def documents(*devices: Mapping[str, bytes], rules: Sequence[Path] = ()) -> dict[str, bytes]:
    """Return the shipped YAML, overlaid, and ``devices``."""
    known, catalogue = shipped()
    found = {**known, **{f"rule/{name}": write_rule(rule) for name, rule in read_scenes(rules, catalogue)[0].items()}}
    for each in devices:
        found |= each
    return found


def unheard(found: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return documents without the rule that tells of controllers which say nothing for a quarter of an hour."""
    return {key: body for key, body in found.items() if key != "rule/device-offline"}


COMMUNITY = (
    device("smoke-1", "smoke_sensor", "milesight/gs524n"),
    device("gate-1", "access_controller", "hikvision/access"),
    device("door-1", "access_controller"),
)


_TRIED: set[frozenset[tuple[str, bytes]]] = set()
"""With which documents a desk has begun: the next one that does need not try them out, which is half of its time."""


class Desk:
    """Feeds records to an engine; ``t`` and the wall clock move only by hand."""

    def __init__(self, wanted: Mapping[str, bytes] | None = None, writing: Writing | None = None) -> None:
        self._heard: dict[bytes, Sequence[Heard]] = {}
        self.engine = Engine(JOURNAL, topics, self._decode, writing)
        self.records: list[Record] = []
        self.effects: list[Effects] = []
        self.t = START
        self.wall = START
        self._next_t = START
        self.checkpoint: dict[str, bytes] = {}
        if wanted is not None:
            self.say(Started("test", SESSIONS))
            self.revise(wanted)
            self.catch_up()

    # ------------------------------------------------------------------------------------------------------------ time

    def wait(self, seconds: float) -> None:
        """Let time pass; nobody notices before the next record."""
        self.t += round(seconds * SECOND)
        self.wall += round(seconds * SECOND)

    def tick(self, seconds: float = 0) -> Effects:
        """Let time pass and tick."""
        self.wait(seconds)
        return self.say(Tick())

    # --------------------------------------------------------------------------------------------------------- records

    def say(self, body: Body, messages: Sequence[Heard] = (), bodies: Mapping[str, bytes] | None = None) -> Effects:
        """Journal ``body`` now and apply it."""
        t = self.t = max(self._next_t, self.t)
        self._next_t = t + len(messages) + 1
        record = Record(len(self.records) + 1, t, self.wall, body, tuple(messages), bodies or {})
        self.records.append(record)
        effects = self.engine.apply(record)
        self.effects.append(effects)
        return effects

    def _decode(self, packets: bytes) -> Sequence[Heard]:
        """Return the messages of a batch: here its packets are only its number, so that any bytes can be a message."""
        return self._heard[packets]

    def revise(self, wanted: Mapping[str, bytes]) -> Effects:
        """Move to other documents."""
        known = self.engine.content.bodies()
        first = None if known else frozenset(wanted.items())
        note = (differing if first in _TRIED else revise)(known, wanted, "test")
        assert note is not None
        if first is not None:
            _TRIED.add(first)
        return self.say(note.revision, bodies=note.bodies)

    def catch_up(self, connection: int = 1) -> None:
        """Connect both sessions and let their markers return."""
        for session in SESSIONS:
            self.say(SessionConnected(session, connection, session_present=True))
        for session in SESSIONS:
            self.say(SessionCaughtUp(session, connection))

    def lose(self) -> None:
        """Lose both sessions."""
        for session in SESSIONS:
            self.say(SessionLost(session, 1, "test"))

    def hear(self, *messages: Publish, session: str = "events", connection: int = 1, settled: int = 0) -> Effects:
        """Hear a batch."""
        packets = len(self.records).to_bytes(4, "big")
        self._heard[packets] = messages
        return self.say(Batch(session, connection, True, settled, packets), messages)  # noqa: FBT003 -- as in the journal

    # ------------------------------------------------------------------------------------------------------- afterwards

    @property
    def events(self) -> list[Event]:
        """Return every event so far."""
        return [event for effects in self.effects for event in effects.events]

    def told(self) -> list[str]:
        """Return the events as short sentences: name, transition, late."""
        return [f"{event.transition} {event.name}{' late' if event.late else ''}" for event in self.events]

    def write_down(self) -> None:
        """Write a checkpoint over the one before it."""
        state = self.engine.state
        state.begin_checkpoint()
        found = {**self.checkpoint, **state.take_checkpoint()}
        self.checkpoint = {key: body for key, body in found.items() if body is not None}

    def restart(self) -> Desk:
        """Return a desk whose engine came from this one's checkpoint, in another process's memory."""
        self.write_down()
        return self.revive(self.checkpoint)

    def start_again(self, connection: int = 2) -> Desk:
        """Return such a desk that has begun and heard its markers."""
        other = self.restart()
        other.say(Started("test", SESSIONS))
        other.catch_up(connection)
        return other

    def revive(self, checkpoint: Mapping[str, bytes]) -> Desk:
        """Return a desk whose engine came from ``checkpoint``."""
        other = Desk()
        other.engine.restore(sorted(checkpoint.items()))
        other.checkpoint = dict(checkpoint)
        other._heard = self._heard
        other.records, other.effects = list(self.records), []
        other.t, other.wall, other._next_t = self.t, self.wall, self._next_t
        return other


def encoded(effects: Sequence[Effects]) -> bytes:
    """Return effects as bytes, to compare two runs."""
    plain = [
        (
            one.position,
            [(series.kind, series.device, series.part, time, values) for series, time, values in one.points],
            one.events, one.alarms, one.replies, one.dead_letters, one.transmissions,
        )
        for one in effects
    ]  # fmt: skip
    return msgspec.msgpack.encode(plain)


def smoke(hexadecimal: str, **words: object) -> Publish:
    """Return a GS524N frame from smoke-1."""
    return Publish("hub/s1/smoke-1/telemetry", bytes.fromhex(hexadecimal), **words)  # type: ignore[arg-type] # test words


ALARM, NORMAL = "221164321F18", "2217641E1A2B"
"""GS524N: alarm and normal (samples.json)."""
UNLOCKS = """
rule: smoke-unlocks
label: {en: Smoke unlocks the gates of the building, zh: 烟感联动开门}
for_each: smoke_sensor
when: status == 'alarm'
raise: {event: fire.smoke_unlocks, severity: critical}
clear: {when: "status == 'normal'"}
do:
  - {command: unlock, args: {ttl: 30s}, to: {kind: access_controller, in: building}, priority: life_safety,
     until: cleared}
"""


def with_rule(tmp_path: Path, text: str) -> Desk:
    """Return a desk with the community and one rule more."""
    (tmp_path / "extra.yaml").write_text(text, encoding="utf-8")
    return Desk(documents(*COMMUNITY, rules=[tmp_path]))


def native(name: str, payload: object, topic_class: str = "signal") -> Publish:
    """Return what the device ``name`` says in the hub's own words."""
    return Publish(f"hub/s1/{name}/{topic_class}", orjson.dumps(payload))


def transmitted(desk: Desk) -> list[tuple[str, str]]:
    """Return topic and command of everything that was sent."""
    return [
        (one.topic, orjson.loads(one.payload)["command"]) for effects in desk.effects for one in effects.transmissions
    ]


def place(name: str, sort: str, parent: str = "", building: str = "b1") -> dict[str, bytes]:
    """Return the document of a place of the site."""
    row = {"site": SITE, "place": name, "type": sort, "parent": parent, "building": building, "zone": "Asia/Shanghai"}
    return {f"place/{SITE}/{name}": orjson.dumps(row)}


def stands(name: str, kind: str, where: str, profile: str = "", building: str = "b1") -> dict[str, bytes]:
    """Return the document of a device that stands at the place ``where``."""
    row = {
        "site": SITE, "device": name, "kind": kind, "profile": profile, "building": building, "place": where,
        "zone": "Asia/Shanghai", "params": {},
    }  # fmt: skip
    return {f"device/{SITE}/{name}": orjson.dumps(row)}


def barred(found: Mapping[str, bytes], state: str) -> dict[str, bytes]:
    """Return the document of a device as the registry writes it when it is not to be heard."""
    ((key, body),) = found.items()
    return {key.replace("device/", "barred/"): orjson.dumps({**orjson.loads(body), "state": state})}


HOUSE = {"place/s1/b1": orjson.dumps({"site": "s1", "place": "b1", "type": "building", "zone": "Asia/Shanghai"})}
