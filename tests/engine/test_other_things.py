"""Devices, places and rules that become something else while an alarm stands or a door is held."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import orjson
import pytest

from hub.model.heard import Publish
from hub.model.records import Control
from hub.model.values import Scalar
from hub.rules.rule import Rule, write_rule
from tests.engine.desired.wishes import reports, wants
from tests.engine.desk import SECOND, Desk, device, documents, native, transmitted
from tests.engine.one_rule import HOUR, MINUTE, PLACES, ROOM, desk_with, order, told, warm

HOLDS = """
do: [{command: unlock, args: {ttl: 30s}, to: {kind: access_controller, in: building}, until: cleared}]
"""


def with_words(desk: Desk, key: str, **words: object) -> dict[str, bytes]:
    """Return the documents of now, one of them with other words."""
    bodies = desk.engine.content.bodies()
    return {**bodies, key: orjson.dumps(orjson.loads(bodies[key]) | words, option=orjson.OPT_SORT_KEYS)}


@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_door_that_is_another_thing_by_now_is_held_no_more_and_harms_nobody(
    tmp_path: Path, *, is_restarted: bool
) -> None:
    desk = desk_with(tmp_path, HOLDS)
    warm(desk, 60)
    desk.revise(with_words(desk, "device/s1/door-1", kind="smoke_sensor"))
    connection = 1
    if is_restarted:
        desk, connection = desk.start_again(), 2
    desk.tick(20)
    assert "occurred command.failed" in desk.told()
    warm(desk, 20, connection=connection)
    assert told(desk)[-1] == "cleared"
    desk.tick(MINUTE)
    assert not desk.engine._hands.leases  # noqa: SLF001 -- nothing is told of it any more


def test_what_a_person_holds_of_what_is_another_thing_by_now_ends(tmp_path: Path) -> None:
    desk = desk_with(tmp_path)
    words: dict[str, Scalar] = {"site": "s1", "device": "door-1", "command": "hold_door", "ttl": "20s"}
    assert desk.say(Control("1-0", "c1", "li", "command", desk.wall + 30 * SECOND, words)).replies[0].ok
    desk.revise(with_words(desk, "device/s1/door-1", kind="smoke_sensor"))
    desk.tick(21)
    assert [name for _, name in transmitted(desk)] == ["hold_door"]
    assert not desk.engine._hands.leases  # noqa: SLF001 -- nothing is told of it any more


@pytest.mark.parametrize("of", ["device", "rule", "part"])
def test_an_alarm_that_its_rule_is_for_no_more_ends_and_lets_go(tmp_path: Path, of: str) -> None:
    desk = desk_with(tmp_path, HOLDS)
    warm(desk, 60)
    if of == "device":
        desk.revise(with_words(desk, "device/s1/room", kind="heat_sensor"))
    else:
        where = {"kind": "heat_sensor"} if of == "rule" else {"kind": "environment_sensor", "part": "zone"}
        desk.revise(with_words(desk, "rule/hot", for_each=where))
    (cleared,) = (event for event in desk.events if event.transition == "cleared")
    assert cleared.data["reason"] == "not judged there any more"
    assert not list(desk.engine.alarms())
    assert [name for _, name in transmitted(desk)] == ["unlock", "lock"]


def test_an_alarm_of_a_place_that_is_one_of_another_sort_now_ends(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, for_each="building")
    words = orjson.loads(desk.engine.content.bodies()["rule/hot"])
    unit = {**words, "rule": "unit-hot", "for_each": "unit", "raise": {"event": "fire.unit_hot", "severity": "low"}}
    desk.revise({**desk.engine.content.bodies(), "rule/unit-hot": orjson.dumps(unit)})
    warm(desk, 60)
    desk.revise(with_words(desk, "place/s1/b1", type="unit"))
    assert told(desk) == ["raised", "cleared"]
    assert [alarm.rule for alarm in desk.engine.alarms()] == ["unit-hot"]


@pytest.mark.parametrize("of", ["device", "rule"])
def test_a_silence_that_nobody_minds_any_more_is_none_after_a_restart_as_without(tmp_path: Path, of: str) -> None:
    desk = desk_with(tmp_path)
    rule = {
        "rule": "hot", "for_each": {"kind": "environment_sensor"}, "absent_for": "10m",
        "raise": {"event": "fire.hot", "severity": "low"},
    }  # fmt: skip
    desk.revise({**desk.engine.content.bodies(), "rule/hot": orjson.dumps(rule)})
    warm(desk, 20)
    desk.tick(11 * MINUTE)
    if of == "device":
        desk.revise(with_words(desk, "device/s1/room", kind="heat_sensor"))
    else:
        desk.revise(with_words(desk, "rule/hot", for_each={"kind": "heat_sensor"}))
    assert told(desk).count("cleared") == (1 if of == "device" else 2)
    silent = {device.key: device.is_silent for device in desk.restart().engine.content.devices()}
    assert {device.key: device.is_silent for device in desk.engine.content.devices()} == silent


COUNTS = "inputs: {hot: {of: environment_sensor, where: temperature > 50, take: distinct(device)}}"
ELSEWHERE = PLACES["place/s1/b1"].replace(b'"b1"', b'"b2"')


def at_places(desk: Desk) -> list[str]:
    """Return what is told of places."""
    return [f"{event.transition} {event.key}" for event in desk.events if "@" in event.key]


@pytest.mark.parametrize("is_blind", [False, True])
def test_a_place_is_judged_anew_where_a_device_that_counts_there_moves_to_another(
    tmp_path: Path, *, is_blind: bool
) -> None:
    desk = desk_with(tmp_path, COUNTS, "hot >= 1", "building")
    desk.revise({**desk.engine.content.bodies(), "place/s1/b2": ELSEWHERE})
    warm(desk, 20, "room-2")
    warm(desk, 60)
    if is_blind:
        desk.lose()
    desk.revise(with_words(desk, "device/s1/room", place="b2", building="b2"))
    if is_blind:
        assert at_places(desk) == ["raised s1/@b1"]
        desk.catch_up(2)
    assert at_places(desk) == ["raised s1/@b1", "cleared s1/@b1", "raised s1/@b2"]


@pytest.mark.parametrize("case", [(COUNTS, "hot >= 1"), ("", "temperature > 50")], ids=["counted", "said"])
@pytest.mark.parametrize("goes", ["away", "kind"])
def test_an_alarm_of_a_place_ends_with_the_only_device_that_it_was_about(
    tmp_path: Path, case: tuple[str, str], goes: str
) -> None:
    desk = desk_with(tmp_path, *case, "building")
    warm(desk, 60)
    if goes == "away":
        desk.revise({key: body for key, body in desk.engine.content.bodies().items() if key != "device/s1/room"})
    else:
        desk.revise(with_words(desk, "device/s1/room", kind="access_controller"))
    assert at_places(desk) == ["raised s1/@b1", "cleared s1/@b1"]


def test_a_place_whose_other_devices_are_silent_keeps_its_alarm_when_one_goes(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, for_each="building")
    warm(desk, 20, "room-2")
    warm(desk, 60)
    desk.revise({key: body for key, body in desk.engine.content.bodies().items() if key != "device/s1/room-2"})
    assert at_places(desk) == ["raised s1/@b1"]


@pytest.mark.parametrize("goes", ["away", "kind"])
def test_an_alarm_that_only_a_person_ends_stays_whoever_goes_and_waits_for_nobody_who_went(
    tmp_path: Path, goes: str
) -> None:
    desk = desk_with(tmp_path)
    rule = {
        "rule": "hot", "for_each": {"place": "building"}, "on_signal": "exit_button.pressed",
        "raise": {"event": "fire.hot", "severity": "high"},
        "clear": {"by": "operator", "refuse_while": "access_controller__lock == 'unlocked'"},
    }  # fmt: skip
    desk.revise({**desk.engine.content.bodies(), "rule/hot": orjson.dumps(rule)})
    desk.hear(native("door-1", {"signals": [{"name": "exit_button.pressed"}]}))
    desk.revise({key: body for key, body in desk.engine.content.bodies().items() if key != "device/s1/room"})
    assert order(desk, "clear", "c1", key="s1/@b1") == "refused_while"
    if goes == "away":
        desk.revise({key: body for key, body in desk.engine.content.bodies().items() if key != "device/s1/door-1"})
    else:
        desk.revise(with_words(desk, "device/s1/door-1", kind="smoke_sensor"))
    assert at_places(desk) == ["raised s1/@b1"]
    assert order(desk, "clear", "c2", key="s1/@b1") == "ok"
    assert at_places(desk) == ["raised s1/@b1", "cleared s1/@b1"]


def test_what_an_input_remembers_of_what_is_another_thing_by_now_ends_with_its_span(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, "inputs: {moved: {take: changes(humidity), within: 40s}}", "moved >= 3")
    desk.hear(native("room", {"values": {"humidity": 50}}, "telemetry"))
    desk.revise(with_words(desk, "device/s1/room", kind="access_controller"))
    desk.tick(MINUTE)
    desk.write_down()
    assert [key for key in desk.checkpoint if key.startswith("memory/")] == []


CHANGES = {
    "version": "1.0.0", "label": {"en": "c"}, "payload": {"format": "json"}, "time": {"from": "none"},
    "properties": {"temperature": {"path": "t"}}, "store": {"on_change": True},
}  # fmt: skip


@pytest.mark.parametrize("becomes", [("environment_sensor", "room", "b2"), ("heat_sensor", "heat", "b1")])
def test_of_a_series_that_is_another_by_now_the_first_value_is_stored_though_it_is_what_it_was(
    becomes: tuple[str, str, str],
) -> None:
    kind, profile, building = becomes
    profiles = {
        f"profile/test/{name}": orjson.dumps({"profile": f"test/{name}", "kind": of, **CHANGES})
        for name, of in (("room", "environment_sensor"), ("heat", "heat_sensor"))
    }
    before = documents(device("room-1", "environment_sensor", "test/room")) | profiles
    desk = Desk(before)
    said = Publish("hub/s1/room-1/telemetry", b'{"t": 21.5}')
    assert [len(desk.hear(said).points) for _ in range(2)] == [1, 0]
    desk.revise({**before, **device("room-1", kind, f"test/{profile}", building=building)})
    desk.write_down()
    later = desk.restart()
    for connection, each in ((1, desk), (2, later)):
        ((series, _, values),) = each.hear(said, connection=connection).points
        assert (series.kind, series.building, dict(values)) == (kind, building, {"temperature": 21.5})
        assert each.hear(said, connection=connection).points == []


def test_what_an_input_remembers_of_what_is_another_thing_by_now_is_forgotten_though_nothing_comes_due(
    tmp_path: Path,
) -> None:
    desk = desk_with(tmp_path, "inputs: {hot: {where: temperature > 50, within: 40s, take: count}}", "hot >= 9")
    warm(desk, 60)
    desk.write_down()
    assert [key for key in desk.checkpoint if key.startswith("memory/")] == ["memory/hot/s1/room"]
    desk.revise(with_words(desk, "device/s1/room", kind="access_controller"))
    desk.write_down()
    assert [key for key in desk.checkpoint if key.startswith("memory/")] == []


Words = Mapping[str, Mapping[str, object]]


def maker(name: str, kind: str, properties: Words) -> dict[str, bytes]:
    """Return the profile of a maker whose devices say ``properties``."""
    body = {
        "profile": f"{name}/one", "kind": kind, "version": "1.0.0", "label": {"en": name, "zh": name},
        "payload": {"format": "json"}, "time": {"from": [{"path": "t", "format": "unix_ms"}]},
        "properties": properties, "liveness": {"report_every": "1h", "offline_after": "3h"},
    }  # fmt: skip
    return {f"profile/{name}/one": orjson.dumps(body)}


def says(desk: Desk, name: str, clock: float = 0, **words: object) -> list[str]:
    """Let a device say so by a clock that is so many seconds ahead; return what is told then."""
    told_before = len(desk.told())
    body = {"t": (desk.wall + round(clock * SECOND)) // 1_000_000, **words}
    desk.hear(Publish(f"hub/s1/{name}/telemetry", orjson.dumps(body)))
    return desk.told()[told_before:]


def replaced(desk: Desk, name: str, kind: str, by: str) -> None:
    """Let a device of another maker have the name of the one that was there."""
    desk.revise({**desk.engine.content.bodies(), **device(name, kind, f"{by}/one")})


def with_makers(name: str, kind: str, old: Words, new: Words) -> Desk:
    makers = maker("old", kind, old) | maker("new", kind, new)
    return Desk({**documents(device(name, kind, "old/one")), **makers})


@pytest.mark.parametrize("is_restarted", [False, True])
def test_who_is_trapped_in_a_car_is_told_though_the_box_before_this_one_never_took_its_code_back(
    *, is_restarted: bool
) -> None:
    """Rules that derive it give way to the code of a box, and nobody would ever have said that this is over."""
    words = {"passenger": {"path": "p"}, "door_zone": {"path": "z"}, "direction": {"path": "d"}}
    desk = with_makers("lift", "elevator", {"entrapment_level": {"path": "stuck"}}, words)
    assert "raised elevator.entrapment" in says(desk, "lift", stuck=True)
    replaced(desk, "lift", "elevator", "new")
    connection = 1
    if is_restarted:
        desk, connection = desk.start_again(), 2
    desk.hear(Publish("hub/s1/lift/telemetry", b'{"p": true, "z": false, "d": "stopped"}'), connection=connection)
    desk.tick(61)
    assert "raised elevator.entrapment_derived" in desk.told()


def test_an_alarm_of_the_detector_before_this_one_is_over_when_this_one_says_so_in_its_own_words() -> None:
    desk = with_makers("smoke", "smoke_sensor", {"status": {"path": "s"}}, {"alarm": {"path": "a"}})
    assert says(desk, "smoke", s="alarm") == ["raised fire.smoke_alarm"]
    replaced(desk, "smoke", "smoke_sensor", "new")
    assert says(desk, "smoke", a=False) == []
    desk.tick(11)
    assert desk.told()[-1] == "cleared fire.smoke_alarm"


def test_an_alarm_whose_words_nobody_says_any_more_is_ended_by_a_person_with_a_reason() -> None:
    """Else it stood for ever: the new box has no word for it, and by the rule it clears by itself."""
    desk = with_makers("lift", "elevator", {"entrapment_level": {"path": "stuck"}}, {"passenger": {"path": "p"}})
    assert "raised elevator.entrapment" in says(desk, "lift", stuck=True)
    [alarm] = [event for event in desk.events if event.name == "elevator.entrapment"]
    words = {"rule": alarm.rule, "key": alarm.key}
    assert order(desk, "clear", "id-1", **words, reason="the box was replaced") == "not_latched"
    replaced(desk, "lift", "elevator", "new")
    says(desk, "lift", p=False)
    desk.tick(HOUR)
    assert order(desk, "clear", "id-2", **words) == "reason_needed"
    assert order(desk, "clear", "id-3", **words, reason="the box was replaced") == "ok"
    told_last = desk.events[-1]
    assert (told_last.name, told_last.transition, told_last.data["reason"], told_last.data["actor"]) == (
        "elevator.entrapment",
        "cleared",
        "the box was replaced",
        "li",
    )
    assert order(desk, "clear", "id-4", **words, reason="again") == "no_such_alarm"


def test_that_a_device_is_silent_is_known_and_no_reason_ends_it() -> None:
    silent = {
        "rule": "hot", "version": "1.0.0", "label": {"en": "Silent", "zh": "失联"}, "for_each": "environment_sensor",
        "absent_for": "1h", "raise": {"event": "device.silent", "severity": "medium"},
    }  # fmt: skip
    desk = Desk({**documents(*ROOM), "rule/hot": write_rule(Rule.model_validate(silent))})
    warm(desk, 20)
    desk.tick(2 * HOUR)
    assert "raised device.silent" in desk.told()
    assert order(desk, "clear", "id-1", reason="it is well") == "not_latched"


def test_the_clock_of_the_device_before_this_one_says_nothing_of_its_clock() -> None:
    """One that is set to UTC for local time, eight hours behind, was late for a day: nothing was held for it."""
    desk = with_makers("smoke", "smoke_sensor", {"status": {"path": "s"}}, {"alarm": {"path": "a"}})
    for _ in range(12):
        says(desk, "smoke", s="normal")
        desk.tick(1)
    replaced(desk, "smoke", "smoke_sensor", "new")
    says(desk, "smoke", clock=-8 * 3_600, a=True)
    assert [(event.name, event.late) for event in desk.events] == [("fire.smoke_alarm", False)]


def test_what_is_shown_of_the_device_before_this_one_is_gone_and_what_is_desired_of_its_place_is_shown() -> None:
    own = documents(device("meter-1", "water_meter"))
    desk = Desk({**own, **maker("new", "water_meter", {"valve": {"path": "v"}})})
    reports(desk, valve="open")
    assert wants(desk, "closed").ok
    [*desk.engine.take_changed_twins()[0]]
    replaced(desk, "meter-1", "water_meter", "new")
    changed, gone = desk.engine.take_changed_twins()
    assert gone == [("s1", "meter-1")]
    assert [(twin.reported, [*twin.desired]) for twin in changed] == [({}, ["valve"])]
