"""Devices under test: what they raise is marked, counts for nothing real, ends by itself, and is never swallowed."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from hub.model.records import Control
from hub.model.values import Scalar
from tests.engine.desk import SECOND, Desk, device, documents, native, transmitted
from tests.engine.trials import MINUTE, NAMES, RULES, alarms, ask, say, shipped, told


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    (tmp_path / "rules.yaml").write_text(RULES, encoding="utf-8")
    mine = {key: body for key, body in documents(rules=[tmp_path]).items() if key.startswith("rule/")}
    return Desk(shipped() | {f"rule/{name}": mine[f"rule/{name}"] for name in NAMES})


# ------------------------------------------------------------------------------------------------------- what is tried


def test_what_a_device_under_test_raises_is_marked_and_sends_nothing(desk: Desk) -> None:
    assert ask(desk, "test", "env-1").ok
    say(desk, "env-1", temperature=60)
    assert told(desk) == ["raised hot env-1 test"]
    assert [(alarm.test, alarm.drill, alarm.is_real) for alarm in alarms(desk).values()] == [(True, False, False)] * 2
    assert transmitted(desk) == []


def test_a_device_that_is_not_under_test_is_as_real_as_ever(desk: Desk) -> None:
    ask(desk, "test", "env-1")
    say(desk, "env-2", temperature=60)
    assert told(desk) == ["raised hot env-2", "raised warm-building"]
    assert transmitted(desk) == [("hub/s1/door-1/command", "unlock")]


def test_a_place_is_tried_with_everything_in_it_and_nothing_beside_it(desk: Desk) -> None:
    ask(desk, "test", "@b1")
    say(desk, "env-1", temperature=60)
    say(desk, "env-3", temperature=60)
    assert told(desk) == [
        "raised hot env-1 test", "raised warm-building test", "raised hot env-3", "raised warm-building",
    ]  # fmt: skip


def test_a_device_under_test_is_no_witness(desk: Desk) -> None:
    say(desk, "env-1", temperature=60)
    ask(desk, "test", "env-2")
    say(desk, "env-2", temperature=60)
    assert "raised two-hot" not in told(desk)
    ask(desk, "end_test", "env-2")
    assert told(desk)[-1] == "raised two-hot"


def test_an_input_that_leaves_out_what_is_tested_finds_nobody_in_a_place_under_test(desk: Desk) -> None:
    ask(desk, "test", "b1")
    for name in ("env-1", "env-2"):
        say(desk, name, temperature=60)
    assert "raised two-hot test" not in told(desk)


def test_what_is_raised_in_a_test_is_not_reminded_of(desk: Desk) -> None:
    ask(desk, "test", "env-1", **{"for": "8h"})
    say(desk, "env-1", temperature=60)
    desk.tick(3_600)
    assert told(desk) == ["raised hot env-1 test"]


def test_what_is_raised_in_a_test_keeps_nothing_real_quiet(desk: Desk) -> None:
    ask(desk, "test", "env-1")
    say(desk, "env-1", temperature=60)
    say(desk, "env-2", humidity=95)
    assert told(desk) == ["raised hot env-1 test", "raised damp env-2"]


@pytest.mark.parametrize("is_first", [True, False], ids=["held back", "taken back"])
def test_what_is_raised_in_a_test_keeps_nothing_quiet_whose_own_test_is_over(desk: Desk, *, is_first: bool) -> None:
    ask(desk, "test", "env-1", **{"for": "8h"})
    ask(desk, "test", "env-2")
    for name, values in (("env-1", {"temperature": 60}), ("env-2", {"humidity": 95}))[:: 1 if is_first else -1]:
        say(desk, name, **values)
    assert "hot s1/env-1" in alarms(desk)
    assert "damp s1/env-2" not in alarms(desk)
    later = desk.start_again()
    ask(later, "end_test", "env-2")
    for _ in range(2):
        later.tick(MINUTE)
    assert alarms(later)["damp s1/env-2"].is_real


def test_a_real_alarm_stays_real_when_a_test_begins(desk: Desk) -> None:
    say(desk, "env-1", temperature=60)
    ask(desk, "test", "env-1")
    desk.tick(10 * MINUTE)
    assert told(desk)[-1] == "reminded hot env-1"
    assert alarms(desk)["hot s1/env-1"].is_real


def test_a_rule_that_leaves_out_what_tests_itself_still_marks_what_the_hub_has_under_test(desk: Desk) -> None:
    smoke = {
        "rule": "smoke", "for_each": "smoke_sensor", "when": "alarm", "unless": "testing",
        "raise": {"event": "fire.smoke", "severity": "critical"},
    }  # fmt: skip
    mine = {"rule/smoke": orjson.dumps(smoke), **device("smoke-1", "smoke_sensor")}
    desk.revise(desk.engine.content.bodies() | mine)
    ask(desk, "test", "smoke-1")
    desk.hear(native("smoke-1", {"values": {"alarm": True, "testing": True}}, "telemetry"))
    assert told(desk) == []
    desk.hear(native("smoke-1", {"values": {"alarm": True, "testing": False}}, "telemetry"))
    assert told(desk) == ["raised smoke smoke-1 test"]


# -------------------------------------------------------------------------------------------------------------- the end


def test_what_is_still_true_at_the_end_of_a_test_is_raised_anew_for_real(desk: Desk) -> None:
    ask(desk, "test", "env-1")
    say(desk, "env-1", temperature=60)
    desk.tick(30 * MINUTE)
    assert told(desk) == [
        "raised hot env-1 test", "cleared hot env-1 test", "raised hot env-1", "raised warm-building",
    ]  # fmt: skip
    cleared, raised = (event for event in desk.events[-3:-1])
    assert cleared.data["reason"] == "test over"
    assert raised.id == alarms(desk)["hot s1/env-1"].id != desk.events[1].id
    assert transmitted(desk) == [("hub/s1/door-1/command", "unlock")]


def test_what_stands_between_when_and_clear_still_stands_after_the_test(desk: Desk) -> None:
    ask(desk, "test", "env-1")
    for temperature in (60, 45):
        say(desk, "env-1", temperature=temperature)
    ask(desk, "end_test", "env-1")
    assert told(desk)[1:] == ["cleared hot env-1 test", "raised hot env-1"]


def test_what_is_over_by_the_end_of_a_test_does_not_come_back(desk: Desk) -> None:
    ask(desk, "test", "env-1")
    for temperature in (60, 20):
        say(desk, "env-1", temperature=temperature)
    desk.tick(30 * MINUTE)
    assert told(desk) == ["raised hot env-1 test", "cleared hot env-1 test"]


def test_a_signal_in_a_test_ends_with_it(desk: Desk) -> None:
    ask(desk, "test", "door-1")
    desk.hear(native("door-1", {"signals": [{"name": "exit_button.pressed"}]}))
    desk.tick(30 * MINUTE)
    assert [line for line in told(desk) if "pressed" in line] == [
        "raised pressed door-1 test", "cleared pressed door-1 test",
    ]  # fmt: skip


@pytest.mark.parametrize("temperatures", [(), (20,), (20, 60)])
def test_a_shelf_of_a_test_ends_with_it(desk: Desk, temperatures: tuple[int, ...]) -> None:
    ask(desk, "test", "env-1")
    say(desk, "env-1", temperature=60)
    where: dict[str, Scalar] = {"rule": "hot", "key": "s1/env-1", "for": "8h"}
    desk.say(Control("1-0", "id-s", "li", "shelve", desk.wall + 30 * SECOND, where))
    for temperature in temperatures:
        say(desk, "env-1", temperature=temperature)
        desk.tick()
    desk = desk.start_again()
    ask(desk, "end_test", "env-1")
    say(desk, "env-1", 2, temperature=61)
    assert alarms(desk)["hot s1/env-1"].is_real
    assert alarms(desk)["hot s1/env-1"].shelved_until == 0


def test_a_device_that_is_still_silent_at_the_end_of_a_test_is_silent_for_real(desk: Desk) -> None:
    silent = {
        "rule": "silent", "for_each": "environment_sensor", "absent_for": "5m",
        "raise": {"event": "device.silent", "severity": "low"},
    }  # fmt: skip
    desk.revise(desk.engine.content.bodies() | {"rule/silent": orjson.dumps(silent)})
    ask(desk, "test", "env-1")
    desk.tick(10 * MINUTE)
    desk.tick(20 * MINUTE)
    assert [line for line in told(desk) if "env-1" in line] == [
        "raised silent env-1 test", "cleared silent env-1 test", "raised silent env-1",
    ]  # fmt: skip


def test_a_test_ends_when_it_would_have_over_a_restart(desk: Desk) -> None:
    ask(desk, "test", "env-1")
    say(desk, "env-1", temperature=60)
    later = desk.start_again()
    assert alarms(later)["_test s1/env-1"].data["until"] == (desk.wall + 30 * MINUTE * SECOND) // 10**6
    later.tick(29 * MINUTE)
    assert told(later) == []
    later.tick(MINUTE)
    assert told(later)[:2] == ["cleared hot env-1 test", "raised hot env-1"]
    assert [name for name in alarms(later) if name.startswith("_")] == []


def test_a_test_ends_while_the_hub_is_blind_and_what_still_stands_becomes_real_when_it_sees(desk: Desk) -> None:
    ask(desk, "test", "env-1")
    say(desk, "env-1", temperature=60)
    desk.lose()
    desk.tick(31 * MINUTE)
    assert (desk.events[-1].name, told(desk)[1:]) == ("device.test_ended", [])
    later = desk.start_again()
    assert told(later)[:2] == ["cleared hot env-1 test", "raised hot env-1"]


def test_a_device_that_leaves_the_place_under_test_is_real_at_once(desk: Desk) -> None:
    ask(desk, "test", "b1")
    say(desk, "env-1", temperature=60)
    desk.revise(desk.engine.content.bodies() | device("env-1", "environment_sensor", building="b2"))
    assert told(desk)[-4:] == [
        "cleared hot env-1 test", "raised hot env-1", "cleared warm-building test", "raised warm-building",
    ]  # fmt: skip


# -------------------------------------------------------------------------------------------------------- what is asked


def test_who_tries_what_why_and_until_when_is_told_and_shown(desk: Desk) -> None:
    until = (desk.wall + 30 * MINUTE * SECOND) // 10**6
    ask(desk, "test", "env-1")
    ask(desk, "end_test", "env-1")
    begun, ended = desk.events
    assert (begun.name, begun.key, begun.building, begun.device) == ("device.test_started", "s1/env-1", "b1", "env-1")
    request = begun.data["request"]
    assert begun.data == {"actor": "li", "reason": "annual inspection", "until": until, "request": request}
    assert (ended.name, ended.data) == (
        "device.test_ended", {"reason": "annual inspection", "actor": "li", "request": request},
    )  # fmt: skip
    shown = [change.alarm for effects in desk.effects for change in effects.alarms]
    assert [alarm and (alarm.name, alarm.data["actor"]) for alarm in shown] == [("device.under_test", "li"), None]


def test_the_same_request_again_begins_nothing_anew(desk: Desk) -> None:
    assert [ask(desk, "test", "env-1", id="id-1").code for _ in range(2)] == ["ok", "ok"]
    assert [event.name for event in desk.events] == ["device.test_started"]


def test_what_is_named_twice_begins_once(desk: Desk) -> None:
    ask(desk, "test", "b1 env-1 @b1 env-1")
    assert [event.key for event in desk.events] == ["s1/@b1", "s1/env-1"]
    assert len({event.id for event in desk.events}) == 2


def test_a_drill_that_is_narrowed_leaves_real_what_it_no_longer_covers(desk: Desk) -> None:
    ask(desk, "drill", "b1")
    say(desk, "env-1", temperature=60)
    ask(desk, "drill", "b1", rules="warm-building")
    assert [line for line in told(desk) if " hot env-1" in line][-2:] == ["cleared hot env-1 drill", "raised hot env-1"]
    assert alarms(desk)["warm-building s1/@b1"].drill


def test_another_request_for_the_same_moves_the_end(desk: Desk) -> None:
    ask(desk, "test", "env-1")
    ask(desk, "test", "env-1", **{"for": "1h"})
    desk.tick(31 * MINUTE)
    assert "_test s1/env-1" in alarms(desk)
    desk.tick(30 * MINUTE)
    assert alarms(desk) == {}


@pytest.mark.parametrize(
    ("verb", "what", "words", "code"),
    [
        ("test", "env-9", {}, "unknown_name"),
        ("test", "", {}, "unknown_name"),
        ("test", "@env-1", {}, "unknown_name"),
        ("test", "env-1", {"reason": " "}, "reason_missing"),
        ("test", "env-1", {"for": "9h"}, "bad_duration"),
        ("test", "env-1", {"for": "0s"}, "bad_duration"),
        ("test", "env-1", {"for": "soon"}, "bad_duration"),
        ("test", "env-1", {"for": "99999999999d"}, "bad_duration"),
        ("drill", "b1", {"rules": "hot cold"}, "unknown_rule"),
        ("drill", "b1", {"rules": ""}, "rules_missing"),
        ("end_test", "env-1", {}, "no_such_test"),
        ("end_drill", "b1", {}, "no_such_drill"),
    ],
)
def test_what_cannot_be_tried_is_refused(desk: Desk, verb: str, what: str, words: dict[str, Scalar], code: str) -> None:
    reply = ask(desk, verb, what, **words)
    assert (reply.ok, reply.code, desk.events) == (False, code, [])


def test_a_name_that_means_two_things_is_refused(desk: Desk) -> None:
    desk.revise(desk.engine.content.bodies() | device("b1", "environment_sensor"))
    assert ask(desk, "test", "b1").code == "ambiguous_name"
    assert ask(desk, "test", "@b1").ok
