"""A building that lost its gateway is one event, not eighty: what inhibition makes of trouble with one cause."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from hub.model.records import Started
from tests.engine.desk import SESSIONS, Desk, device, documents, encoded, native, unheard

MINUTE = 60
EIGHTY = tuple(f"meter-{number:02}" for number in range(80))
HOUSE = (*(device(name, "environment_sensor") for name in EIGHTY), device("gateway", "access_controller"))
SILENT = """
rule: meter-silent
label: {{en: Meter silent, zh: 表计失联}}
for_each: environment_sensor
absent_for: 10m
raise: {{event: device.meter_silent, severity: low}}
inhibit: {{by: gateway-silent, in: building{wait}}}
---
rule: gateway-silent
label: {{en: Gateway silent, zh: 网关失联}}
for_each: access_controller
absent_for: {gateway}
raise: {{event: device.gateway_silent, severity: high}}
"""


def desk_with(tmp_path: Path, wait: str = "", gateway: str = "11m") -> Desk:
    (tmp_path / "rules.yaml").write_text(SILENT.format(wait=wait, gateway=gateway), encoding="utf-8")
    return Desk(unheard(documents(*HOUSE, rules=[tmp_path])))


def speak(desk: Desk, *names: str, connection: int = 1) -> None:
    """Let devices say something, half a second after each other."""
    for name in names:
        desk.hear(native(name, {"values": {}}, "telemetry"), session="telemetry", connection=connection)
        desk.tick(0.5)


def pass_by(desk: Desk, minutes: float) -> None:
    for _ in range(round(minutes * 12)):
        desk.tick(5)


def told(desk: Desk) -> Counter[str]:
    return Counter(line for line in desk.told() if "silent" in line)


def test_a_building_that_lost_its_gateway_is_one_event_not_eighty(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, ", wait: 2m")
    speak(desk, *EIGHTY, "gateway")
    pass_by(desk, 60)
    assert told(desk) == {"raised device.gateway_silent": 1}
    assert [alarm.rule for alarm in desk.engine.alarms()] == ["gateway-silent"]
    assert desk.engine.state.ledger.inhibited == {"meter-silent": 80}


def test_what_was_told_before_the_gateway_was_missed_is_taken_back(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, gateway="10m30s")
    speak(desk, *EIGHTY, "gateway")
    pass_by(desk, 60)
    early = told(desk)["raised device.meter_silent"]
    assert early > 0
    assert told(desk) == {
        "raised device.gateway_silent": 1,
        "raised device.meter_silent": early,
        "cleared device.meter_silent": early,
    }
    taken_back = [event for event in desk.events if event.transition == "cleared"]
    assert {(event.data["reason"], event.data["by"]) for event in taken_back} == {("inhibited", "gateway-silent")}
    assert [alarm.rule for alarm in desk.engine.alarms()] == ["gateway-silent"]


@pytest.mark.parametrize("wait", ["", ", wait: 2m"])
def test_what_stays_silent_when_the_gateway_is_back_is_told_then(tmp_path: Path, wait: str) -> None:
    desk = desk_with(tmp_path, wait)
    speak(desk, *EIGHTY, "gateway")
    pass_by(desk, 20)
    speak(desk, "gateway", *EIGHTY[1:])
    before = told(desk)
    pass_by(desk, 2)
    assert told(desk) - before == Counter({"raised device.meter_silent": 1})
    (alarm,) = desk.engine.alarms()
    assert (alarm.device, alarm.data) == ("meter-00", {"silent_s": 600})


@pytest.mark.parametrize("wait", ["", ", wait: 2m"])
@pytest.mark.parametrize("minutes", [10.2, 11.5, 14])
def test_a_restart_in_the_middle_changes_nothing(tmp_path: Path, minutes: float, wait: str) -> None:
    desk = desk_with(tmp_path, wait)
    speak(desk, *EIGHTY, "gateway")
    pass_by(desk, minutes)
    later = desk.restart()
    done = len(desk.effects)
    for each in (desk, later):
        each.say(Started("test", SESSIONS))
        each.catch_up(2)
        pass_by(each, 20)
        speak(each, "gateway", *EIGHTY[1:], connection=2)
        pass_by(each, 2)
    assert encoded(desk.effects[done:]) == encoded(later.effects)
    assert [alarm.device for alarm in later.engine.alarms()] == ["meter-00"]


def test_a_rule_that_is_no_longer_inhibited_tells_what_it_held_back(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, gateway="5m")
    speak(desk, *EIGHTY, "gateway")
    pass_by(desk, 12)
    assert told(desk) == {"raised device.gateway_silent": 1}
    text = SILENT.format(wait="", gateway="5m").replace("inhibit: {by: gateway-silent, in: building}\n", "")
    (tmp_path / "rules.yaml").write_text(text, encoding="utf-8")
    desk.revise(unheard(documents(*HOUSE, rules=[tmp_path])))
    desk.tick(1)
    assert told(desk)["raised device.meter_silent"] == 80
