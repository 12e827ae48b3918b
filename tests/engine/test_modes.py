"""Test and drill: what is tried is marked, counts for nothing that is real, ends by itself, and is never swallowed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import orjson
import pytest

from hub.model import AlarmState, Control, Effects, Reply, Scalar, Started
from tests.engine.desk import SECOND, SESSIONS, Desk, device, documents, encoded
from tests.engine.test_alarms import native, transmitted

MINUTE = 60
RULES = """\
rule: hot
label: {en: Hot, zh: 过热}
for_each: environment_sensor
when: temperature > 50
raise: {event: fire.hot, severity: high}
clear: {when: temperature < 40}
remind: {every: 10m}
do: [{command: unlock, args: {ttl: 1h}, to: {kind: access_controller, in: site}, until: cleared}]
---
rule: two-hot
for_each: building
inputs: {hot: {of: environment_sensor, where: temperature > 50 and not testing, take: distinct(device)}}
when: hot >= 2
raise: {event: fire.two_hot, severity: critical}
clear: {by: operator}
---
rule: warm-building
for_each: building
when: temperature > 50
raise: {event: utility.warm_building, severity: low}
---
rule: damp
for_each: environment_sensor
when: humidity > 90
inhibit: {by: hot, in: building}
raise: {event: utility.damp, severity: low}
---
rule: pressed
for_each: access_controller
on_signal: exit_button.pressed
raise: {event: access.pressed, severity: info}
clear: {by: operator}
"""
NAMES = ("hot", "two-hot", "warm-building", "damp", "pressed")
DEVICES = (
    device("env-1", "environment_sensor"),
    device("env-2", "environment_sensor"),
    device("env-3", "environment_sensor", building="b2"),
    device("door-1", "access_controller"),
)
PLACES = {
    f"place/s1/{place}": orjson.dumps({"site": "s1", "place": place, "type": "building", "parent": "s1"})
    for place in ("b1", "b2")
} | {"place/s1/s1": orjson.dumps({"site": "s1", "place": "s1", "type": "site"})}


@cache
def shipped() -> dict[str, bytes]:
    return {key: body for key, body in documents(*DEVICES).items() if not key.startswith("rule/")} | PLACES


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    (tmp_path / "rules.yaml").write_text(RULES, encoding="utf-8")
    mine = {key: body for key, body in documents(rules=[tmp_path]).items() if key.startswith("rule/")}
    return Desk(shipped() | {f"rule/{name}": mine[f"rule/{name}"] for name in NAMES})


def ask(desk: Desk, verb: str, what: str, **words: Scalar) -> Reply:
    """Ask as li for half an hour, because of the annual inspection; wang agrees where a second person has to."""
    args: dict[str, Scalar] = {"site": "s1", "what": what, "for": "30m", "reason": "annual inspection"}
    args |= ({"rules": " ".join(NAMES)} if verb == "drill" else {}) | words
    identity = args.pop("id", f"id-{len(desk.records)}")
    reply = desk.say(Control("1-0", str(identity), "li", verb, desk.wall + 30 * SECOND, args)).replies[0]
    if reply.code != "needs_second_person":
        return reply
    agreed: dict[str, Scalar] = {"request": str(identity)}
    return desk.say(Control("1-0", f"{identity}+", "wang", "confirm", desk.wall + 30 * SECOND, agreed)).replies[0]


def say(desk: Desk, name: str, connection: int = 1, **values: float) -> Effects:
    return desk.hear(native(name, {"values": values}, "telemetry"), connection=connection)


def told(desk: Desk) -> list[str]:
    """Return the events of rules: transition, rule, device, and how they are marked."""
    marked = [
        (event, "".join(f" {mark}" for mark in ("test", "drill") if getattr(event, mark))) for event in desk.events
    ]
    of_rules = [each for each in marked if each[0].rule and not each[0].rule.startswith("operator")]
    return [f"{event.transition} {event.rule} {event.device}".rstrip() + mark for event, mark in of_rules]


def alarms(desk: Desk) -> dict[str, AlarmState]:
    return {f"{alarm.rule} {alarm.key}": alarm for alarm in desk.engine.alarms()}


def restarted(desk: Desk) -> Desk:
    later = desk.restart()
    later.say(Started("test", SESSIONS))
    later.catch_up(2)
    return later


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
    desk = restarted(desk)
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
    later = restarted(desk)
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
    later = desk.restart()
    later.say(Started("test", SESSIONS))
    later.catch_up(2)
    assert told(later)[:2] == ["cleared hot env-1 test", "raised hot env-1"]


def test_a_device_that_leaves_the_place_under_test_is_real_at_once(desk: Desk) -> None:
    ask(desk, "test", "b1")
    say(desk, "env-1", temperature=60)
    desk.revise(desk.engine.content.bodies() | device("env-1", "environment_sensor", building="b2"))
    assert told(desk)[-2:] == ["cleared hot env-1 test", "raised hot env-1"]


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


# --------------------------------------------------------------------------------------------------------------- drills


def test_a_drill_is_the_whole_chain_and_tells_the_commands_that_it_does_not_send(desk: Desk) -> None:
    ask(desk, "drill", "b1")
    for name in ("env-1", "env-2"):
        say(desk, name, temperature=60)
    assert told(desk) == [
        "raised hot env-1 drill", "occurred hot door-1 drill", "raised warm-building drill",
        "raised hot env-2 drill", "occurred hot door-1 drill", "raised two-hot drill",
    ]  # fmt: skip
    assert desk.events[2].name == "command.rehearsed"
    assert desk.events[2].data["command"] == "unlock"
    assert transmitted(desk) == []


def test_a_drill_with_commands_sends_them_marked_and_releases_them_at_its_end(desk: Desk) -> None:
    ask(desk, "drill", "b1", with_commands=True)
    effects = say(desk, "env-1", temperature=60)
    assert orjson.loads(effects.transmissions[0].payload)["drill"] is True
    say(desk, "env-1", temperature=20)
    desk.tick()
    assert [command for _, command in transmitted(desk)] == ["unlock", "lock"]
    assert {orjson.loads(one.payload).get("drill") for each in desk.effects for one in each.transmissions} == {True}


def test_what_is_still_true_at_the_end_of_a_drill_is_raised_anew_and_acts(desk: Desk) -> None:
    ask(desk, "drill", "b1")
    say(desk, "env-1", temperature=60)
    desk.tick(30 * MINUTE)
    assert [line for line in told(desk) if " hot env-1" in line] == [
        "raised hot env-1 drill", "cleared hot env-1 drill", "raised hot env-1",
    ]  # fmt: skip
    assert [command for _, command in transmitted(desk)] == ["unlock"]


def test_a_drill_reminds_as_a_real_alarm_would(desk: Desk) -> None:
    ask(desk, "drill", "b1")
    say(desk, "env-1", temperature=60)
    desk.tick(10 * MINUTE)
    assert told(desk)[-1] == "reminded hot env-1 drill"


def test_a_drill_of_one_rule_leaves_the_others_real(desk: Desk) -> None:
    ask(desk, "drill", "b1", rules="two-hot")
    for name in ("env-1", "env-2"):
        say(desk, name, temperature=60)
    assert [line for line in told(desk) if line.startswith("raised")] == [
        "raised hot env-1", "raised warm-building", "raised hot env-2", "raised two-hot drill",
    ]  # fmt: skip


def test_what_is_drilled_counts_for_nothing_outside_the_drill(desk: Desk) -> None:
    ask(desk, "drill", "env-1")
    for name in ("env-1", "env-2"):
        say(desk, name, temperature=60)
    assert [line for line in told(desk) if line.startswith("raised")] == [
        "raised hot env-1 drill", "raised hot env-2", "raised warm-building",
    ]  # fmt: skip


def test_who_drills_what_tells_of_danger_to_life_is_told_in_both_languages_what_that_hides(desk: Desk) -> None:
    assert "end_drill" not in ask(desk, "drill", "env-3", rules="hot").detail
    warning = ask(desk, "drill", "@b1", rules="hot two-hot").detail
    assert "A REAL two-hot THERE IS MARKED AS A DRILL TOO AND SENDS NO COMMAND" in warning
    assert warning.count("hub drill end s1 @b1") == 2
    assert "真实的 two-hot 也会标为演练，且不联动" in warning
    acting = ask(desk, "drill", "@b1", rules="two-hot", with_commands=True).detail
    assert ("MARKED AS A DRILL TOO. " in acting, "不联动" in acting) == (True, False)


def test_what_a_drill_does_not_name_is_as_real_as_ever_there(desk: Desk) -> None:
    ask(desk, "drill", "@b1", rules="hot")
    for name in ("env-1", "env-2"):
        say(desk, name, temperature=60)
    assert "raised two-hot" in told(desk)
    assert "raised hot env-1 drill" in told(desk)


def test_under_test_and_in_a_drill_is_both_and_what_the_drill_wants_is_sent(desk: Desk) -> None:
    ask(desk, "test", "env-1")
    ask(desk, "drill", "b1", with_commands=True)
    say(desk, "env-1", temperature=60)
    assert told(desk)[0] == "raised hot env-1 test drill"
    assert len(transmitted(desk)) == 1


# ------------------------------------------------------------------------------------------------------------- the laws


def conversation(here: Desk, restart_before: int) -> bytes:
    """Try things, with a restart before one step; return what all of it came to."""
    effects: list[Effects] = []
    steps: tuple[Callable[[], object], ...] = (
        lambda: ask(here, "test", "env-1 door-1", id="a"),
        lambda: ask(here, "drill", "@b1", id="b", with_commands=True, **{"for": "10m"}),
        lambda: say(here, "env-1", temperature=60),
        lambda: say(here, "env-2", temperature=60),
        lambda: here.tick(11 * MINUTE),
        lambda: ask(here, "end_test", "door-1", id="c"),
        lambda: here.tick(25 * MINUTE),
        lambda: say(here, "env-1", temperature=20),
    )
    for number, step in enumerate(steps):
        if number == restart_before:
            effects += here.effects
            here = here.restart()
        step()
    return encoded([*effects, *here.effects])


def test_a_restart_anywhere_in_a_test_and_a_drill_changes_nothing(desk: Desk) -> None:
    documents = desk.engine.content.bodies()
    whole = conversation(Desk(documents), -1)
    assert whole.count(b"device.drill_ended") == 1
    assert [conversation(Desk(documents), step) == whole for step in range(8)] == [True] * 8
