"""Shelves and acknowledgements: what people put away is not told again, until it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.desk import SECOND, START
from tests.engine.one_rule import HOUR, MINUTE, desk_with, order, told, warm


def test_a_shelved_alarm_is_not_told_again_until_its_shelf_ends(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, "remind: {every: 10m}")
    warm(desk, 60)
    assert order(desk, "shelve", "id-1", **{"for": "25m"}) == "ok"
    assert next(desk.engine.alarms()).shelved_until == desk.wall + 25 * MINUTE * SECOND
    for _ in range(24):
        desk.tick(MINUTE)
    assert told(desk) == ["raised", "shelved"]
    for _ in range(8):
        desk.tick(MINUTE)
    assert told(desk) == ["raised", "shelved", "unshelved", "reminded", "reminded"]


def test_an_alarm_that_becomes_worse_leaves_its_shelf(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, "ladder: [{when: temperature > 80, severity: critical}]")
    warm(desk, 60)
    order(desk, "shelve", "id-1", **{"for": "1h"})
    warm(desk, 90)
    assert told(desk) == ["raised", "shelved", "unshelved", "severity_changed"]


def test_an_alarm_that_new_rules_find_worse_leaves_the_shelf_of_the_milder_one_as_it_is_raised_again(
    tmp_path: Path,
) -> None:
    desk = desk_with(tmp_path, "remind: {at: [10m]}")
    warm(desk, 60)
    order(desk, "shelve", "id-1", **{"for": "1d"})
    warm(desk, 20)
    known = desk.engine.content.bodies()
    desk.revise({**known, "rule/hot": known["rule/hot"].replace(b'"high"', b'"critical"')})
    warm(desk, 60)
    desk.tick(HOUR)
    assert told(desk) == ["raised", "shelved", "cleared", "raised", "unshelved", "reminded"]


def test_an_alarm_that_is_taken_back_from_its_shelf_is_told_again_of_what_was_missed_there(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, "remind: {at: [10m]}")
    warm(desk, 60)
    order(desk, "shelve", "id-1", **{"for": "1d"})
    desk.tick(HOUR)
    order(desk, "shelve", "id-2", **{"for": "0s"})
    desk.tick()
    assert told(desk) == ["raised", "shelved", "unshelved", "reminded"]


def test_an_alarm_that_becomes_worse_on_its_shelf_is_told_again_of_what_was_missed_there(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, "ladder: [{when: temperature > 80, severity: critical}]\nremind: {at: [10m]}")
    warm(desk, 60)
    order(desk, "shelve", "id-1", **{"for": "1d"})
    desk.tick(HOUR)
    warm(desk, 90)
    desk.tick()
    assert told(desk) == ["raised", "shelved", "unshelved", "severity_changed", "reminded"]


def test_a_shelf_is_taken_back_and_needs_a_duration(tmp_path: Path) -> None:
    desk = desk_with(tmp_path)
    assert order(desk, "shelve", "id-0", **{"for": "1h"}) == "no_such_alarm"
    warm(desk, 60)
    codes = [
        order(desk, "shelve", f"id-{span}", **{"for": span}) for span in ("soon", "99d", "9999999999d", "1h", "0s")
    ]
    assert codes == ["bad_duration", "bad_duration", "bad_duration", "ok", "ok"]
    assert next(desk.engine.alarms()).shelved_until == 0


def test_a_flapping_alarm_stays_on_its_shelf_until_that_ends(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, "remind: {every: 10m}")
    warm(desk, 60)
    order(desk, "shelve", "id-1", **{"for": "1h"})
    ends = desk.wall + HOUR * SECOND
    for temperature in (20, 60, 20, 60):
        desk.tick(14 * MINUTE)
        warm(desk, temperature)
        desk.tick()
    desk = desk.start_again()
    assert [(alarm.shelved_until, alarm.shelved_by) for alarm in desk.engine.alarms()] == [(ends, "li")]
    desk.tick(4 * MINUTE)
    assert told(desk) == ["unshelved"]
    desk.tick(10 * MINUTE)
    assert told(desk) == ["unshelved", "reminded"]


def test_the_shelf_of_what_is_over_is_prolonged_for_as_long_as_that_is_said(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, "ladder: [{after: 10m, severity: critical}]\nremind: {every: 2m}")
    warm(desk, 60)
    order(desk, "shelve", "id-1", **{"for": "1h"})
    warm(desk, 20)
    desk.tick()
    assert order(desk, "shelve", "id-2", **{"for": "2h"}) == "ok"
    desk.tick(11 * MINUTE)
    warm(desk, 60)
    desk.tick(5 * MINUTE)
    assert told(desk) == ["raised", "shelved", "cleared", "shelved", "raised"]


def test_what_is_raised_on_a_shelf_says_so(tmp_path: Path) -> None:
    desk = desk_with(tmp_path)
    warm(desk, 60)
    order(desk, "shelve", "id-1", **{"for": "1h"})
    for temperature in (20, 60):
        warm(desk, temperature)
        desk.tick()
    raised = [event.data.get("shelved_until") for event in desk.events if event.transition == "raised"]
    assert raised == [None, (START + HOUR * SECOND) // 10**6]
    assert len({event.id for event in desk.events}) == len(desk.events)


def test_a_shelf_that_nothing_lies_on_ends_without_a_word(tmp_path: Path) -> None:
    desk = desk_with(tmp_path)
    warm(desk, 60)
    order(desk, "shelve", "id-1", **{"for": "1h"})
    warm(desk, 20)
    desk.tick()
    desk = desk.start_again()
    desk.tick(HOUR)
    assert (told(desk), dict(desk.engine._alarms.states)) == ([], {})  # noqa: SLF001 -- what is left tells nothing
    warm(desk, 60, connection=2)
    assert [alarm.shelved_until for alarm in desk.engine.alarms()] == [0]


def test_an_empty_shelf_can_be_taken_back(tmp_path: Path) -> None:
    desk = desk_with(tmp_path)
    warm(desk, 60)
    order(desk, "shelve", "id-1", **{"for": "1h"})
    warm(desk, 20)
    desk.tick()
    assert order(desk, "shelve", "id-2", **{"for": "0s"}) == "ok"
    assert list(desk.engine.alarms()) == []
    warm(desk, 60)
    assert [alarm.shelved_until for alarm in desk.engine.alarms()] == [0]


def test_an_alarm_that_becomes_as_bad_again_as_it_was_when_it_was_put_away_stays_there(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, "ladder: [{when: temperature > 80, severity: critical}]")
    warm(desk, 90)
    order(desk, "shelve", "id-1", **{"for": "1h"})
    for temperature in (20, 60, 90):
        warm(desk, temperature)
        desk.tick()
    assert [(alarm.severity, alarm.shelved_until > 0) for alarm in desk.engine.alarms()] == [("critical", True)]


def test_an_acknowledged_alarm_is_not_told_again(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, "remind: {every: 10m}")
    warm(desk, 60)
    order(desk, "ack", "id-1")
    desk.tick(HOUR)
    assert told(desk) == ["raised", "acknowledged"]


def test_an_alarm_that_is_told_until_it_is_cleared_is_told_after_somebody_acknowledged_it_too(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, "remind: {at: [1m, 5m], until: cleared}")
    warm(desk, 60)
    order(desk, "ack", "id-1")
    later = desk.start_again()
    later.tick(MINUTE)
    later.tick(HOUR)
    assert told(desk) == ["raised", "acknowledged"]
    assert told(later) == ["reminded", "reminded"]
    assert [event.data["reminder"] for event in later.events] == [1, 2]


@pytest.mark.parametrize(
    ("cold_at", "become"), [(594, ["raised", "cleared"]), (597, ["raised", "reminded", "cleared"])]
)
def test_a_reminder_and_the_end_that_are_due_in_one_tick_come_in_their_order(
    cold_at: int, become: list[str], tmp_path: Path
) -> None:
    desk = desk_with(tmp_path, "remind: {at: [10m]}\nclear: {for: 5s}")
    warm(desk, 60)
    desk.wait(cold_at)
    warm(desk, 20)
    desk.tick(603 - cold_at)
    assert told(desk) == become
