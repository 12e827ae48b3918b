"""The quick way of a usual message against the way of any: the same effects and the same state, byte for byte."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hub.engine.device import Device
from hub.engine.hearing import Ear
from hub.model import Publish, Reading
from hub.sinks.timeseries.lines import WRITING, encode
from tests.engine.desk import SECOND, START, Desk, device, documents, encoded

RULES = """\
rule: too-hot
version: 1.0.0
label: {en: Too hot, zh: 过热}
for_each: environment_sensor
when: temperature > 40 and humidity < 60
raise: {event: utility.too_hot, severity: high}
clear: {when: temperature < 35, for: 5s}
tests:
  - name: it rises
    given: [{at: 0s, values: {temperature: 41, humidity: 50}}]
    expect: ["0s raised utility.too_hot"]
"""
WORDS = st.fixed_dictionaries(
    {
        "device": st.sampled_from(["env-1", "env-2"]),
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
                {"unknown": 1},
                {},
            ]
        ),
        "retain": st.sampled_from([False, False, False, True]),
        "upset": st.sampled_from([None] * 12 + ["lose", "restart", "tick"]),
    }
)


def conversation(desk: Desk, words: Sequence[dict[str, object]]) -> Iterator[Desk]:
    """Let devices say what ``words`` tell; yields the desk at work, which a restart replaces."""
    numbers: dict[object, int] = {}
    for each in words:
        desk.wait(float(str(each["after"])))
        if each["upset"] == "lose":
            desk.lose()
            desk.catch_up(len(desk.records))
        elif each["upset"] == "restart":
            desk = desk.restart()
        elif each["upset"] == "tick":
            desk.tick()
        who, age = each["device"], each["age"]
        numbers[who] = numbers.get(who, 0) + {"next": 1, "gap": 3}.get(str(each["seq"]), 0)
        message: dict[str, object] = {"values": each["values"], "boot": each["boot"]}
        if age is not None:
            message["t"] = (desk.wall - round(float(str(age)) * SECOND)) // 1_000_000
        if each["seq"] != "none":
            message["seq"] = numbers[who]
        if each["part"] is not None:
            message["part"] = each["part"]
        desk.hear(Publish(f"hub/s1/{who}/telemetry", orjson.dumps(message), retain=bool(each["retain"])))
        yield desk


def outcome(words: Sequence[dict[str, object]], content: dict[str, bytes]) -> tuple[bytes, dict[str, bytes | None]]:
    """Return the effects of a conversation and the state that it leaves."""
    desk, effects = Desk(content), []
    for here in conversation(desk, words):
        if here is not desk:
            effects += desk.effects
            desk = here
    state = desk.engine.state
    state.begin_checkpoint()
    return encoded([*effects, *desk.effects]), dict(sorted(state.take_checkpoint().items()))


@pytest.fixture(name="content", scope="module")
def _content(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    rules: Path = tmp_path_factory.mktemp("rules")
    (rules / "heat.yaml").write_text(RULES, encoding="utf-8")
    devices = [*(device(name, "environment_sensor") for name in ("env-1", "env-2")), device("lift", "elevator")]
    found = documents(*devices, rules=[rules])
    mine = ("kind/", "device/", "rule/too-hot")  # the rest costs most of the time and says nothing here
    return {key: body for key, body in found.items() if key.startswith(mine)}


USUAL = {
    "device": "env-1", "after": 1, "age": 0.2, "seq": "next", "boot": "a", "part": None,
    "values": {"temperature": 20.0, "humidity": 50.0}, "retain": False, "upset": None,
}  # fmt: skip
HOT = {**USUAL, "values": {"temperature": 45.0, "humidity": 55.0}}


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(words=[USUAL] * 20)
@example(words=[*[USUAL] * 12, HOT, HOT, USUAL, *[USUAL] * 8])
@example(words=[*[USUAL] * 12, {**USUAL, "age": 0.1}, USUAL, {**USUAL, "age": 90}, USUAL])
@given(words=st.lists(WORDS, min_size=1, max_size=40))
def test_the_usual_way_ends_as_the_way_of_any_message(
    words: list[dict[str, object]], content: dict[str, bytes]
) -> None:
    usual = outcome(words, content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ear, "_take_usual", lambda *_: False)
        assert outcome(words, content) == usual


def test_a_device_that_goes_on_as_before_takes_the_usual_way(
    content: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    real: Callable[[Ear, Device, Reading], bool] = Ear._take_usual  # noqa: SLF001 -- which way it took shows nowhere else
    taken: list[bool] = []

    def watched(ear: Ear, device: Device, reading: Reading) -> bool:
        taken.append(real(ear, device, reading))
        return taken[-1]

    monkeypatch.setattr(Ear, "_take_usual", watched)
    outcome([USUAL] * 20, content)
    assert taken == [False] * 10 + [True] * 10


def test_what_is_held_never_goes_back_in_time(content: dict[str, bytes]) -> None:
    words = [*[USUAL] * 12, HOT, {**USUAL, "age": 30}]
    *_, desk = conversation(Desk(content), words)
    found = {twin.name: twin.reported["temperature"] for twin in desk.engine.twins_of("s1")}
    assert found["env-1"][:2] == (45.0, START + 13 * SECOND - SECOND // 5)


def test_an_engine_that_can_write_makes_the_lines_of_the_points_that_another_makes(content: dict[str, bytes]) -> None:
    words = [*[USUAL] * 12, HOT, {**USUAL, "part": "north"}, {**USUAL, "age": None}, {**USUAL, "retain": True}, USUAL]
    words += [{**USUAL, "device": "lift", "values": {"floor": 3, "door": "open", "speed": 1.5}}] * 14  # not all floats
    one, other = Desk(content), Desk(content, WRITING)
    for desk in (one, other):
        assert [*conversation(desk, words)][-1] is desk
    assert [each.lines for each in other.effects] == [encode(each.points) for each in one.effects]
    assert other.engine.state.ledger == one.engine.state.ledger
    assert not any(each.points for each in other.effects)
