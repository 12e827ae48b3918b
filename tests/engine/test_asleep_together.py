"""Rules, people and wishes at devices that sleep, with restarts: laws of all of it together, by the engine itself."""

from __future__ import annotations

import base64
from functools import cache
from itertools import chain
from typing import NamedTuple

import orjson
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hub.commands.life import CommandState
from hub.model.effects import Effects, Reply
from hub.model.records import Control, Outcome, OutcomeKind, Started
from hub.model.values import Scalar
from hub.rules.rule import Rule, write_rule
from hub.yaml_documents import canonical_json
from tests.engine.desk import SECOND, Desk, device, encoded, native
from tests.engine.foreign import foreign
from tests.engine.sleepers import ESCAPE, LATCH, LOCK, METER, content, spoke, valves

GATE_WORDS = ("lock", "hold_door", "release_door")
CLOSES = {
    "rule": "smoke-closes", "version": "1.0.0", "label": {"en": "Smoke closes", "zh": "烟感关阀"},
    "for_each": "smoke_sensor", "when": "alarm", "raise": {"event": "fire.closes", "severity": "critical"},
    "clear": {"when": "not alarm"},
    "do": [{
        "command": "close_valve", "to": {"kind": "water_meter", "in": "building"}, "priority": "life_safety",
        "until": "cleared",
    }],
}  # fmt: skip


@cache
def town() -> dict[str, bytes]:
    """Return a gate that speaks hourly, a meter, a detector; smoke holds the gate and closes the valve, a leak too."""
    kept = {key: body for key, body in content().items() if key.startswith(("kind/access", "kind/smoke"))}
    gate = foreign("gate-1", "access_controller", "test/latch", "lora", LOCK)
    latch = canonical_json(LATCH.model_copy(update={"profile": "test/latch"}))
    rules = {f"rule/{each['rule']}": write_rule(Rule.model_validate(each)) for each in (ESCAPE, CLOSES)}
    return {**valves(), **kept, **gate, **device("smoke-9", "smoke_sensor"), "profile/test/latch": latch, **rules}


class Left(NamedTuple):
    """A word that left: to the gate or the meter."""

    eui: str
    word: str
    command: str


def left(effects: Effects) -> list[Left]:
    """Return what left, in its order."""
    found = []
    for each in effects.transmissions:
        eui = each.topic.split("/")[3]
        found.append(Left(eui, base64.b64decode(orjson.loads(each.payload)["data"]).decode(), each.command))
    return found


class Town:
    """The town at work; each step is a record or several."""

    def __init__(self) -> None:
        self.desk, self.connection = Desk(town()), 1
        self.burns = self.leaks = False
        self.valve = "open"
        self.before: list[Effects] = []
        self.last: dict[str, Left] = {}
        self.cancelled: set[str] = set()
        for eui in (LOCK, METER):
            self.speaks(eui)

    def step(self, what: str, number: int) -> None:
        """Do one thing, and hold the laws of each record that it takes."""
        before = len(self.desk.effects)
        {"people": self._people, "devices": self._devices, "hub": self._hub}[WHO[what]](what, number)
        for effects in self.desk.effects[0 if what == "starts" else before :]:
            self._look(effects)

    def _people(self, what: str, number: int) -> None:
        match what:
            case "wish":
                self._ask("desire", device="meter-1", name="valve", value=("open", "closed")[number % 2], reason="x")
            case "cancel":
                identity = self._some(number)
                wish, sign, _ = identity.partition("-")
                if self._ask("cancel", id=identity).ok and wish.startswith("x") and sign:
                    self.cancelled.add(wish)
            case "hold_door":
                self._ask("command", device="gate-1", command=what, ttl="2h")
            case _:
                self._ask("command", device="meter-1" if what.endswith("valve") else "gate-1", command=what)

    def _devices(self, what: str, _number: int) -> None:
        if what == "fire":
            self.burns = not self.burns
            said = native("smoke-9", {"values": {"alarm": self.burns}}, "telemetry")
            self.desk.hear(said, connection=self.connection)
        elif what == "leak":
            self.leaks = not self.leaks
            self.speaks(METER)
        else:
            self.speaks(LOCK if what == "gate" else METER)

    def _hub(self, what: str, number: int) -> None:
        if what == "starts":
            self._start()
        elif what == "passes":
            self.desk.tick(1 + 40 * number**2)
        else:
            self.desk.say(Outcome(self._some(number), OutcomeKind(what)))

    def _some(self, number: int) -> str:
        ids = sorted(self.desk.engine._hands.commands)  # noqa: SLF001 -- whatever is known
        return ids[number % len(ids)] if ids else "none"

    def _ask(self, verb: str, **words: Scalar) -> Reply:
        desk = self.desk
        identity = f"x{len(desk.records):04}"
        asked = Control("1-0", identity, "li", verb, desk.wall + 30 * SECOND, {"site": "s1", **words})
        return desk.say(asked).replies[0]

    def speaks(self, eui: str) -> list[Left]:
        """Let a device speak; return what it is told then."""
        desk = self.desk
        said = {"fire": "normal"} if eui == LOCK else {"valve": self.valve, "leak": self.leaks, "fault": False}
        message = spoke(desk, orjson.dumps(said).hex(), eui=eui)
        return left(desk.hear(message, connection=self.connection))

    def _start(self) -> None:
        self.before += self.desk.effects
        self.desk = self.desk.restart()
        self.desk.say(Started("test", ("events", "telemetry")))
        self.connection += 1
        self.desk.catch_up(self.connection)

    def _look(self, effects: Effects) -> None:
        """Hold the laws of one record."""
        found = left(effects)
        assert len({each.command for each in found}) == len(found), "nothing leaves twice in one record"
        for each, sent in zip(found, effects.transmissions, strict=True):
            assert sent.expires_at > self.desk.wall, "nothing leaves after its expiry"
            is_of_a_wish = each.command.partition("-")[0] in self.cancelled and "-" in each.command
            assert not is_of_a_wish, "nothing leaves for a wish whose command was taken back"
            self.last[each.eui] = each
            if each.word.endswith("_valve"):
                self.valve = {"close_valve": "closed", "open_valve": "open"}[each.word]

    def has_ended(self) -> None:
        """Everything is over, the devices speak, all that leaves arrives: nothing stays held."""
        for identity, command in sorted(self.desk.engine._hands.commands.items()):  # noqa: SLF001 -- of whatever is out
            if command.state in {CommandState.ACCEPTED, CommandState.SENT}:
                self.desk.say(Outcome(identity, OutcomeKind.FAILED, "broker_gone"))
        self.leaks = False
        for what in ["fire"] * self.burns + ["gate", "meter", "passes"] * CALM:
            before = len(self.desk.effects)
            self.step(what, 5)
            for each in list(chain.from_iterable(left(effects) for effects in self.desk.effects[before:])):
                self.desk.say(Outcome(each.command, OutcomeKind.DELIVERED))
        assert not self.desk.engine._hands.leases, "every hold ends"  # noqa: SLF001 -- shows nowhere else
        gate = self.last.get(LOCK)
        assert gate is None or gate.word in {"lock", "release_door"}, "a release always goes out"


WHO = {
    **dict.fromkeys((*GATE_WORDS, "close_valve", "open_valve", "wish", "cancel"), "people"),
    **dict.fromkeys(("fire", "leak", "gate", "meter"), "devices"),
    **dict.fromkeys(("delivered", "failed", "starts", "passes"), "hub"),
}
CALM = 24
"""So often everybody speaks in the end: a release that nobody confirmed is tried again, later each time."""
WHAT = (*WHO, "gate", "meter", "delivered", "passes")
steps = st.lists(st.tuples(st.sampled_from(WHAT), st.integers(0, 9)), max_size=30)


@example([("fire", 0), ("passes", 0), ("close_valve", 0)], 0)
@settings(deadline=None, max_examples=15)
@given(steps, st.integers(0, 30))
def test_whatever_happens_to_devices_that_sleep(played: list[tuple[str, int]], copied: int) -> None:
    here = Town()
    copy: tuple[int, Desk] | None = None
    for number, step in enumerate(played):
        if number == copied:
            copy = len(here.desk.records), here.desk.restart()
        here.step(*step)
    here.has_ended()
    if copy is not None:
        came = [*here.before, *here.desk.effects]
        again = [copy[1].engine.apply(record) for record in here.desk.records[copy[0] :]]
        assert encoded(again) == encoded(came[copy[0] :]), "whoever goes on from a checkpoint comes to the same"


def test_a_door_that_sleeps_is_told_at_each_word_of_its_own_what_keeps_people_alive() -> None:
    here = Town()
    here.step("hold_door", 0)
    here.step("fire", 0)
    for _ in range(3):
        here.desk.tick(3_600)
        assert [each.word for each in here.speaks(LOCK)] == ["hold_door"]
    here.step("fire", 0)
    told = chain.from_iterable(left(effects) for effects in here.desk.effects)
    assert [each.word for each in told if each.eui == LOCK] == ["hold_door"] * 5 + ["release_door"]
