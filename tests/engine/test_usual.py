"""The quick way of a usual message against the way of any: the same effects and the same state, byte for byte."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import cast

import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hub.engine.hearing import Ear
from hub.model.heard import Publish
from hub.sinks.timeseries.lines import WRITING, encode
from simulators.access import AccessController
from tests.engine.conversations import RULES, Outcome, outcome_of, settle, upset
from tests.engine.desk import SECOND, START, Desk, device, documents
from tests.engine.weight import calls

SPARING = {
    "profile": "test/sparing", "version": "1.0.0", "kind": "environment_sensor", "label": {"en": "Sparing"},
    "payload": {"format": "native"}, "store": {"on_change": True, "at_least_every": "60s"},
}  # fmt: skip
WORDS = st.fixed_dictionaries(
    {
        "device": st.sampled_from(["env-1", "env-2", "sparing"]),
        "after": st.sampled_from([0.5, 1, 30, 3_600]),
        "age": st.sampled_from([None, 0.0, 0.2, 0.2, 0.2, 0.2, 90, 100_000, -400]),
        "seq": st.sampled_from(["next", "next", "next", "gap", "same", "none"]),
        "boot": st.sampled_from(["a", "a", "a", "b"]),
        "part": st.sampled_from([None, None, None, "north"]),
        "values": st.sampled_from(
            [
                {"temperature": 20.0, "humidity": 50.0},
                {"temperature": 20.0, "humidity": 50.0},
                {"temperature": 45.0, "humidity": 55.0},
                {"temperature": 39.0, "humidity": 50.0},
                {"humidity": 50.0, "temperature": 21.0},
                {"temperature": 21.0},
                {"humidity": 1_000.0, "temperature": 22.0},
                {"humidity": 50, "temperature": 21},
                {"temperature": 20.0, "humidity": None},
                {"temperature": "20", "humidity": 50.0},
                {"unknown": 1, "temperature": 20.0, "humidity": 50.0},
                {"unknown": 1},
                {},
            ]
        ),
        "more": st.sampled_from([{}] * 8 + [{"rssi": [-90]}, {"signals": []}, {"signals": None}, {"seq": -1}]),
        "retain": st.sampled_from([False, False, False, True]),
        "upset": st.sampled_from([None] * 12 + ["lose", "restart", "tick", "save", "blind"]),
    }
)


def conversation(desk: Desk, words: Sequence[dict[str, object]]) -> Iterator[Desk]:
    """Let devices say what ``words`` tell; yields the desk at work, which a restart replaces."""
    numbers: dict[object, int] = {}
    for each in words:
        desk.wait(float(str(each["after"])))
        desk = upset(desk, each["upset"])
        who, age = each["device"], each["age"]
        numbers[who] = numbers.get(who, 0) + {"next": 1, "gap": 3}.get(str(each["seq"]), 0)
        message: dict[str, object] = {"values": each["values"], "boot": each["boot"]}
        if age is not None:
            message["t"] = (desk.wall - round(float(str(age)) * SECOND)) // 1_000_000
        if each["seq"] != "none":
            message["seq"] = numbers[who]
        if each["part"] is not None:
            message["part"] = each["part"]
        message |= cast("dict[str, object]", each["more"])
        desk.hear(Publish(f"hub/s1/{who}/telemetry", orjson.dumps(message), retain=bool(each["retain"])))
        settle(desk, each["upset"])
        yield desk


def outcome(words: Sequence[dict[str, object]], content: dict[str, bytes]) -> Outcome:
    desk = Desk(content)
    return outcome_of(desk, conversation(desk, words))


@pytest.fixture(name="content", scope="module")
def _content(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    rules: Path = tmp_path_factory.mktemp("rules")
    (rules / "heat.yaml").write_text(RULES, encoding="utf-8")
    devices = [*(device(name, "environment_sensor") for name in ("env-1", "env-2")), device("lift", "elevator")]
    found = documents(*devices, device("sparing", "environment_sensor", "test/sparing"), rules=[rules])
    found["profile/test/sparing"] = orjson.dumps(SPARING)
    mine = (
        "kind/",
        "device/",
        "profile/test/",
        "rule/too-hot",
    )  # the rest costs most of the time and says nothing here
    return {key: body for key, body in found.items() if key.startswith(mine)}


USUAL = {
    "device": "env-1", "after": 1, "age": 0.2, "seq": "next", "boot": "a", "part": None,
    "values": {"temperature": 20.0, "humidity": 50.0}, "retain": False, "upset": None, "more": {},
}  # fmt: skip
TIMELESS = {**USUAL, "age": None}
HOT = {**USUAL, "values": {"temperature": 45.0, "humidity": 55.0}}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(words=[USUAL] * 20)
@example(words=[*[USUAL] * 3, {**USUAL, "age": 100_000}, {**USUAL, "age": 0.1}, {**USUAL, "age": -400}, *[USUAL] * 6])
@example(words=[*[USUAL] * 5, {**USUAL, "upset": "blind"}, USUAL, {**HOT, "age": 90}, *[USUAL] * 3])
@example(words=[*[USUAL] * 12, HOT, HOT, USUAL, *[USUAL] * 8])
@example(words=[*[USUAL] * 12, {**USUAL, "age": 0.1}, USUAL, {**USUAL, "age": 90}, USUAL])
@example(words=[*[USUAL] * 12, {**USUAL, "upset": "save"}, USUAL])
@example(words=[*[USUAL] * 12, {**USUAL, "age": 0.1}, {**USUAL, "age": 60.05}, {**USUAL, "age": 60.15}, USUAL])
@example(words=[*[USUAL] * 12, {**USUAL, "after": 3_600}, *[{**USUAL, "after": 3_600, "age": 60.15}] * 26, USUAL])
@example(words=[{**USUAL, "age": None, "device": "sparing"}] * 4)
@example(words=[*[TIMELESS] * 3, {**TIMELESS, "retain": True}, TIMELESS])
@example(words=[*[TIMELESS] * 3, {**TIMELESS, "upset": "blind"}, TIMELESS])
@example(words=[*[USUAL] * 12, {**USUAL, "upset": "blind"}, USUAL])
@given(words=st.lists(WORDS, min_size=1, max_size=40))
def test_the_usual_way_ends_as_the_way_of_any_message(
    words: list[dict[str, object]], content: dict[str, bytes]
) -> None:
    usual = outcome(words, content)
    with pytest.MonkeyPatch.context() as patch:
        for way in ("_take_usual", "_take_shaped"):
            patch.setattr(Ear, way, lambda *_: False)
        assert outcome(words, content) == usual


Way = Callable[..., object]


def ways(words: Sequence[dict[str, object]], content: dict[str, bytes]) -> list[str]:
    """Return which ways the messages of a conversation took: shaped, usual, or readings, which is that of any."""
    taken: list[str] = []

    def watched(name: str, real: Way) -> Way:
        def take(*args: object) -> object:
            answer = real(*args)
            if answer is not False:
                taken.append(name)
            return answer

        return take

    with pytest.MonkeyPatch.context() as patch:  # which way it took shows nowhere else
        for name in ("shaped", "usual", "readings"):
            patch.setattr(Ear, f"_take_{name}", watched(name, getattr(Ear, f"_take_{name}")))
        outcome(words, content)
    return taken


def test_a_device_that_goes_on_as_before_takes_the_way_of_its_shape(content: dict[str, bytes]) -> None:
    assert ways([USUAL] * 20, content) == ["readings"] + ["shaped"] * 19  # of which ten teach its clock


def test_a_device_with_a_profile_or_without_a_clock_takes_the_usual_way(content: dict[str, bytes]) -> None:
    assert ways([{**USUAL, "device": "sparing"}] * 20, content) == ["readings"] + ["usual"] * 19
    assert ways([{**USUAL, "age": None}] * 20, content) == ["readings"] + ["usual"] * 19


PASSAGES = st.lists(
    st.tuples(
        st.sampled_from(["passage", "passage", "denial", "forced", "again", "again", "lock", "kept"]),
        st.sampled_from([0.0, 0.0, 0.0, 90.0, 100_000.0]),
        st.sampled_from([1, 1, 2]),
        st.sampled_from([None] * 9 + ["lose", "restart", "tick", "save", "blind"]),
    ),
    min_size=1, max_size=30,
)  # fmt: skip
Passages = list[tuple[str, float, int, str | None]]


def passing(desk: Desk, words: Passages) -> Iterator[Desk]:
    """Let a gate say who passes, each age by its own clock, and some of it again; yields the desk at work."""
    gate, last = AccessController("s1", "gate", seed=1), [b"{}"]
    for what, age, door, upset_by in words:
        desk.wait(1)
        desk = upset(desk, upset_by)
        at = desk.wall - round(age * SECOND)
        said = {"passage": gate.passage, "kept": gate.passage, "denial": gate.denial, "forced": gate.forced_door}.get(
            what
        )
        if said is not None:
            last = [report.payload for report in said(at)]
        elif what == "lock":
            last = [last[0].replace(b'"subEventType":75', b'"subEventType":22')]
        if what == "kept":  # while the gate was offline
            last = [payload.replace(b'"currentEvent":true', b'"currentEvent":false') for payload in last]
        last = [payload.replace(b'"doorNo":2', b'"doorNo":%d' % door) for payload in last]
        desk.hear(*(Publish("hub/s1/gate/signal", payload) for payload in last))
        settle(desk, upset_by)
        yield desk


def passed(words: Passages, content: dict[str, bytes]) -> Outcome:
    desk = Desk(content)
    return outcome_of(desk, passing(desk, words))


@pytest.fixture(name="gate", scope="module")
def _gate() -> dict[str, bytes]:
    found = documents(device("gate", "access_controller", "hikvision/access"))
    mine = ("kind/", "device/", "profile/hikvision/access", "rule/access-", "rule/door-", "rule/device-tamper")
    return {key: body for key, body in found.items() if key.startswith(mine)}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(words=[("passage", 0.0, 1, None)] * 12)
@example(words=[*[("passage", 0.0, 1, None)] * 6, ("again", 0.0, 1, None), ("passage", 0.0, 1, "save")])
@example(words=[*[("passage", 0.0, 1, None)] * 6, ("passage", 90.0, 1, None), ("again", 0.0, 1, "blind")])
@example(words=[*[("passage", 0.0, 1, None)] * 6, ("kept", 0.0, 1, None)])
@given(words=PASSAGES)
def test_passages_end_the_usual_way_as_they_do_the_way_of_any_message(words: Passages, gate: dict[str, bytes]) -> None:
    usual = passed(words, gate)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ear, "_take_usual", lambda *_: False)
        assert passed(words, gate) == usual


def test_a_passage_goes_the_usual_way_and_one_that_comes_again_does_not(gate: dict[str, bytes]) -> None:
    taken: list[object] = []
    real = cast("Way", Ear._take_usual)  # noqa: SLF001 -- which way it took shows nowhere else

    def take(*words: object) -> object:
        taken.append(real(*words))
        return taken[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ear, "_take_usual", take)
        passed([*[("passage", 0.0, 1, None)] * 6, ("again", 0.0, 1, None)], gate)
    assert taken[-6:] == [True] * 3 + [False] * 3


def test_a_shape_is_left_when_other_names_come_and_taken_up_when_they_stay(content: dict[str, bytes]) -> None:
    other = {**USUAL, "values": {"temperature": 21.0}}
    hour = {**USUAL, "after": 3_600}
    taken = ways([*[USUAL] * 12, other, USUAL, USUAL, hour, USUAL], content)
    assert taken[-6:] == ["shaped", "readings", "readings", "usual", "usual", "shaped"]


@pytest.mark.parametrize(("who", "way"), [("env-1", "shaped"), ("sparing", "usual")])
def test_a_word_that_came_sooner_than_any_before_goes_the_short_way(
    content: dict[str, bytes], who: str, way: str
) -> None:
    sooner = [{**USUAL, "device": who, "age": 0.19 - number / 100} for number in range(5)]
    late = {**USUAL, "device": who, "age": 90}
    taken = ways([*[{**USUAL, "device": who}] * 12, *sooner, late, sooner[-1]], content)
    assert taken[-7:] == [way] * 5 + ["readings", way]


def test_a_device_that_speaks_for_its_parts_is_not_tried_by_a_shape(content: dict[str, bytes]) -> None:
    *_, desk = conversation(Desk(content), [*[USUAL] * 3, {**USUAL, "part": "north"}, {**USUAL, "part": "south"}])
    found = desk.engine.content.find("s1", "env-1")
    assert found is not None
    assert found.shape is None


def test_of_a_device_in_alarm_no_measurement_is_remembered(content: dict[str, bytes]) -> None:
    hotter = [{**HOT, "values": {"temperature": 45.0 + number / 10, "humidity": 55.0}} for number in range(20)]
    *_, desk = conversation(Desk(content), [*[USUAL] * 12, *hotter])
    found = desk.engine.content.find("s1", "env-1")
    assert found is not None
    assert found.whole is not None
    known = [len(each._said) for each in found.whole.woken.choosers.values()]  # noqa: SLF001 -- it shows in nothing but time and memory
    assert known
    assert not any(known)


@pytest.mark.parametrize("who", ["env-1", "sparing"])
def test_what_is_held_never_goes_back_in_time(content: dict[str, bytes], who: str) -> None:
    words = [{**each, "device": who} for each in (*[USUAL] * 12, HOT, {**USUAL, "age": 30})]
    *_, desk = conversation(Desk(content), words)
    found = {twin.name: twin.reported["temperature"] for twin in desk.engine.twins_of("s1")}
    assert found[who][:2] == (45.0, START + 13 * SECOND - SECOND // 5)


@pytest.mark.parametrize("who", ["env-1", "sparing"])
@pytest.mark.parametrize("last", [USUAL, {**USUAL, "age": None}, HOT])
def test_a_twin_of_a_usual_word_is_what_any_is_and_few_calls(
    content: dict[str, bytes], who: str, last: dict[str, object]
) -> None:
    *_, desk = conversation(Desk(content), [{**each, "device": who} for each in (*[USUAL] * 12, last)])
    found = desk.engine.content.find("s1", who)
    assert found is not None
    assert found.whole is not None
    assert found.whole.twin() == found.twin("")
    assert found.whole.values == last["values"]  # which the twin was not made of
    assert calls(found.whole.twin) <= 6  # 7, of which one more was Python's


def test_an_engine_that_can_write_makes_the_lines_of_the_points_that_another_makes(content: dict[str, bytes]) -> None:
    words = [*[USUAL] * 12, HOT, {**USUAL, "part": "north"}, {**USUAL, "age": None}, {**USUAL, "retain": True}, USUAL]
    words += [{**USUAL, "device": "lift", "values": {"floor": 3, "door": "open", "speed": 1.5}}] * 14  # not all floats
    one, other = Desk(content), Desk(content, WRITING)
    for desk in (one, other):
        assert [*conversation(desk, words)][-1] is desk
    assert [each.lines for each in other.effects] == [encode(each.points) for each in one.effects]
    assert other.engine.state.ledger == one.engine.state.ledger
    assert not any(each.points for each in other.effects)


@pytest.mark.parametrize("before", [0, 12])  # as any reading, and as usual ones
def test_of_many_twins_that_changed_those_are_taken_first_that_wait_longest_each_as_it_is_then(
    content: dict[str, bytes], before: int
) -> None:
    first = [{**USUAL, "device": who} for who in ("env-1", "env-2", "sparing") for _ in range(before + 1)]
    *_, desk = conversation(Desk(content), first)
    assert [twin.name for twin in desk.engine.take_changed_twins(2)[0]] == ["env-1", "env-2"]
    *_, desk = conversation(desk, [{**HOT, "device": who} for who in ("env-1", "sparing", "sparing")])
    found = [(twin.name, twin.reported["temperature"][0]) for twin in desk.engine.take_changed_twins(7)[0]]
    assert found == [("sparing", 45.0), ("env-1", 45.0)]
    assert not [*desk.engine.take_changed_twins()[0]]
