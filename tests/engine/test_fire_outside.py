"""Whom a fire reaches where it, or who is told, lies in no building: the garage under a site, the gates of its yard."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from hub.model.records import Control
from hub.model.values import Scalar
from hub.replay.beginning import entries_of
from hub.replay.explanation import Explainer
from tests.engine.desk import SECOND, SITE, Desk, documents, native, place, stands, transmitted

PLAN = (
    place(SITE, "site", building=""),
    place("b1", "building", SITE), place("b2", "building", SITE, "b2"),
    place("zone-1", "fire_zone", "b1"), place("garage", "fire_zone", SITE, ""), place("east", "gate", SITE, ""),
    stands("smoke-1", "smoke_sensor", "zone-1"), stands("heat-1", "heat_sensor", "zone-1"),
    stands("smoke-2", "smoke_sensor", "garage", building=""), stands("heat-2", "heat_sensor", "garage", building=""),
    stands("lift-2", "elevator", "b2", building="b2"),
    place("car-1", "elevator", "b1"), stands("lift-1", "elevator", "car-1"), stands("eye-1", "ai_camera", "car-1"),
    stands("door-1", "access_controller", "b1"), stands("door-2", "face_terminal", "b2", building="b2"),
    stands("yard-1", "access_controller", "east", building=""), stands("yard-2", "face_terminal", "east", building=""),
)  # fmt: skip
EVERYBODY = {
    "lift-1": ["recall", "release_door"], "lift-2": ["recall", "release_door"],
    "door-1": ["hold_door"], "door-2": ["hold_door"], "yard-1": ["hold_door"], "yard-2": ["hold_door"],
}  # fmt: skip
SNAPS = """
rule: pressed-snaps
label: {en: Pressed, zh: 按下}
for_each: call_point
when: alarm
raise: {event: fire.pressed, severity: low}
do: [{command: snapshot, to: {kind: ai_camera, in: building}}]
"""


def elsewhere() -> dict[str, bytes]:
    """Return a gate of another site."""
    found = stands("far-gate", "access_controller", "east", building="")
    return {key.replace("/s1/", "/s2/"): body.replace(b'"s1"', b'"s2"') for key, body in found.items()}


def alarms(desk: Desk, *names: str, alarm: bool) -> None:
    desk.hear(*(native(name, {"values": {"alarm": alarm}}, "telemetry") for name in names))


def told(desk: Desk, since: int = 0) -> dict[str, list[str]]:
    """Return what is sent to whom."""
    found: dict[str, list[str]] = {}
    for topic, command in transmitted(desk)[since:]:
        found.setdefault(topic.split("/")[2], []).append(command)
    return found


def cleared(desk: Desk, zone: str) -> dict[str, list[str]]:
    """Return what is sent when a person clears the fire of ``zone``, which is over."""
    before = len(transmitted(desk))
    where: dict[str, Scalar] = {"rule": "fire-confirmed", "key": f"{SITE}/@{zone}", "role": "security"}
    (reply,) = desk.say(Control("1-0", "id-1", "li", "clear", desk.wall + 30 * SECOND, where)).replies
    assert reply.code == "ok"
    return told(desk, before)


@pytest.mark.parametrize(
    ("zone", "witnesses", "reached"),
    [
        ("garage", ("smoke-2", "heat-2"), EVERYBODY),
        ("zone-1", ("smoke-1", "heat-1"), {name: EVERYBODY[name] for name in ("lift-1", "door-1", "yard-1", "yard-2")}),
    ],
)
def test_a_fire_reaches_its_building_and_who_is_in_none_or_from_no_building_all_and_lets_go_of_the_same(
    zone: str, witnesses: tuple[str, ...], reached: dict[str, list[str]]
) -> None:
    desk = Desk(documents(*PLAN, elsewhere()))
    alarms(desk, *witnesses, alarm=True)
    assert told(desk) == reached
    alarms(desk, *witnesses, alarm=False)
    desk.tick(200)
    doors = [name for name, commands in reached.items() if commands == ["hold_door"]]
    assert cleared(desk, zone) == {name: ["release_door"] for name in doors}


@pytest.mark.parametrize(("building", "seen_by"), [("b1", {"camera-1"}), ("", {"camera-0", "camera-1", "camera-2"})])
def test_what_keeps_nobody_alive_reaches_who_is_in_no_building_only_from_there(
    tmp_path: Path, building: str, seen_by: set[str]
) -> None:
    (tmp_path / "extra.yaml").write_text(SNAPS, encoding="utf-8")
    cameras = [stands(f"camera-{n}", "ai_camera", "b1", building=f"b{n}" if n else "") for n in (0, 1, 2)]
    desk = Desk(documents(stands("button", "call_point", "b1", building=building), *cameras, rules=[tmp_path]))
    alarms(desk, "button", alarm=True)
    assert told(desk).keys() == seen_by


def ebike(desk: Desk) -> None:
    for _ in range(2):
        desk.hear(native("eye-1", {"values": {"ebike_confidence": 0.95}}, "telemetry"))


def reasons(desk: Desk) -> dict[str, Mapping[str, Scalar]]:
    """Return why no e-bike is told, by code."""
    known = Explainer(desk.engine, entries_of(desk.engine, {})).explain("ebike-in-elevator", f"{SITE}/@car-1")
    return {reason.code: reason.facts for reason in known.reasons}


@pytest.mark.parametrize(("witnesses", "is_held"), [(("smoke-2", "heat-2"), False), (("smoke-3", "heat-3"), True)])
def test_no_e_bike_holds_an_elevator_in_a_fire_of_no_building_but_in_one_of_another(
    witnesses: tuple[str, ...], *, is_held: bool
) -> None:
    beside = [place("zone-2", "fire_zone", "b2", "b2")]
    beside += [stands(f"{kind}-3", f"{kind}_sensor", "zone-2", building="b2") for kind in ("smoke", "heat")]
    desk = Desk(documents(*PLAN, *beside))
    alarms(desk, *witnesses, alarm=True)
    ebike(desk)
    why = reasons(desk)
    desk.tick(40)
    assert ("hold_door" in told(desk)["lift-1"]) is is_held
    assert why.get("inhibited") == (None if is_held else {"by": f"fire-confirmed {SITE}/@garage"})


def test_a_fire_of_no_building_lets_the_door_of_an_elevator_go_that_an_e_bike_holds() -> None:
    desk = Desk(documents(*PLAN))
    ebike(desk)
    alarms(desk, "smoke-2", "heat-2", alarm=True)
    before = len(transmitted(desk))
    assert "cleared elevator.ebike" in desk.told()
    desk.tick(40)
    assert "hold_door" not in told(desk, before).get("lift-1", [])


def test_what_is_only_drilled_is_not_said_to_hold_back_what_waits_after_a_fire() -> None:
    desk = Desk(documents(*PLAN))
    alarms(desk, "smoke-2", "heat-2", alarm=True)
    ebike(desk)
    what: dict[str, Scalar] = {"site": SITE, "what": "zone-1", "rules": "fire-confirmed", "for": "1h", "reason": "may"}
    desk.say(Control("1-0", "id-0", "li", "drill", desk.wall + 30 * SECOND, what))
    alarms(desk, "smoke-1", "heat-1", alarm=True)
    alarms(desk, "smoke-2", "heat-2", alarm=False)
    desk.tick(200)
    ebike(desk)
    cleared(desk, "garage")
    assert "fire-confirmed" in [alarm.rule for alarm in desk.engine.alarms() if alarm.drill]
    assert reasons(desk) == {"inhibition_settles": {"left_ns": 30 * SECOND}}
