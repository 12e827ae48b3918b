"""What a drill was, read from what was told: which events are its own, who was let go, what its report says."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from hub.engine.rows import DeviceRow, PlaceRow
from hub.errors import ConfigError
from hub.model.effects import AlarmState, Twin
from hub.model.values import PlaceType, Severity
from hub.registry.documents import documents
from hub.registry.nouns import Device, DeviceState, Place, Site
from hub.ui.cli.sim_scenario import differences
from hub.ui.drills.cause import Zone, speakers, zone_of
from hub.ui.drills.course import CONFIRMED, Course
from hub.ui.drills.findings import Asked, Findings, findings
from hub.ui.drills.report import html, markdown
from simulators.scenario import Timeline
from tests.ui.drilling import event
from tests.ui.installation import SITE
from tests.ui.office import Office


def test_what_the_drill_before_ours_raised_is_not_of_ours_nor_its_end() -> None:
    course = Course(site=SITE, place="z1", started_at=0, with_actuators=True, request="ours")
    fire, ends = event(CONFIRMED, is_fire=True), event("device.drill_ended", overridden_by="smoke-alarm s1/smoke-3")
    course.events = [(1, fire), (2, ends)]
    assert (course.confirmed, course.overridden_by, course.is_over) == (None, "", False)
    course.events += [(3, event("device.drill_started", request="ours")), (4, fire)]
    assert course.confirmed == (4, fire)
    course.events.append((5, event("device.drill_ended", request="ours")))
    assert (course.overridden_by, course.is_over) == ("", True)


@pytest.mark.parametrize(
    ("rule", "asked", "runs"), [("_drill", "ours", True), ("_drill", "theirs", False), ("smoke-alarm", "", False)]
)
def test_of_all_alarms_of_a_site_only_the_drill_that_we_asked_for_is_ours(rule: str, asked: str, *, runs: bool) -> None:
    course = Course(site=SITE, place="z1", started_at=0, with_actuators=True, request="ours")
    alarm = AlarmState(
        id="a", name="x", severity=Severity.INFO, key=course.key, rule=rule, site=SITE, building="", device="", part="",
        since=1, late=False, data={"request": asked} if asked else {},
    )  # fmt: skip
    assert course.runs_as(alarm) is runs


def test_a_door_is_let_go_only_when_each_of_its_parts_is() -> None:
    course = Course(site=SITE, place="z1", started_at=0, with_actuators=True, request="ours")
    course.events = [(1, event("device.drill_started", request="ours"))]
    for command, part in (("hold_door", "front"), ("hold_door", "back"), ("release_door", "front")):
        told = event("command.verified", command=command)
        course.events.append((2, replace(told, drill=True, device="door-1", part=part)))
    assert course.still_held() == {"door-1#back"}


def test_the_answer_to_the_tenth_command_of_an_alarm_is_not_taken_for_one_to_the_first() -> None:
    course = Course(site=SITE, place="z1", started_at=0, with_actuators=True)
    course.answers = [(5, b'{"id": "ab-10", "ok": true}'), (7, b'{"id":"ab-1"}'), (8, b"done ab-2")]
    assert [course.answered(f"ab-{number}") for number in (1, 2, 3, 10)] == [7, 8, None, 5]


MIDNIGHT = 1_772_380_799_000_000_000
"""2026-03-01 15:59:59 UTC."""

HEARD = Twin(site=SITE, name="smoke-a", kind="smoke_sensor", availability="online", heard_at=MIDNIGHT, reported={})


def report_of(course: Course) -> Findings:
    place = PlaceRow(SITE, "z1", "fire_zone", "b1", "b1", zone="Asia/Shanghai")
    detector = DeviceRow(site=SITE, device="smoke-a", kind="smoke_sensor", profile="", building="b1", place="z1")
    zone = Zone(site=SITE, place=place, detectors=(detector,))
    return findings(course, Asked(zone=zone, actors="li", reason="年度演练", twins=[HEARD]))


def test_a_report_tells_the_time_of_its_site_whatever_the_clock_of_the_machine_shows() -> None:
    course = Course(site=SITE, place="z1", started_at=MIDNIGHT, with_actuators=False, ended_at=MIDNIGHT + 2 * 10**9)
    found = report_of(course)
    for text in (markdown(found), html(found)):
        assert "2026-03-01 23:59:59+08:00" in text
        assert "2026-03-02 00:00:01+08:00" in text


@pytest.mark.parametrize("again", ["f-1.3", "f-1~2.3"])  # the second: its hold waits, and may hold again
@pytest.mark.parametrize(("end", "verdict"), [("verified", "pass"), ("let_go", "pass"), ("rejected", "fail")])
def test_of_the_tries_of_a_release_the_last_counts(again: str, end: str, verdict: str) -> None:
    course = Course(site=SITE, place="z1", started_at=MIDNIGHT, with_actuators=True, request="ours")
    course.events = [(1, event("device.drill_started", request="ours"))]
    for number, (identity, what) in enumerate((("f-1.2", "rejected"), (again, end)), 2):
        told = event(f"command.{what}", command="release_door", id=identity)
        course.events.append((number, replace(told, drill=True, device="lift-1")))
    (check,) = [each for each in report_of(course).checks if each.name == "released"]
    assert check.verdict == verdict


@pytest.mark.parametrize(("causes", "verdict"), [([(7, 0), (9, 1)], "fail"), ([(9, 0)], "pass")])
def test_a_real_alarm_that_the_drill_brought_about_elsewhere_is_one_of_its_own(
    causes: list[tuple[int, int]], verdict: str
) -> None:
    course = Course(site=SITE, place="z1", started_at=MIDNIGHT, with_actuators=False, words={(9, 1)})
    elsewhere = replace(event("fire.confirmed", is_fire=True), key=f"{SITE}/@b2", rule="r", drill=False, causes=causes)
    course.events = [(1, elsewhere)]
    (check,) = [each for each in report_of(course).checks if each.name == "apart"]
    assert check.verdict == verdict


def test_a_detector_that_somebody_has_disabled_is_one_of_its_zone_that_was_not_heard() -> None:
    site, building = Site(id=SITE, zone="Asia/Shanghai"), Place(site=SITE, id="b1", type=PlaceType.BUILDING)
    place = Place(site=SITE, id="z1", type=PlaceType.FIRE_ZONE, parent="b1")
    states = {"smoke-a": DeviceState.ACTIVE, "smoke-b": DeviceState.DISABLED, "smoke-c": DeviceState.RETIRED}
    devices = [
        Device(site=SITE, id=name, kind="smoke_sensor", place="z1", state=state) for name, state in states.items()
    ]
    zone = zone_of(documents([site], [building, place], devices, []), SITE, "z1")
    course = Course(site=SITE, place="z1", started_at=MIDNIGHT, with_actuators=False)
    found = findings(course, Asked(zone=zone, actors="li", reason="年度演练", twins=[HEARD]))
    assert [(each.device, each.availability) for each in found.detectors] == [
        ("smoke-a", "online"),
        ("smoke-b", "disabled"),
    ]
    (check,) = [each for each in found.checks if each.name == "detectors"]
    assert (check.verdict, check.detail) == ("fail", "smoke-b")
    with pytest.raises(ConfigError, match="there are: smoke-a"):
        speakers(zone, {}, ["smoke-b"])
    with pytest.raises(ConfigError, match="hub places add SITE ID --type fire_zone --parent BUILDING"):
        zone_of(documents([site], [building], [], []), SITE, "z1")


def test_a_timeline_that_differs_is_told_by_what_was_expected_and_what_came() -> None:
    expected = Timeline(commands={"lift-1": ["recall verified"]}, answers=["accepted"])
    assert differences(expected, Timeline(commands={"lift-1": ["recall rejected"]})) == [
        "commands of lift-1: expected ['recall verified'], came ['recall rejected']",
        "answers: expected ['accepted'], came []",
    ]


def test_a_scenario_that_nobody_wrote_is_refused_with_those_that_there_are(office: Office) -> None:
    assert "there are: charging, confirmed-fire, duress" in office.refused("sim", "scenario", "flood")


def test_a_report_that_nobody_can_write_is_known_before_anything_is_played(office: Office) -> None:
    out = f"{office.file('report', 'no directory')}/of-2026"
    said = office("drill", "fire", "garden", "--zone", "z1", "--as", "li", "--out", out)
    assert (said.code, "Not a directory" in said.err) == (1, True)
