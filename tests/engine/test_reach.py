"""What a rule reaches: only the messages that it reads wake it, and it says which place it is about."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from hub.engine.woken import always
from hub.model.effects import Where
from hub.rules.states import CompiledRule
from tests.engine.desk import Desk, documents, place, stands, transmitted
from tests.engine.one_rule import HOT, PLACES, ROOM, desk_with, warm


def test_a_rule_of_places_is_not_judged_for_a_word_that_it_does_not_read(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, for_each="building")
    warm(desk, 20)
    room = desk.engine.content.find("s1", "room")
    assert room is not None
    assert [rule.name for rule in room.rules.reading("", {"temperature": 1.0}).rules] == ["hot"]
    assert room.rules.reading("", {"humidity": 1.0}).rules == ()


# ------------------------------------------------------------------------------------------------------- what it costs


def many(tmp_path: Path, count: int) -> Desk:
    """Return a desk with 4 rules that read the temperature and ``count`` that read something else."""
    texts = [HOT.format(words="", when="temperature > 50", for_each="environment_sensor")] * 4
    texts += [HOT.format(words="", when="humidity > 50", for_each="environment_sensor")] * count
    named = [text.replace("rule: hot", f"rule: hot-{number}") for number, text in enumerate(texts)]
    (tmp_path / "rules.yaml").write_text("---".join(named), encoding="utf-8")
    return Desk(documents(*ROOM, rules=[tmp_path]))


def test_rules_that_do_not_read_a_message_are_not_even_asked(tmp_path: Path) -> None:
    desk = many(tmp_path, 396)
    asked: list[str] = []

    def counted(rule: CompiledRule) -> Callable[..., bool | None]:
        inner = rule.when
        assert inner is not None

        def verdict(*words: object) -> bool | None:
            asked.append(rule.name)
            found: bool | None = inner.verdict(*words)  # type: ignore[arg-type] # handed through as it came
            return found

        return verdict

    for rule in desk.engine.content.rules.values():
        if rule.name.startswith("hot-") and rule.when is not None:
            rule.when = rule.when._replace(verdict=counted(rule))
    warm(desk, 20)
    assert asked == []  # what the reading says rules them out
    warm(desk, 60)
    assert sorted(set(asked)) == ["hot-0", "hot-1", "hot-2", "hot-3"]


def test_rules_of_places_are_only_asked_about_what_they_read() -> None:
    desk = Desk(documents(*ROOM))
    warm(desk, 20)
    room = desk.engine.content.find("s1", "room")
    assert room is not None
    assert room.rules.reading("", {"temperature": 21.0}).rules == ()


@pytest.mark.parametrize("count", [0, 396])
def test_a_message_makes_as_many_calls_however_many_rules_do_not_read_it(tmp_path: Path, count: int) -> None:
    desk = many(tmp_path, count)
    warm(desk, 20)
    room = desk.engine.content.find("s1", "room")
    assert room is not None
    woken = room.rules.reading("", {"temperature": 21.0})
    assert [rule.name for rule in woken.rules] == ["hot-0", "hot-1", "hot-2", "hot-3"]
    assert woken is room.rules.reading("", {"temperature": 22.0})
    assert woken.ask is not always


# -------------------------------------------------------------------------------------------------- where it happens


def test_what_a_rule_for_places_tells_says_which_place_in_words(tmp_path: Path) -> None:
    label = {"en": "House 1", "zh": "一号楼"}
    house = orjson.dumps({**orjson.loads(PLACES["place/s1/b1"]), "label": label})
    desk = desk_with(tmp_path, for_each="building")
    desk.revise({**desk.engine.content.bodies(), "place/s1/b1": house})
    warm(desk, 60)
    expected = Where("b1", "building", label)
    assert [event.place for event in desk.events if event.name == "fire.hot"] == [expected]
    assert [alarm.place for alarm in desk.engine.alarms()] == [expected]
    assert [change.alarm.place for effects in desk.effects for change in effects.alarms if change.alarm] == [expected]


def test_what_a_rule_for_devices_tells_names_no_place(tmp_path: Path) -> None:
    desk = desk_with(tmp_path)
    warm(desk, 60)
    assert [event.place for event in desk.events if event.name == "fire.hot"] == [None]


# -------------------------------------------------------------------------------------------- whom its commands are for

THERE = """
rule: hot
for_each: environment_sensor
when: temperature > 50
raise: {event: fire.hot, severity: high}
do: [{command: unlock, args: {ttl: 30s}, to: {kind: access_controller, in: place}}]
---
rule: whole
for_each: site
when: temperature > 90
raise: {event: fire.whole, severity: high}
"""


def test_a_command_for_the_same_place_leaves_for_nobody_elsewhere_where_no_rule_is_for_such_a_place(
    tmp_path: Path,
) -> None:
    (tmp_path / "rule.yaml").write_text(THERE, encoding="utf-8")
    devices = (
        stands("room", "environment_sensor", "f1"), stands("door-1", "access_controller", "f1"),
        stands("door-2", "access_controller", "f1-hall"), stands("door-3", "access_controller", "f2"),
    )  # fmt: skip
    places = (
        place("s1", "site", building=""), place("b1", "building", "s1"), place("f1", "floor", "b1"),
        place("f2", "floor", "b1"), place("f1-hall", "dwelling", "f1"),
    )  # fmt: skip
    desk = Desk(documents(*devices, *places, rules=[tmp_path]))
    warm(desk, 60)
    assert [topic.split("/")[2] for topic, _ in transmitted(desk)] == ["door-1", "door-2"]
