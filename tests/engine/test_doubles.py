"""A drill that speaks in the place of detectors: the whole chain, and nothing of it is ever taken for real."""

from __future__ import annotations

import orjson
import pytest

from tests.engine.desk import Desk, native, transmitted
from tests.engine.doubles import NORMAL, ask, burnt, drill, played, real, told, town


@pytest.fixture
def desk() -> Desk:
    return Desk(town())


def test_two_doubles_confirm_a_fire_that_is_a_drill_from_end_to_end(desk: Desk) -> None:
    assert drill(desk).ok
    effects = [played(desk, name) for name in ("smoke-1", "smoke-2")]
    assert burnt(desk) == [
        "raised fire.smoke_alarm s1/smoke-1~drill drill",
        "raised fire.confirmed s1/@z1 drill",
        "raised fire.smoke_alarm s1/smoke-2~drill drill",
    ]
    assert [event.drill for each in effects for event in each.events] == [True] * 6
    rehearsed = [event for event in effects[1].events if event.name == "command.rehearsed"]
    assert [(event.device, event.data["command"], event.data["would"]) for event in rehearsed] == [
        ("lift-1", "recall", "sent"), ("lift-1", "release_door", "sent"), ("door-1", "hold_door", "sent"),
    ]  # fmt: skip
    assert transmitted(desk) == []


def test_neither_twin_nor_point_nor_ledger_takes_a_double_for_a_device(desk: Desk) -> None:
    real(desk, "smoke-1", NORMAL)
    drill(desk)
    effects = played(desk, "smoke-1")
    assert effects.points == []
    assert {twin.name for twin in desk.engine.twins_of("s1")} == {"smoke-1"}
    assert {twin.name for twin in desk.engine.take_changed_twins()[0]} == {"smoke-1"}
    assert desk.engine.content.find("s1", "smoke-1").state.held("").value("status") == "normal"  # type: ignore[union-attr]
    assert not any("~drill" in key for key in desk.engine.content.bodies())
    assert desk.engine.state.ledger.is_balanced


def test_a_drill_that_ends_leaves_nothing_behind(desk: Desk) -> None:
    drill(desk)
    played(desk, "smoke-1")
    played(desk, "smoke-2")
    assert ask(desk, "end_drill", what="z1").ok
    assert [line for line in told(desk.events) if line.startswith("cleared")] == [
        "cleared fire.smoke_alarm s1/smoke-1~drill drill",
        "cleared fire.smoke_alarm s1/smoke-2~drill drill",
        "cleared fire.confirmed s1/@z1 drill",
    ]
    assert [*desk.engine.alarms()] == []
    desk.tick(60)
    assert [line for line in burnt(desk) if not line.endswith("drill")] == []
    assert not any("~drill" in key for key in desk.restart().checkpoint)


def test_the_next_drill_begins_as_calm_as_the_first(desk: Desk) -> None:
    for number in (1, 2):
        drill(desk, identity=f"drill-{number}")
        assert sum("raised fire.confirmed" in line for line in burnt(desk)) == number - 1
        played(desk, "smoke-1")
        played(desk, "smoke-2")
        ask(desk, "end_drill", what="z1")
    assert sum("raised fire.confirmed" in line for line in burnt(desk)) == 2


def test_a_drill_ends_by_itself_also_over_a_restart(desk: Desk) -> None:
    drill(desk)
    played(desk, "smoke-1")
    later = desk.restart()
    played(later, "smoke-2")
    assert burnt(later)[0] == "raised fire.confirmed s1/@z1 drill"
    later.tick(301)
    assert [*later.engine.alarms()] == []
    assert [line for line in burnt(later) if not line.endswith("drill")] == []


def test_what_a_drill_says_outside_of_it_is_refused_and_waits_for_no_drill(desk: Desk) -> None:
    played(desk, "smoke-1")
    assert desk.engine.state.ledger.refused_codes == {"no_drill": 1}
    drill(desk)
    assert burnt(desk) == []
    played(desk, "smoke-3")  # nobody speaks for it
    assert desk.engine.state.ledger.refused_codes == {"no_drill": 2}
    ask(desk, "end_drill", what="z1")
    played(desk, "smoke-1")
    assert desk.engine.state.ledger.refused_codes == {"no_drill": 3}


def test_a_real_alarm_ends_the_drill_and_is_real_from_its_first_word(desk: Desk) -> None:
    drill(desk)
    played(desk, "smoke-1")
    effects = real(desk, "smoke-3")
    assert told(effects.events) == [
        "raised fire.smoke_alarm s1/smoke-3",
        "cleared fire.smoke_alarm s1/smoke-1~drill drill",
    ]
    ended = next(event for event in effects.events if event.name == "device.drill_ended")
    assert (ended.data["overridden_by"], ended.severity) == ("smoke-alarm s1/smoke-3", "high")
    assert ended.label == {"en": "Drill ended by a real alarm", "zh": "真实报警，演练中止"}
    effects = real(desk, "smoke-2")
    assert told(effects.events)[0] == "raised fire.confirmed s1/@z1"
    assert [(one.topic.split("/")[2]) for one in effects.transmissions] == ["lift-1", "lift-1", "door-1"]


def test_a_double_and_a_real_detector_never_confirm_together(desk: Desk) -> None:
    drill(desk, doubles="smoke-1")
    played(desk, "smoke-1")
    real(desk, "smoke-2")
    desk.tick(1)
    assert not any("fire.confirmed" in line for line in burnt(desk))


def test_a_confirmed_drill_turns_into_the_real_fire_that_breaks_out_in_it(desk: Desk) -> None:
    drill(desk)
    played(desk, "smoke-1")
    played(desk, "smoke-2")
    real(desk, "smoke-3")
    effects = desk.hear(native("heat-1", {"values": {"alarm": True}}, "telemetry"))
    assert "raised fire.confirmed s1/@z1" in told(effects.events)
    assert {alarm.key: alarm.drill for alarm in desk.engine.alarms() if alarm.rule == "fire-confirmed"} == {
        "s1/@z1": False
    }


def test_what_is_critical_in_another_building_ends_no_drill(desk: Desk) -> None:
    drill(desk)
    desk.hear(native("lift-2", {"values": {"entrapment_level": True}}, "telemetry"))
    assert [event.name for event in desk.events if event.name.startswith("device.drill")] == ["device.drill_started"]
    desk.hear(native("lift-1", {"values": {"entrapment_level": True}}, "telemetry"))
    assert desk.events[-1].data.get("overridden_by") == "entrapment s1/lift-1"


def test_no_drill_begins_where_something_critical_is_real(desk: Desk) -> None:
    real(desk, "smoke-3")
    assert drill(desk).code == "real_alarm"
    assert ask(desk, "drill", what="z1", doubles="smoke-1", reason="x", **{"for": "5m"}).code == "real_alarm"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ({"what": "b2"}, "unknown_name"),
        ({"what": "smoke-1"}, "no_rules"),
        ({"what": "z1 b1"}, "no_rules"),
        ({"doubles": "smoke-9"}, "unknown_name"),
        ({"reason": ""}, "reason_missing"),
    ],
)
def test_what_cannot_be_played_is_refused(desk: Desk, words: dict[str, str], code: str) -> None:
    assert drill(desk, **words).code == code


def test_where_all_rules_are_switched_off_that_is_said(desk: Desk) -> None:
    desk.revise(town() | {"off/s1/fire": b'{"site":"s1","scene":"fire"}'})
    reply = drill(desk)
    assert (reply.code, "fire-confirmed" in reply.detail) == ("scene_off", True)


def test_commands_leave_marked_when_a_second_person_has_agreed(desk: Desk) -> None:
    reply = drill(desk, with_commands=True)
    assert (reply.code, reply.detail.split(": ")[1]) == (
        "needs_second_person", "within 5 minutes somebody else says hub commands confirm s1 drill",
    )  # fmt: skip
    assert [*desk.engine.alarms()] == []
    assert ask(desk, "confirm", "li", request="drill").code == "same_person"
    assert ask(desk, "confirm", "wang", request="drill").ok
    (shown,) = desk.engine.alarms()
    assert (shown.data["actor"], shown.data["with_commands"]) == ("li with wang", True)
    played(desk, "smoke-1")
    effects = played(desk, "smoke-2")
    sent = [orjson.loads(one.payload) for one in effects.transmissions]
    assert [(each["command"], each["drill"]) for each in sent] == [
        ("recall", True), ("release_door", True), ("hold_door", True),
    ]  # fmt: skip
    ask(desk, "end_drill", what="z1")
    assert transmitted(desk)[-1] == ("hub/s1/door-1/command", "release_door")


def test_a_drill_bears_the_id_of_what_asked_for_it_also_when_a_second_person_had_to_agree(desk: Desk) -> None:
    drill(desk, with_commands=True)
    ask(desk, "confirm", "wang", request="drill")
    ask(desk, "end_drill", what="z1")
    begun, ended = (event for event in desk.events if event.name.startswith("device.drill_"))
    assert [event.data["request"] for event in (begun, ended)] == ["drill", "drill"]
    assert drill(desk, identity="later").ok
    (shown,) = desk.engine.alarms()
    assert shown.data["request"] == "later"


def test_who_ends_only_their_own_drill_leaves_another_one_there_alone(desk: Desk) -> None:
    drill(desk)
    assert ask(desk, "end_drill", what="z1", request="another").code == "no_such_drill"
    assert ask(desk, "end_drill", what="z1", request="drill").ok


def test_where_somebody_speaks_for_detectors_nobody_else_begins_and_nobody_speaks_into_a_drill(desk: Desk) -> None:
    plain = {"what": "z1", "for": "5m", "reason": "evacuation", "rules": "fire-confirmed"}
    assert drill(desk).ok
    for reply in (drill(desk, identity="second"), ask(desk, "drill", "wang", **plain)):
        assert (reply.code, "li drills s1/@z1 (fire drill)" in reply.detail) == ("drill_runs", True)
    assert played(desk, "smoke-1").events
    ask(desk, "end_drill", what="z1")
    assert ask(desk, "drill", "wang", **plain).ok
    assert drill(desk, identity="third").code == "drill_runs"


def test_a_drill_that_began_while_another_waited_for_a_second_person_is_not_replaced_by_it(desk: Desk) -> None:
    drill(desk, with_commands=True)
    ask(desk, "drill", "wang", "theirs", what="z1", reason="evacuation", rules="fire-confirmed", **{"for": "5m"})
    assert ask(desk, "confirm", "wang", request="drill").code == "drill_runs"
    (shown,) = desk.engine.alarms()
    assert shown.data["request"] == "theirs"


def test_a_drill_with_commands_is_refused_before_anybody_is_asked_to_agree(desk: Desk) -> None:
    assert drill(desk, doubles="smoke-9", with_commands=True).code == "unknown_name"
    assert not any(event.name == "command.requested" for event in desk.events)


def test_a_rehearsal_tells_what_would_not_have_left(desk: Desk) -> None:
    desk.hear(native("lift-1", {"values": {"mode": "inspection"}}, "telemetry"))
    ask(desk, "command", device="door-1", command="lock", identity="lock")
    drill(desk)
    for name in ("smoke-1", "smoke-2"):
        played(desk, name)
    would = {str(each.data["command"]): each.data for each in desk.events if each.name == "command.rehearsed"}
    assert {name: data["would"] for name, data in would.items()} == {
        "recall": "sent", "release_door": "sent", "hold_door": "sent",
    }  # fmt: skip


def test_a_double_goes_when_its_original_goes(desk: Desk) -> None:
    drill(desk)
    played(desk, "smoke-1")
    desk.revise({key: body for key, body in desk.engine.content.bodies().items() if key != "device/s1/smoke-1"})
    played(desk, "smoke-1")
    assert desk.engine.state.ledger.refused_codes == {"no_drill": 1}
    assert [alarm.rule for alarm in desk.engine.alarms()] == ["_drill"]


def test_a_detector_that_is_taken_away_is_no_witness_any_more(desk: Desk) -> None:
    real(desk, "smoke-1")
    desk.revise({key: body for key, body in desk.engine.content.bodies().items() if key != "device/s1/smoke-1"})
    real(desk, "smoke-2")
    assert not any("fire.confirmed" in line for line in burnt(desk))


def test_no_command_is_for_a_double_its_original_takes_it(desk: Desk) -> None:
    siren = {
        "rule": "siren", "for_each": "smoke_sensor", "when": "alarm",
        "raise": {"event": "fire.siren", "severity": "low"},
        "do": [{"command": "sound", "to": {"kind": "smoke_sensor", "in": "building"}}, {"command": "self_test"}],
    }  # fmt: skip
    desk.revise(desk.engine.content.bodies() | {"rule/siren": orjson.dumps(siren)})
    drill(desk)
    played(desk, "smoke-1")
    rehearsed = [event for event in desk.events if event.name == "command.rehearsed"]
    assert [(str(event.data["command"]), event.device) for event in rehearsed] == [
        ("sound", "smoke-1"), ("sound", "smoke-2"), ("sound", "smoke-3"), ("self_test", "smoke-1"),
    ]  # fmt: skip
