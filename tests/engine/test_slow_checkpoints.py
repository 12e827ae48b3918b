"""A checkpoint is the state as it was when it was begun, whatever is applied while it is made; a kill loses nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

from hypothesis import example, given, settings
from hypothesis import strategies as st

from hub.model.records import Control, Outcome, OutcomeKind
from hub.model.values import Scalar
from tests.engine.desk import SECOND, Desk, documents, encoded, native, place, stands

Word = tuple[str, str, Mapping[str, Scalar]]
"""What is done, to whom, and with which words."""
RULES = ("ebike", "entrapment", "door-held-open", "door-forced", "smoke", "heat", "fire-confirmed", "repeated-denials")


@cache
def town() -> dict[str, bytes]:
    """Return an elevator with two witnesses, a fire zone with two detectors, a lane and a door."""
    found = documents(
        place("s1", "site", building=""), place("b1", "building", "s1"), place("lift-1", "elevator", "b1"),
        place("zone-1", "fire_zone", "b1"), place("lane-1", "lane", "s1", ""),
        stands("box-1", "elevator", "lift-1"), stands("eye-1", "ai_camera", "lift-1"),
        stands("smoke-1", "smoke_sensor", "zone-1"), stands("heat-1", "heat_sensor", "zone-1"),
        stands("reader-1", "plate_reader", "lane-1", building=""), stands("gate-1", "access_controller", "b1"),
    )  # fmt: skip
    wanted = ("kind/", "device/", "place/", *(f"rule/{name}" for name in RULES))  # the rest costs time
    return {key: body for key, body in found.items() if key.startswith(wanted)}


SAYS: list[Word] = [
    *(("values", "box-1", {"ebike_present": each, "door": "open", "mode": "normal"}) for each in (True, False)),
    *(("values", "eye-1", {"ebike_present": each > 0.5, "ebike_confidence": each}) for each in (0.95, 0.05)),
    *(("values", "box-1", {"entrapment_level": each, "door": "closed"}) for each in (True, False)),
    *(("values", "smoke-1", {"alarm": each}) for each in (True, False)),
    *(("values", "heat-1", {"alarm": each}) for each in (True, False)),
    *(("values", "reader-1", {"vehicle_present": each}) for each in (True, False)),
    *(("values", "gate-1", {"door": each, "lock": "locked"}) for each in ("open", "closed")),
    ("signals", "gate-1", {"name": "door.forced"}),
    ("signals", "gate-1", {"name": "access.denied"}),
]
ASKS: list[Word] = [
    *((verb, who, {"for": "2m", "reason": "a look"}) for verb in ("test", "drill") for who in ("lift-1", "smoke-1")),
    *((verb, who, {}) for verb in ("end_test", "end_drill") for who in ("lift-1", "smoke-1")),
    *((verb, "", {}) for verb in ("ack", "comment", "shelve", "clear")),
    ("command", "box-1", {"command": "hold_door", "ttl": "20s"}),
    ("command", "box-1", {"command": "release_door"}),
    ("command", "reader-1", {"command": "hold_barrier", "ttl": "5s"}),
    ("command", "gate-1", {"command": "unlock", "ttl": "20s"}),
    *(("desire", "eye-1", {"name": "armed", "value": each}) for each in (True, False)),
    ("desire", "eye-1", {"name": "armed"}),
]
ASKED = frozenset(verb for verb, *_ in ASKS)
MOVES: list[Word] = [
    *(("tick", seconds, {}) for seconds in ("0", "1", "5", "61", "700")),
    *((what, "", {}) for what in ("lose", "catch up", "begin", "begin", "some", "take")),
    *(("outcome", what, {}) for what in ("answer", "deliver")),
    *(("without", key, {}) for key in ("", "rule/ebike", "device/s1/smoke-1", "place/s1/lift-1")),
]


class Making:
    """Two engines that hear the same: one makes its checkpoints at once, the other while records go on."""

    def __init__(self) -> None:
        self.slow = Desk(town())
        self._quick = self.slow.revive({})
        self._followed = 0
        self.made: list[tuple[dict[str, bytes | None], dict[str, bytes | None]]] = []
        """Each checkpoint as it was taken, and as it was when it was begun."""
        self._begun: dict[str, bytes | None] | None = None
        self._checkpoint: dict[str, bytes | None] = {}
        self._at, self._connection = 0, 1
        self.begin()

    def do(self, word: Word) -> None:
        """Do what a word says."""
        what, who, words = word
        desk = self.slow
        match what:
            case "values" | "signals":
                said: object = words if what == "values" else [words]
                desk.hear(native(who, {what: said}, "telemetry"), connection=self._connection)
            case "tick":
                desk.tick(int(who))
            case "lose":
                desk.lose()
            case "catch up":
                self._connection += 1
                desk.catch_up(self._connection)
            case "outcome":
                self._end(who)
            case "without":
                self._revise(who)
            case _ if what in ASKED:
                self._ask(what, who, words)
            case _:
                {"begin": self.begin, "some": self._some, "take": self.take}[what]()

    def _end(self, what: str) -> None:
        """Let the last command that left arrive, or be answered."""
        left = [one for effects in self.slow.effects for one in effects.transmissions][-1:]
        for one in left:
            if what == "deliver":
                self.slow.say(Outcome(one.command, OutcomeKind.DELIVERED))
            else:
                answer = native(one.topic.split("/")[2], {"id": one.command, "ok": True}, "response")
                self.slow.hear(answer, connection=self._connection)

    def _revise(self, gone: str) -> None:
        now = self.slow.engine.content.bodies()
        wanted = {key: body for key, body in town().items() if not gone or not key.startswith(gone)}
        if dict(now) != wanted:
            self.slow.revise(wanted)

    def _ask(self, verb: str, who: str, words: Mapping[str, Scalar]) -> None:
        args: dict[str, Scalar] = {"site": "s1", "device": who, "what": who, "text": "so", "for": "1m", **words}
        alarm = next((one for one in self.slow.engine.alarms() if not one.rule.startswith(("test", "drill"))), None)
        if alarm is not None:
            args |= {"rule": alarm.rule, "key": alarm.key}
        if verb == "drill":
            args["rules"] = "ebike-in-elevator" if who == "lift-1" else "smoke-alarm"
        if verb in {"command", "desire"}:
            args = {"site": "s1", "device": who, **words}
        number = len(self.slow.records)
        self.slow.say(Control(f"{number}-0", f"id-{number}", "li", verb, self.slow.wall + 30 * SECOND, args))

    # ----------------------------------------------------------------------------------------------------- checkpoints

    def begin(self) -> None:
        """Begin a checkpoint of both; that of one is taken at once."""
        self.take()
        for record in self.slow.records[self._followed :]:
            self._quick.engine.apply(record)
        for desk in (self.slow, self._quick):
            desk.engine.state.begin_checkpoint()
        self._begun = _settled(self._quick)
        self._at = self._followed = len(self.slow.records)

    def _some(self) -> None:
        if self._begun is not None:
            self.slow.engine.state.encode_some(400)

    def take(self) -> None:
        """Take what was begun."""
        if self._begun is not None:
            found = _settled(self.slow)
            self.made.append((found, self._begun))
            self._checkpoint |= found
            self._begun = None

    def kill(self) -> tuple[Desk, int]:
        """Return what the last checkpoint makes of a new process, and how many records it has seen."""
        self.take()
        return self.slow.revive({key: body for key, body in self._checkpoint.items() if body is not None}), self._at


def _settled(desk: Desk) -> dict[str, bytes | None]:
    """Return a checkpoint without what a broker may send again: what it took meanwhile need not be digested."""
    found = dict(desk.engine.state.take_checkpoint().items())
    return {key: body for key, body in found.items() if not key.startswith("unsettled/")}


EBIKE = [SAYS[0], SAYS[2], ("tick", "1", {})] * 4
TESTED: Sequence[Word] = [
    *(("test", "lift-1", {"for": "10m", "reason": "a look"}), ("tick", "1", {}), ("begin", "", {})),
    *(*EBIKE, SAYS[3], SAYS[1], ("end_test", "lift-1", {})),
]
"""A test is over while a checkpoint is made, and so is the alarm that was raised in it."""
GONE: Sequence[Word] = [*EBIKE, ("begin", "", {}), ("without", "rule/ebike", {}), ("tick", "1", {})]
"""A rule is removed while a checkpoint is made, with its alarm."""


@settings(max_examples=15, deadline=None)
@example(words=[*TESTED])
@example(words=[*GONE])
@given(words=st.lists(st.sampled_from([*SAYS, *SAYS, *ASKS, *MOVES]), min_size=5, max_size=60))
def test_a_checkpoint_made_while_records_go_on_is_the_state_as_it_was(words: list[Word]) -> None:
    making = Making()
    for word in words:
        making.do(word)
    again, at = making.kill()
    for taken, begun in making.made:
        assert taken == begun
    effects = [again.engine.apply(record) for record in making.slow.records[at:]]
    assert encoded(effects) == encoded(making.slow.effects[at:])


def test_what_was_raised_in_a_test_sends_nothing_when_a_kill_comes_after_its_end() -> None:
    making = Making()
    for word in TESTED:
        making.do(word)
    again, at = making.kill()
    effects = [again.engine.apply(record) for record in making.slow.records[at:]]
    raised = [event for each in effects for event in each.events if event.transition == "raised"]
    assert raised
    assert all(event.test for event in raised)
    assert [one for each in effects for one in each.transmissions] == []
