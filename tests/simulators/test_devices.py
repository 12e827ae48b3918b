"""Simulated devices say what real ones say, byte for byte where a public sample exists."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson
import pytest

from simulators.access import AccessController
from simulators.smoke import SmokeSensor, Status, gs524n_frame

# 2025-10-22T13:43:48+08:00
NOW = int(datetime(2025, 10, 22, 5, 43, 48, tzinfo=UTC).timestamp()) * 1_000_000_000


@pytest.mark.parametrize(
    ("frame", "status", "battery", "concentration", "temperature"),
    [
        ("221E64001C40", Status.TEST, 100, 0, 28),  # the vendor's README
        ("221164321F18", Status.ALARM, 100, 50, 31),  # checked with the vendor's decoder, like those below
        ("2217641E1A2B", Status.NORMAL, 100, 30, 26),
        ("221A64001848", Status.REMOVED, 100, 0, 24),
        ("221405001CA9", Status.LOW_BATTERY, 5, 0, 28),
    ],
)
def test_a_frame_is_the_vendors(frame: str, status: Status, battery: int, concentration: int, temperature: int) -> None:
    built = gs524n_frame(status, battery=battery, concentration=concentration, temperature=temperature)
    assert built.hex().upper() == frame


def test_frost_is_a_negative_temperature_and_the_sum_still_holds() -> None:
    frame = gs524n_frame(Status.NORMAL, battery=90, concentration=0, temperature=-5)
    assert frame[4] == 0xFB
    assert sum(frame) % 256 == 0


def test_a_sensor_alarms_until_it_recovers() -> None:
    sensor = SmokeSensor("s1", "smoke-1", seed=1)
    heard = [sensor.report().payload[1] & 0xF]
    sensor.catch_fire()
    heard += [sensor.report().payload[1] & 0xF for _ in range(2)]
    sensor.recover()
    heard += [sensor.report().payload[1] & 0xF]
    assert heard == [Status.NORMAL, Status.ALARM, Status.ALARM, Status.NORMAL]


def test_smoke_thickens_and_never_passes_100_percent() -> None:
    sensor = SmokeSensor("s1", "smoke-1", seed=1)
    sensor.catch_fire()
    concentrations = [sensor.report().payload[3] for _ in range(100)]
    assert concentrations == sorted(concentrations)
    assert concentrations[-1] == 100


def test_an_access_event_has_the_vendors_shape() -> None:
    event = orjson.loads(AccessController("s1", "gate-1", seed=1).passage(NOW)[0].payload)
    assert (event["eventType"], event["eventState"]) == ("AccessControllerEvent", "active")
    assert event["dateTime"] == "2025-10-22T13:43:48+08:00"
    details = event["AccessControllerEvent"]
    assert (details["majorEventType"], details["subEventType"]) == (5, 75)
    assert details["currentEvent"] is True
    assert details["frontSerialNo"] == details["serialNo"] - 1
    assert details["doorNo"] in {1, 2}


def test_serial_numbers_have_no_gaps() -> None:
    gate = AccessController("s1", "gate-1", seed=1)
    reports = gate.passage(NOW) + gate.denial(NOW) + gate.forced_door(NOW) + gate.passage(NOW)
    numbers = [orjson.loads(report.payload)["AccessControllerEvent"]["serialNo"] for report in reports]
    assert numbers == list(range(numbers[0], numbers[0] + 8))


def test_a_forced_door_is_minor_27_of_major_5() -> None:
    details = orjson.loads(AccessController("s1", "gate-1", seed=1).forced_door(NOW)[0].payload)
    event = details["AccessControllerEvent"]
    assert (event["majorEventType"], event["subEventType"]) == (0x5, 0x1B)


def test_an_unlock_is_answered_with_its_id_and_opens_the_door() -> None:
    gate = AccessController("s1", "gate-1", seed=1)
    answer = gate.obey(b'{"id": "c-1", "command": "unlock", "part": "door-2"}', NOW)
    assert orjson.loads(answer.response) == {"id": "c-1", "ok": True}
    events = [orjson.loads(report.payload)["AccessControllerEvent"] for report in answer.reports]
    assert [event["subEventType"] for event in events] == [0x15, 0x19, 0x1A]
    assert {event["doorNo"] for event in events} == {2}


def test_a_door_that_was_unlocked_is_locked_when_it_is_told_to() -> None:
    gate = AccessController("s1", "gate-1", seed=1)
    answer = gate.obey(b'{"id": "c-1.2", "command": "lock", "part": "door-2"}', NOW)
    assert orjson.loads(answer.response) == {"id": "c-1.2", "ok": True}
    events = [orjson.loads(report.payload)["AccessControllerEvent"] for report in answer.reports]
    assert [(event["subEventType"], event["doorNo"]) for event in events] == [(0x16, 2)]


def test_the_same_command_again_is_answered_again_and_done_once() -> None:
    gate = AccessController("s1", "gate-1", seed=1)
    command = b'{"id": "c-1", "command": "unlock"}'
    first, second = gate.obey(command, NOW), gate.obey(command, NOW)
    assert first.response == second.response
    assert (len(second.reports), gate.unlocked) == (0, 1)


@pytest.mark.parametrize(
    ("command", "response"),
    [
        (b'{"id": "c-1", "command": "explode"}', {"id": "c-1", "ok": False, "code": "unknown_command"}),
        (b"not json", {"id": "", "ok": False, "code": "malformed"}),
        (b"[]", {"id": "", "ok": False, "code": "malformed"}),
        (b'{"command": "unlock"}', {"id": "", "ok": False, "code": "malformed"}),
        (b'{"id": "c-1", "command": "unlock", "part": "north"}', {"id": "", "ok": False, "code": "malformed"}),
        (b'{"id": "c-1", "command": "unlock", "expires_at": 1}', {"id": "c-1", "ok": False, "code": "expired"}),
    ],
)
def test_what_a_gate_cannot_do_it_says(command: bytes, response: dict[str, object]) -> None:
    gate = AccessController("s1", "gate-1", seed=1)
    assert orjson.loads(gate.obey(command, NOW).response) == response
    assert gate.unlocked == 0


@pytest.mark.parametrize("command", ["hold_door", "release_door", "cancel_alarm"])
def test_a_gate_does_whatever_its_profile_says_that_it_can_be_told(command: str) -> None:
    gate = AccessController("s1", "gate-1", seed=1)
    answer = gate.obey(orjson.dumps({"id": "c-1", "command": command, "part": "door-2"}), NOW)
    assert orjson.loads(answer.response) == {"id": "c-1", "ok": True}


def test_a_command_to_the_whole_gate_is_one_to_each_of_its_doors() -> None:
    answer = AccessController("s1", "gate-1", seed=1).obey(b'{"id": "c-1", "command": "hold_door"}', NOW)
    events = [orjson.loads(report.payload)["AccessControllerEvent"] for report in answer.reports]
    assert [(event["subEventType"], event["doorNo"]) for event in events] == [(0x15, 1), (0x15, 2)]
