"""The short ways of rules at places, and of points that are spared, against the long ones: the same effects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec
import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hub.durations import nanoseconds
from hub.engine import judging, views
from hub.engine.places import Place
from hub.engine.sieve import Sieve
from hub.engine.sparing import Sparing, Stored
from hub.engine.views import Views
from hub.engine.waits import Waits
from hub.engine.woken import NOTHING_ASKED
from hub.model.heard import Publish
from hub.model.records import Control
from hub.model.values import Scalar, Values
from hub.normalize.profile import Store
from tests.engine.desk import SECOND, Desk, documents, encoded


def _stands(name: str, kind: str, where: str) -> dict[str, bytes]:
    row = {"site": "s1", "device": name, "kind": kind, "building": "b1", "place": where, "zone": "Asia/Shanghai"}
    return {f"device/s1/{name}": orjson.dumps(row)}


def _place(name: str, sort: str, parent: str = "") -> dict[str, bytes]:
    row = {"site": "s1", "place": name, "type": sort, "parent": parent, "zone": "Asia/Shanghai"}
    return {f"place/s1/{name}": orjson.dumps(row)}


ELEVATOR = {
    "door": st.sampled_from(["open", "closed", "opening"]), "door_zone": st.booleans(), "passenger": st.booleans(),
    "direction": st.sampled_from(["stopped", "up"]), "speed": st.sampled_from([0.0, 1.0, 25.0]),
    "mode": st.sampled_from(["normal", "normal", "inspection"]), "entrapment_level": st.booleans(),
    "ebike_present": st.booleans(), "overspeed": st.booleans(), "stopped_outside_zone": st.booleans(),
    "shaken": st.booleans(),
}  # fmt: skip
CAMERA = {
    "people": st.sampled_from([0, 1]), "ebike_confidence": st.sampled_from([0.1, 0.9]), "ebike_present": st.booleans(),
}  # fmt: skip
DOOR = {
    "door": st.sampled_from(["open", "closed"]), "held_open": st.booleans(),
    "lock": st.sampled_from(["locked", "unlocked"]),
}  # fmt: skip
SIGNALS = st.sampled_from(["access.granted", "door.forced", "access.denied"])
LATELY = """
rule: rode-lately
label: {en: Somebody rode lately, zh: 近期有人乘梯}
for_each: {kind: elevator}
inputs: {rode: {where: passenger or shaken, take: any, within: 15m}}
when: rode and not door_zone and mode == 'inspection'
raise: {event: elevator.rode_lately, severity: low}
clear: {for: 5s}
"""
"""What it remembers outlives what it looks at, so that what is due may come sooner with a word."""
CLOSED = """
rule: rode-behind-closed-doors
label: {en: Somebody rode lately and the door is not open, zh: 近期有人乘梯且门未打开}
for_each: {kind: elevator}
inputs: {rode: {where: passenger, take: any, within: 1h}}
when: rode
unless: door == 'open'
raise: {event: elevator.rode_behind_closed_doors, severity: low}
clear: {for: 5s}
"""
"""What hinders it becomes stale while it only remembers, in the moment in which what it looks at does."""
MINE = ("rode-lately", "rode-behind-closed-doors")
OF_DOORS = ("access-passage", "door-forced", "door-forced-derived", "door-held-open")
WORDS = st.one_of(
    st.tuples(st.just("gate-1"), st.fixed_dictionaries({}, optional=DOOR | {"signal": SIGNALS})),
    st.tuples(st.sampled_from(["lift-1", "lift-1", "lift-2"]), st.fixed_dictionaries({}, optional=ELEVATOR)),
    st.tuples(st.sampled_from(["eye-1", "eye-2"]), st.fixed_dictionaries({}, optional=CAMERA)),
    st.tuples(st.sampled_from(["tick", "tick", "blind", "lose", "restart", "test"]), st.just(dict[str, Scalar]())),
)
AFTER = st.sampled_from([0.0, 0.5, 1, 5, 20, 61, 130, 700])
REMEMBERED = -1
"""In place of how many seconds late it is: the broker remembered it."""
LATE = st.sampled_from([0, 0, 0, 0, 90, REMEMBERED])
Spoken = tuple[tuple[str, dict[str, Scalar]], float, int]


@pytest.fixture(name="town", scope="module")
def _town(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    mine_too = tmp_path_factory.mktemp("rules")
    for name, words in zip(MINE, (LATELY, CLOSED), strict=True):
        (mine_too / f"{name}.yaml").write_text(words, encoding="utf-8")
    town = documents(
        _place("s1", "site"), _place("b1", "building", "s1"), _place("e1", "elevator", "b1"),
        _place("e2", "elevator", "b1"), _stands("lift-1", "elevator", "e1"), _stands("lift-2", "elevator", "e2"),
        _stands("eye-1", "ai_camera", "e1"), _stands("eye-2", "ai_camera", "e1"),
        _stands("gate-1", "access_controller", "b1"), rules=[mine_too],
    )  # fmt: skip
    kinds = ("kind/elevator", "kind/ai_camera", "kind/access_controller", "kind/face_terminal")
    mine = (*kinds, "device/", "place/")  # the rest costs time and says nothing here
    lifted: list[str] = orjson.loads(town["kind/elevator"])["rules"]
    wanted = {f"rule/{name}" for name in (*lifted, *OF_DOORS, *MINE)}
    return {key: body for key, body in town.items() if key.startswith(mine) or key in wanted}


def outcome(town: dict[str, bytes], words: Sequence[Spoken]) -> tuple[bytes, dict[str, object]]:
    """Return the effects of what ``words`` tell, and the state that is left; of inputs what they remember."""
    desk, effects = Desk(town), []
    for (who, values), after, late in words:
        desk.wait(after)
        if who == "tick":
            desk.tick()
        elif who in {"blind", "lose"}:
            desk.lose()
            if who == "lose":
                desk.catch_up(len(desk.records))
        elif who == "restart":
            effects += desk.effects
            desk = desk.restart()
        elif who == "test":
            args: dict[str, Scalar] = {"site": "s1", "what": "eye-1", "for": "2m", "reason": "a look"}
            number = len(desk.records)
            desk.say(Control(f"{number}-0", f"id-{number}", "somebody", "test", desk.wall + 30 * SECOND, args))
        else:
            desk.hear(_message(who, values, desk.wall, late))
    effects += desk.effects
    desk.engine.state.begin_checkpoint()
    return encoded(effects), dict(_left({**desk.checkpoint, **desk.engine.state.take_checkpoint()}))


def _message(who: str, values: Mapping[str, Scalar], now: int, late: int) -> Publish:
    said = {name: value for name, value in values.items() if name != "signal"}
    message: dict[str, object] = {"values": said, **({"part": "door-1"} if who == "gate-1" else {})}
    if "signal" in values:
        message["signals"] = [{"name": values["signal"]}]
    if late > 0:
        message["t"] = (now - late * SECOND) // 1_000_000
    return Publish(f"hub/s1/{who}/telemetry", orjson.dumps(message), retain=late == REMEMBERED)


def _left(checkpoint: Mapping[str, bytes | None]) -> Iterator[tuple[str, object]]:
    """Yield what matters of a state: the long ways also keep rule states that are idle, and inputs of nobody."""
    for key, body in checkpoint.items():
        noun, found = key.partition("/")[0], None if body is None else msgspec.msgpack.decode(body)
        if found is None:
            continue
        if noun == "memory":
            if any(found["tracks"].values()):
                yield key, found["tracks"]
        elif noun != "rule" or found["phase"] != "idle" or found["shelved_t"] is not None:
            yield key, body


def _spoken(who: str, after: float = 1, **values: Scalar) -> Spoken:
    return (who, values), after, 0


def _remembered(who: str, **values: Scalar) -> Spoken:
    return (who, values), 1, REMEMBERED


def _rides(people: int, after: float = 1) -> Spoken:
    """An open door at a landing rules out that anybody is trapped; who is in the car is remembered all the same."""
    return _spoken("lift-1", after, passenger=people > 0, door_zone=True, door="open", mode="normal")


SCENES: list[Spoken] = [
    *(_rides(1), _rides(0), _rides(0, 3), _rides(0, 20), _rides(1), _rides(0), _rides(1), _spoken("tick", 20)),
    *(_spoken("lift-1", 700, door_zone=False, direction="stopped"), _spoken("eye-1", people=1), _spoken("tick", 61)),
    *(_spoken("eye-1", ebike_confidence=0.9), _spoken("eye-1", ebike_confidence=0.9)),
    *(_spoken("lift-2", door="open"), _spoken("lift-2", door="open"), _spoken("tick", 130)),
    *(_spoken("gate-1", door="open"), _spoken("gate-1", signal="access.granted"), _spoken("tick", 5)),
    *(_spoken("gate-1", door="closed"), _spoken("gate-1", 20, door="open"), _spoken("tick", 3)),
    *(_spoken("gate-1", door="closed", held_open=False), _spoken("tick", 61)),
    *(_spoken("blind"), _spoken("lift-2", door="closed"), _spoken("lift-2", door="open"), _spoken("lose")),
    *(_rides(1), _spoken("lift-1", door="open"), _spoken("lift-1", door="closed")),
]
NEVER_SAID: list[Spoken] = [_spoken("lift-1", mode="normal", door="open"), _spoken("lift-1", mode="normal")]
"""Of an e-bike nobody has said anything yet, so the rule that needs that is not asked."""
STAYS: list[Spoken] = [_rides(1), _rides(1, 300), _rides(1, 300), _rides(1, 300), _spoken("tick", 599)]
"""Somebody is in the car for so long that it would be stale, if nobody had said it again."""


BEHIND: list[Spoken] = [
    *(_spoken("lift-1", passenger=True, door="open"), _spoken("lift-1", 5, passenger=False, door="open")),
    *(_spoken("tick", 595), _spoken("tick", 10)),
]
"""An open door hinders it until nobody knows any more whether it is open."""


def at_length(town: dict[str, bytes], words: Sequence[Spoken]) -> tuple[bytes, dict[str, object]]:
    """Return the outcome of the long ways."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Place, "lacks", lambda *_: False)
        patch.setattr(Place, "_has_nobody_for", lambda *_: False)
        patch.setattr(Sieve, "left", lambda _self, woken, *_: (woken.rules, NOTHING_ASKED))
        patch.setattr(Waits, "begin", lambda *_: False)
        patch.setattr(Waits, "end", lambda *_: False)
        patch.setattr(Views, "waits_on", lambda *_: False)
        patch.setattr(judging, "may_move", lambda *_: True)
        patch.setattr(views, "_awaits_nothing", lambda *_: False)
        return outcome(town, words)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(words=SCENES)
@example(words=SCENES[:-1])  # a state that is open in between must be the same, too
@example(words=SCENES[:6])
@example(words=[_spoken("blind"), _spoken("lift-2", door="open")])
@example(words=[*NEVER_SAID, _spoken("lift-1", ebike_present=True), _spoken("lift-1", mode="normal")])
@example(words=[*NEVER_SAID, _spoken("eye-2", ebike_present=True)])
@example(words=[*NEVER_SAID, _remembered("eye-1", ebike_present=True), _spoken("lift-1", mode="normal", door="open")])
@example(words=STAYS)
@example(words=[*STAYS, _spoken("tick", 3)])
@example(words=[*STAYS, _spoken("tick", 3), _spoken("tick", 5)])
@example(
    words=[_rides(1), _rides(1, 599), _spoken("lift-1", door_zone=False, direction="stopped"), _spoken("tick", 61)]
)
@example(words=[_rides(1), _rides(0), _spoken("blind"), _rides(0, 20)])
@example(words=BEHIND)
@example(words=BEHIND[:-1])
@example(words=[*[(("gate-1", {"door": "closed"}), 1, 1)] * 9, (("gate-1", {"door": "open"}), 60, 30)])
@example(
    words=[_spoken("gate-1", door="open", signal="door.forced"), _spoken("gate-1", door="closed"), _spoken("tick", 6)]
)
@given(words=st.lists(st.tuples(WORDS, AFTER, LATE), min_size=1, max_size=30))
def test_rules_that_are_asked_shortly_do_what_all_of_them_asked_at_length_do(
    words: list[Spoken], town: dict[str, bytes]
) -> None:
    assert at_length(town, words) == outcome(town, words)


def test_what_was_judged_at_length_meanwhile_is_not_taken_for_what_left_a_memory_as_it_was(
    town: dict[str, bytes],
) -> None:
    mine = "rule/entrapment-derived"
    alone = {key: body for key, body in town.items() if not key.startswith("rule/") or key == mine}
    inside = _rides(1)
    left = _spoken("lift-1", passenger=False, door_zone=False, door="closed", mode="normal", direction="stopped")
    words = [inside, inside, left, _rides(0), inside]  # it begins to wait, and that turns out to be nothing
    assert any(key.startswith(mine) for key in outcome(alone, words[:3])[1])
    assert at_length(alone, words) == outcome(alone, words)


def test_what_hinders_a_rule_that_remembers_hinders_it_no_longer_once_it_is_stale(town: dict[str, bytes]) -> None:
    assert b"elevator.rode_behind_closed_doors" in outcome(town, BEHIND)[0]
    for left in (BEHIND[:-1], [*BEHIND[:-1], _spoken("tick", 5)]):  # the last moment in which the door is known
        assert b"elevator.rode_behind_closed_doors" not in outcome(town, left)[0]
    assert b"elevator.rode_behind_closed_doors" in outcome(town, [*BEHIND[:-1], _spoken("tick", 5 + 1e-9)])[0]


def test_a_camera_and_a_lift_in_one_place_raise_what_neither_could_alone(town: dict[str, bytes]) -> None:
    said = [_spoken("lift-1", door_zone=False, direction="stopped"), _spoken("eye-1", people=1), _spoken("tick", 61)]
    assert b"elevator.entrapment_derived" in outcome(town, said)[0]
    assert b"elevator.entrapment_derived" not in outcome(town, said[1:])[0]


# ----------------------------------------------------------------------------------------------------------- sparing


def _spared_at_length(words: Store, values: Values, time: int, stored: Stored) -> Values:
    """What is spared, word for word as a profile's ``store`` says it."""
    kept: Values = {}
    for name, value in values.items():
        if name not in stored or time < stored[name][1]:
            kept[name] = value
        else:
            last, at = stored[name]
            band = words.deadband.get(name)
            numbers = isinstance(value, int | float) and isinstance(last, int | float)
            has_moved = abs(value - last) >= band if band is not None and numbers else value != last  # type: ignore[operator] # numbers
            if has_moved or (words.at_least_every is not None and time - at >= nanoseconds(words.at_least_every)):
                kept[name] = value
        if name in kept and (name not in stored or time >= stored[name][1]):
            stored[name] = (value, time)
    return kept


SAID = st.fixed_dictionaries(
    {},
    optional={
        "speed": st.sampled_from([0.0, 0.05, 0.1, 1.0]), "door": st.sampled_from(["open", "closed"]),
        "up": st.booleans(), "floor": st.sampled_from([1, 2]),
    },
)  # fmt: skip


@example([(5, {"door": "open"}), (7, {"door": "closed"}), (6, {"door": "open"})], False)  # noqa: FBT003 -- drawn
@given(st.lists(st.tuples(st.integers(0, 12), SAID), max_size=12), st.booleans())
def test_what_is_spared_is_what_the_profile_says(said: list[tuple[int, Values]], renews: bool) -> None:  # noqa: FBT001 -- drawn
    words = Store.model_validate(
        {"on_change": True, "deadband": {"speed": 0.1}, **({"at_least_every": "5s"} if renews else {})}
    )
    short, long = Stored(), Stored()
    sparing = Sparing(words)
    for seconds, values in said:
        kept = sparing.spare(values, seconds * SECOND, short)
        assert kept == _spared_at_length(words, values, seconds * SECOND, long)
        assert short == long


def test_what_chooses_is_made_by_the_rules_that_it_chooses_among_alone(town: dict[str, bytes]) -> None:
    lift = Desk(town).engine.content.find("s1", "lift-1")
    assert lift is not None
    woken = lift.rules.reading("", {"door": "open", "speed": 0.0})
    first, last = woken.rules[0].name, woken.rules[-1].name
    assert first != last
    assert woken.chooser((first, last)) is woken.chooser((last, "another", first))
    assert woken.chooser(("another",)) is woken.chooser(())
    assert len({id(each) for each in woken.choosers.values()}) == 2
