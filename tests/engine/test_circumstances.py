"""Circumstances that change in mid alarm: parameters, places, lists, facts and consents; judged at once."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from hub.errors import ConfigError
from hub.model.records import Started
from tests.engine.desk import SECOND, SESSIONS, Desk, device, documents, encoded, native
from tests.engine.one_rule import HOUR, MINUTE, PLACES, desk_with, told, warm


def test_a_parameter_that_changes_is_judged_at_once_and_keeps_the_alarm(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, "params: {limit: 50.0}", "temperature > $limit")
    warm(desk, 45)
    known = desk.engine.content.bodies()
    assert told(desk) == []
    mine = {"rule": "hot", "site": "s1", "device": "room", "values": {"limit": 40}}
    desk.revise({**known, "params/room": orjson.dumps(mine)})
    assert told(desk) == ["raised"]
    desk.revise({**known, "params/room": orjson.dumps({**mine, "values": {"limit": 42}})})
    assert told(desk) == ["raised"]
    desk.revise(known)
    desk.tick()
    assert told(desk) == ["raised", "cleared"]


FORCED = """
rule: hot
for_each: {kind: access_controller, part: door}
on_signal: door.forced
raise: {event: fire.hot, severity: high}
clear: {when: "door == 'closed'"}
---
rule: handle
for_each: {kind: access_controller, part: door}
facts: {free_exit: false}
when: door == 'open'
unless: $free_exit
raise: {event: fire.handle, severity: low}
"""


def test_what_was_said_before_a_signal_does_not_end_its_alarm_when_another_rule_comes_to_something_else(
    tmp_path: Path,
) -> None:
    (tmp_path / "rule.yaml").write_text(FORCED, encoding="utf-8")
    found = documents(device("door-1", "access_controller"), rules=[tmp_path])
    mine = {
        key: body for key, body in found.items() if not key.startswith("rule/") or key in {"rule/hot", "rule/handle"}
    }
    desk = Desk({**mine, **PLACES})
    desk.hear(native("door-1", {"part": "door-1", "values": {"door": "closed"}}))
    desk.hear(native("door-1", {"part": "door-1", "signals": [{"name": "door.forced"}]}))
    row = orjson.loads(PLACES["place/s1/b1"]) | {"facts": {"free_exit": True}}
    desk.revise({**desk.engine.content.bodies(), "place/s1/b1": orjson.dumps(row)})
    desk.tick(1)
    assert told(desk) == ["raised"]
    desk.hear(native("door-1", {"part": "door-1", "values": {"door": "closed"}}))
    desk.tick(1)
    assert told(desk) == ["raised", "cleared"]


GRAVER = """
rule: hot
label: {en: Forced, zh: 撬门}
for_each: {kind: access_controller, part: door}
on_signal: door.forced
raise: {event: fire.hot, severity: low}
clear: {when: door == 'closed'}
ladder: [{severity: high, when: lock == 'unlocked'}]
"""


def test_a_word_that_makes_it_worse_does_not_end_what_a_signal_began_by_what_was_said_before(tmp_path: Path) -> None:
    (tmp_path / "rule.yaml").write_text(GRAVER, encoding="utf-8")
    desk = Desk(documents(device("door-1", "access_controller"), rules=[tmp_path]))
    desk.hear(native("door-1", {"part": "door-1", "values": {"door": "closed", "lock": "locked"}}))
    desk.hear(native("door-1", {"part": "door-1", "signals": [{"name": "door.forced"}]}))
    desk.hear(native("door-1", {"part": "door-1", "values": {"lock": "unlocked"}}))
    assert told(desk) == ["raised", "severity_changed"]
    desk.hear(native("door-1", {"part": "door-1", "values": {"door": "closed"}}))
    assert told(desk) == ["raised", "severity_changed", "cleared"]


QUIET = """
rule: quiet
for_each: environment_sensor
params: {limit: 1d}
absent_for: $limit
raise: {event: fire.hot, severity: low}
"""
OTHER = {"rule": "other", "for_each": "environment_sensor", "when": "humidity > 99"}
THERE = {"place/s1/b2": PLACES["place/s1/b1"].replace(b'"b1"', b'"b2"')}


def other(version: int) -> dict[str, bytes]:
    """Return the document of a rule that has nothing to do with it."""
    words = {**OTHER, "version": f"{version}.0.0", "raise": {"event": "fire.other", "severity": "low"}}
    return {"rule/other": orjson.dumps(words)}


def revised(desk: Desk, **documents: bytes) -> Desk:
    """Take documents; return a desk that was restarted at once."""
    desk.revise({**desk.engine.content.bodies(), **documents})
    return desk.restart()


@pytest.mark.parametrize("more", [{}, other(2)], ids=["alone", "with another rule"])
@pytest.mark.parametrize("is_blind", [False, True], ids=["awake", "blind"])
@pytest.mark.parametrize("at", ["by a parameter", "by a place"])
def test_a_shorter_silence_is_waited_for_from_when_it_is_said_on_whatever_else_changes(
    tmp_path: Path, more: dict[str, bytes], at: str, *, is_blind: bool
) -> None:
    (tmp_path / "rule.yaml").write_text(QUIET, encoding="utf-8")
    room = device("room", "environment_sensor")
    found = documents(room, rules=[tmp_path])
    mine = {key: body for key, body in found.items() if not key.startswith("rule/") or key == "rule/quiet"}
    there = {"params/b2": orjson.dumps({"rule": "quiet", "site": "s1", "place": "b2", "values": {"limit": "10m"}})}
    desk = Desk({**mine, **PLACES, **THERE, **other(1), **(there if at == "by a place" else {})})
    moved = {key: body.replace(b'"place":"b1"', b'"place":"b2"') for key, body in room.items()}
    here = {"params/s1": orjson.dumps({"rule": "quiet", "site": "s1", "values": {"limit": "10m"}})}
    warm(desk, 20)
    desk.tick(HOUR)
    if is_blind:
        desk.lose()
    later = revised(desk, **more, **(moved if at == "by a place" else here))
    start = len(desk.effects)
    for each in (desk, later):
        if is_blind:
            each.catch_up(2)
        each.tick(1)
    assert told(desk) == ["raised"]
    assert encoded(later.effects) == encoded(desk.effects[start:])


@pytest.mark.parametrize("for_each", ["environment_sensor", "building"])
def test_a_parameter_that_changes_together_with_another_rule_is_judged_at_once_as_alone(
    tmp_path: Path, for_each: str
) -> None:
    desk = desk_with(tmp_path, "params: {limit: 50.0}", "temperature > $limit", for_each)
    desk.revise({**desk.engine.content.bodies(), **other(1)})
    warm(desk, 45)
    params = orjson.dumps({"rule": "hot", "site": "s1", "values": {"limit": 40}})
    later = revised(desk, **other(2), **{"params/s1": params})
    assert told(desk) == ["raised"]
    start = len(desk.effects)
    for each in (desk, later):
        warm(each, 30)
        each.tick(1)
    assert told(later) == ["cleared"]
    assert encoded(later.effects) == encoded(desk.effects[start:])


def test_another_rule_alone_lets_nobody_be_judged_again_on_what_was_said_before(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, "params: {limit: 50.0}", "temperature > $limit")
    warm(desk, 45)
    words = orjson.loads(desk.engine.content.bodies()["rule/hot"])
    revised(desk, **{"rule/hot": orjson.dumps({**words, "params": {"limit": 40.0}})})
    assert told(desk) == []
    warm(desk, 45)
    assert told(desk) == ["raised"]


def test_a_parameter_of_another_sort_is_refused_before_it_is_journaled(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, "params: {limit: 50.0}", "temperature > $limit")
    mine = {"rule": "hot", "site": "s1", "values": {"limit": "hot"}}
    with pytest.raises(ConfigError, match="limit of hot is such as"):
        desk.revise({**desk.engine.content.bodies(), "params/room": orjson.dumps(mine)})


def test_a_place_that_is_removed_ends_its_alarm_and_says_why(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, for_each="building")
    warm(desk, 60)
    wanted = {key: body for key, body in desk.engine.content.bodies().items() if key != "place/s1/b1"}
    effects = desk.revise(wanted)
    assert [(event.key, event.data["reason"]) for event in effects.events] == [("s1/@b1", "place removed")]


HALF_A_DAY = 12 * HOUR * SECOND
WINDOW = ("schedule: {from: '12:00', until: '20:00'}", "temperature > 50")
FACT = ("facts: {away: false}", "temperature > 50 and not $away")


@pytest.mark.parametrize("words", [WINDOW, FACT], ids=["window", "fact"])
@pytest.mark.parametrize("is_restarted", [False, True])
def test_what_began_or_ended_by_a_clock_that_was_ahead_is_as_it_was_when_that_is_back(
    tmp_path: Path, words: tuple[str, str], *, is_restarted: bool
) -> None:
    desk = desk_with(tmp_path, *words)  # it is four in the afternoon
    here = orjson.loads(PLACES["place/s1/b1"]) | {"facts": {"away": "2026-03-01T22:00/"}}
    desk.revise({**desk.engine.content.bodies(), "place/s1/b1": orjson.dumps(here)})
    desk.wall += HALF_A_DAY
    desk.tick(1)
    if is_restarted:
        desk = desk.restart()
    desk.wall -= HALF_A_DAY
    if is_restarted:
        desk.say(Started("test", SESSIONS))
        desk.catch_up(2)
    desk.tick(1)
    warm(desk, 60, connection=2 if is_restarted else 1)
    assert told(desk) == ["raised"]


# ------------------------------------------------------------------------------- lists and facts change in mid alarm

LANE = (device("lane-1", "plate_reader"),)
BLOCKED = """
rule: hot
label: {en: Blocked, zh: 黑名单}
for_each: plate_reader
when: plate in list('block')
raise: {event: fire.hot, severity: high}
"""


def lane(tmp_path: Path) -> Desk:
    (tmp_path / "rule.yaml").write_text(BLOCKED, encoding="utf-8")
    desk = Desk({**documents(*LANE, rules=[tmp_path]), **PLACES})
    desk.hear(native("lane-1", {"values": {"plate": "A"}}, "telemetry"))
    return desk


def put(desk: Desk, *, said: object = True, name: str = "block") -> None:
    """Put plate A on a list, or take it off."""
    known = {key: body for key, body in desk.engine.content.bodies().items() if not key.startswith("list/")}
    row = {"site": "s1", "list": name, "entries": {"A": said}}
    desk.revise({**known, f"list/s1/{name}": orjson.dumps(row)})


def test_a_plate_that_is_put_on_a_list_and_taken_off_raises_and_clears_without_being_read_again(tmp_path: Path) -> None:
    desk = lane(tmp_path)
    assert told(desk) == []
    put(desk)
    assert told(desk) == ["raised"]
    put(desk, name="allow")
    desk.tick(1)
    assert told(desk) == ["raised", "cleared"]
    put(desk)
    assert told(desk) == ["raised", "cleared", "raised"]
    raised = [event.id for event in desk.events if event.transition == "raised"]
    assert len(set(raised)) == 2


def test_an_entry_of_a_list_ends_with_its_day_in_mid_alarm(tmp_path: Path) -> None:
    desk = lane(tmp_path)
    put(desk, said="/2026-03-01")  # 16:00 in Shanghai
    assert told(desk) == ["raised"]
    desk.tick(7.9 * HOUR)
    assert told(desk) == ["raised"]
    desk.tick(0.2 * HOUR)
    assert told(desk) == ["raised", "cleared"]


def test_a_list_that_changed_while_nobody_could_hear_is_judged_when_everything_has_been_read(tmp_path: Path) -> None:
    desk = lane(tmp_path)
    put(desk)
    later = desk.restart()
    later.say(Started("test", SESSIONS))
    put(later, name="allow")
    assert told(later) == []
    again = later.restart()
    for each in (later, again):
        each.catch_up(2)
        each.tick(1)
        assert told(each) == ["cleared"]


def away(desk: Desk, said: object) -> None:
    house = orjson.dumps({**orjson.loads(PLACES["place/s1/b1"]), "facts": {"away": said}})
    desk.revise({**desk.engine.content.bodies(), "place/s1/b1": house})


def test_a_fact_that_comes_in_mid_alarm_ends_it_and_its_end_raises_it_again(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, "facts: {away: false}\nunless: $away")
    warm(desk, 60)
    away(desk, said=True)
    desk.tick(1)
    assert told(desk) == ["raised", "cleared"]
    away(desk, said=False)
    assert told(desk) == ["raised", "cleared", "raised"]


def test_a_fact_that_comes_while_a_rule_still_waits_makes_it_nothing(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, "facts: {away: false}\nunless: $away\nfor: 10m")
    warm(desk, 60)
    desk.tick(5 * MINUTE)
    away(desk, said=True)
    desk.tick(10 * MINUTE)
    assert told(desk) == []


def test_who_has_not_consented_is_not_watched_and_who_has_only_as_long_as_they_did(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, "facts: {care_watch: false}", "temperature > 50 and $care_watch")
    warm(desk, 60)
    assert told(desk) == []
    house = orjson.loads(PLACES["place/s1/b1"])
    watched = orjson.dumps({**house, "facts": {"care_watch": "2026-03-01/2026-03-01"}})
    desk.revise({**desk.engine.content.bodies(), "place/s1/b1": watched})
    assert told(desk) == ["raised"]
    for _ in range(9):
        warm(desk, 60)
        desk.tick(HOUR * 0.9)
    assert told(desk) == ["raised", "cleared"]


def test_a_revision_that_is_the_first_to_come_in_an_open_window_does_not_shut_it_again(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, 'schedule: {from: "16:10", until: "18:00"}')
    warm(desk, 60)
    desk.tick(10 * MINUTE - 0.5)
    assert told(desk) == []
    desk.wait(1)
    away(desk, said=True)
    desk.tick(1)
    assert told(desk) == ["raised"]
