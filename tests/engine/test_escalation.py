"""Others are told of an alarm that nobody takes on: over restarts, blind time, shelves, tests, drills and new rules."""

from __future__ import annotations

from pathlib import Path

import msgspec
import orjson
import pytest

from hub.model.records import Control, Started
from hub.model.values import Scalar
from tests.engine.desk import SECOND, SESSIONS, Desk
from tests.engine.one_rule import HOUR, MINUTE, desk_with, order, warm

STEPS = "escalate: [{after: 1m, to: lead}, {after: 5m, to: street}, {after: 30m, to: city, until: cleared}]"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return desk_with(tmp_path, STEPS)


def told(desk: Desk) -> list[str]:
    """Return what became of the alarm, and whom a step told."""
    mine = [event for event in desk.events if event.name == "fire.hot"]
    return [f"{event.transition} {event.data.get('to', '')}".rstrip() for event in mine]


def climbed(desk: Desk) -> list[tuple[int, str]]:
    return [(alarm.escalated, alarm.escalated_to) for alarm in desk.engine.alarms()]


def tried(desk: Desk, verb: str, identity: str) -> None:
    args: dict[str, Scalar] = {"site": "s1", "what": "room", "for": "2h", "reason": "annual inspection"}
    args |= {"rules": "hot"} if verb == "drill" else {}
    assert desk.say(Control("1-0", identity, "li", verb, desk.wall + 30 * SECOND, args)).replies[0].ok


def test_each_step_is_an_event_of_the_alarm_and_the_alarm_says_how_far_it_climbed(desk: Desk) -> None:
    warm(desk, 60)
    assert climbed(desk) == [(0, "")]
    desk.tick(MINUTE)
    (raised, step) = (event for event in desk.events if event.name == "fire.hot")
    assert (step.rule, step.key, step.severity, step.data) == (
        raised.rule, raised.key, raised.severity, {**raised.data, "to": "lead", "step": 1},
    )  # fmt: skip
    assert step.id != raised.id
    assert climbed(desk) == [(1, "lead")]
    shown = [change.alarm for effects in desk.effects for change in effects.alarms if change.alarm]
    assert [(alarm.escalated, alarm.escalated_to) for alarm in shown] == [(0, ""), (1, "lead")]


def test_a_step_that_was_told_is_not_told_again_after_a_restart_and_the_next_comes_in_time(desk: Desk) -> None:
    warm(desk, 60)
    desk.tick(MINUTE)
    later = desk.start_again()
    assert climbed(later) == [(1, "lead")]
    later.tick(4 * MINUTE - 1)
    assert told(later) == []
    later.tick(1)
    assert told(later) == ["escalated street"]


def test_every_step_that_came_while_the_hub_was_down_is_told_at_its_start_each_in_turn(desk: Desk) -> None:
    warm(desk, 60)
    later = desk.restart()
    later.wait(HOUR)
    later.say(Started("test", SESSIONS))  # it is blind, and people wait no longer
    later.tick()
    assert told(later) == ["escalated lead", "escalated street", "escalated city"]
    assert len({event.id for event in later.events}) == len(later.events)
    assert climbed(later) == [(3, "city")]
    later.catch_up(2)
    later.tick(HOUR)
    assert len(told(later)) == 3


def test_what_a_restored_hub_tells_of_an_alarm_has_no_id_of_what_was_told_in_the_time_it_lost(desk: Desk) -> None:
    warm(desk, 60)
    saved = desk.restart()
    desk.tick(MINUTE)
    saved.wait(HOUR)
    saved.say(Started("test", SESSIONS, began=99))
    saved.catch_up(2)
    assert told(saved) == ["escalated lead", "escalated street", "escalated city"]
    assert not {event.id for event in saved.events} & {event.id for event in desk.events}
    assert [alarm.id for alarm in saved.engine.alarms()] == [alarm.id for alarm in desk.engine.alarms()]


def test_a_checkpoint_of_a_hub_that_knew_no_steps_is_read_and_its_alarms_begin_to_climb(desk: Desk) -> None:
    warm(desk, 60)
    desk.restart()
    key = "rule/hot/s1/room"
    entry = msgspec.msgpack.decode(desk.checkpoint[key])
    older = {word: said for word, said in entry.items() if word not in {"escalated", "escalated_to"}}
    assert len(older) == len(entry) - 2
    later = desk.revive({**desk.checkpoint, key: msgspec.msgpack.encode(older)})
    later.say(Started("test", SESSIONS))
    later.catch_up(2)
    later.tick(MINUTE)
    assert told(later) == ["escalated lead"]


def test_an_acknowledgement_ends_the_steps_that_wait_for_it_also_over_a_restart(desk: Desk) -> None:
    warm(desk, 60)
    desk.tick(2 * MINUTE)
    order(desk, "ack", "id-1")
    later = desk.start_again()
    later.tick(HOUR)
    assert told(desk) == ["raised", "escalated lead", "acknowledged"]
    assert told(later) == ["escalated city"]
    assert climbed(later) == [(3, "city")]


def test_an_alarm_that_is_over_climbs_no_further_and_the_next_one_begins_anew(desk: Desk) -> None:
    warm(desk, 60)
    desk.tick(2 * MINUTE)
    warm(desk, 20)
    desk.tick(HOUR)
    warm(desk, 60)
    desk.tick(MINUTE)
    assert told(desk) == ["raised", "escalated lead", "cleared", "raised", "escalated lead"]


def test_nobody_is_told_of_what_lies_on_a_shelf_until_that_ends(desk: Desk) -> None:
    warm(desk, 60)
    order(desk, "shelve", "id-1", **{"for": "10m"})
    desk.tick(10 * MINUTE - 1)
    assert told(desk) == ["raised", "shelved"]
    desk.tick(1)
    assert told(desk) == ["raised", "shelved", "unshelved", "escalated lead", "escalated street"]


def test_a_person_who_takes_a_shelf_back_lets_the_missed_steps_be_told(desk: Desk) -> None:
    warm(desk, 60)
    order(desk, "shelve", "id-1", **{"for": "1d"})
    desk.tick(HOUR)
    order(desk, "shelve", "id-2", **{"for": "0s"})
    later = desk.start_again()
    later.tick()
    assert told(desk) == ["raised", "shelved", "unshelved"]
    assert told(later) == ["escalated lead", "escalated street", "escalated city"]


def test_in_a_test_nobody_else_is_told_and_in_a_drill_it_is_marked(desk: Desk) -> None:
    tried(desk, "test", "id-1")
    warm(desk, 60)
    desk.tick(HOUR)
    assert told(desk) == ["raised"]
    assert desk.engine.next_due is not None
    assert desk.engine.next_due > desk.t + MINUTE * SECOND  # nothing turns in vain


def test_a_drill_climbs_as_a_real_alarm_would_and_says_that_it_is_one(desk: Desk) -> None:
    tried(desk, "drill", "id-1")
    warm(desk, 60)
    desk.tick(MINUTE)
    assert told(desk) == ["raised", "escalated lead"]
    assert [event.drill for event in desk.events if event.name == "fire.hot"] == [True, True]


def test_an_alarm_that_stands_climbs_by_a_rule_that_comes_meanwhile(tmp_path: Path) -> None:
    desk = desk_with(tmp_path)
    warm(desk, 60)
    known = desk.engine.content.bodies()
    words = orjson.loads(known["rule/hot"])
    desk.revise({**known, "rule/hot": orjson.dumps({**words, "escalate": [{"after": "5m", "to": "street"}]})})
    desk.tick(5 * MINUTE)
    assert told(desk) == ["raised", "escalated street"]
    desk.revise({**known, "rule/hot": orjson.dumps({**words, "remind": {"at": ["1h"]}})})
    desk.tick(HOUR)
    assert told(desk) == ["raised", "escalated street", "reminded"]


def test_a_step_that_a_parameter_of_the_place_moves_comes_by_it(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, "params: {patience: 5m, who: lead}\nescalate: [{after: $patience, to: $who}]")
    warm(desk, 60)
    mine = {"rule": "hot", "site": "s1", "values": {"patience": "1m", "who": "night_watch"}}
    desk.revise({**desk.engine.content.bodies(), "params/night": orjson.dumps(mine)})
    desk.tick(MINUTE)
    assert told(desk) == ["raised", "escalated night_watch"]
