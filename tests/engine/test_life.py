"""Fire, gas, elevators and care from real bytes to effects, with every shipped rule at work."""

from __future__ import annotations

import base64
from datetime import datetime
from functools import cache
from zoneinfo import ZoneInfo

import orjson
import pytest

from hub.model.effects import Effects, Reply
from hub.model.heard import Publish
from hub.model.records import Control, SessionConnected, Started
from hub.model.values import Scalar
from tests.engine.desk import ALARM, NORMAL, SECOND, SESSIONS, SITE, Desk, documents, native, place, stands

TESTED = "221E64001C40"
"""GS524N, its test button (vendor's README)."""
RA02A, TG563A = "010A011E010104B0000000", "017E150001"
"""Smoke, from detectors that never say whether they are tested (samples.json)."""
PANEL = (
    "404003000100001e090d0c156655443322110100000000005e0002020201012a05000000040032bac5c2a5b5d8cfc2b3b5bfe20000000000"
    "00000000000000000000000000001e090d0c15010117060000000300cad6b1a8000000000000000000000000000000000000000000000000"
    "000000001e090d0c155c2323"
)
"""GB/T 26875: two addresses of one panel, one of them on fire (example of the profile gbt26875/panel)."""
ROOF = base64.b64decode("ExgEXwEOAAAAAQAAEgBgAAAAABo=")
"""The block of a box on the car roof during an entrapment; byte 10, somebody in the car, is 0 (vendor's test)."""


PLACES = (
    place(SITE, "site", building=""),
    place("b1", "building", SITE),
    place("b2", "building", SITE, "b2"),
    place("zone-1", "fire_zone", "b1"),
    place("zone-2", "fire_zone", "b1"),
    *(place(f"lift-{n}", "elevator", "b1") for n in (1, 2, 3)),
)
DEVICES = (
    stands("smoke-1", "smoke_sensor", "zone-1", "milesight/gs524n"),
    stands("smoke-2", "smoke_sensor", "zone-1", "netvox/ra02a"),
    stands("smoke-3", "smoke_sensor", "zone-2", "sept-s/tg563a"),
    stands("smoke-4", "smoke_sensor", "zone-2"),
    stands("heat-1", "heat_sensor", "zone-1"),
    stands("panel-1", "fire_panel", "b1", "gbt26875/panel"),
    stands("gas-1", "gas_detector", "b1", "milesight/gs101"),
    stands("board-1", "elevator", "lift-1", "ebike_board/door_hold"),
    stands("camera-1", "ai_camera", "lift-1"),
    stands("box-2", "elevator", "lift-2", "elevator_box/d_block"),
    stands("car-3", "elevator", "lift-3"),
    stands("far-lift", "elevator", "b2", building="b2"),
    stands("door-1", "access_controller", "b1"),
    stands("barrier-1", "plate_reader", SITE, building=""),
    stands("button-1", "panic_button", "b1", "milesight/ws101"),
    stands("radar-1", "care_radar", "b1", "milesight/vs373"),
)


@cache
def content() -> dict[str, bytes]:
    found = documents(*PLACES, *DEVICES)
    used = {orjson.loads(body)["profile"] for key, body in found.items() if key.startswith("device/")}
    return {key: body for key, body in found.items() if not key.startswith("profile/") or key[8:] in used}


@pytest.fixture
def desk() -> Desk:
    return Desk(content())


def says(name: str, payload: bytes | str | object) -> Publish:
    """Return what a device publishes: bytes, their hexadecimal digits, or JSON."""
    if isinstance(payload, str):
        payload = bytes.fromhex(payload)
    return Publish(f"hub/{SITE}/{name}/telemetry", payload if isinstance(payload, bytes) else orjson.dumps(payload))


def sees(confidence: float) -> Publish:
    return native("camera-1", {"values": {"ebike_confidence": confidence}}, "telemetry")


def box(desk: Desk, **words: object) -> Publish:
    """Return a message of the box on the car roof, its clocks set to now."""
    now = desk.wall // SECOND
    clock = datetime.fromtimestamp(now, ZoneInfo("Asia/Shanghai")).strftime("%Y-%m-%d %H:%M:%S")
    block = base64.b64encode(now.to_bytes(4, "little") + ROOF[4:]).decode()
    return says("box-2", {"elevatorCode": "MX3737", "sensorType": "CarRoof", "time": clock, "D": block, **words})


def both_on_fire() -> bytes:
    """Return :data:`PANEL` with a fire at both of its addresses, its clocks at the start of the desk."""
    frame = bytearray.fromhex(PANEL.replace("001e090d0c15", "00001001031a"))
    frame[36:38] = b"\x02\x00"
    frame[-3] = sum(frame[2:-3]) % 256
    return bytes(frame)


TRAPPED = {"TY": "Fault", "ST": "add", "fault_type": 7, "faultName": "平层困人", "faultId": "1280390375395176448"}


def events(effects: Effects) -> list[str]:
    """Return what rules raise and clear; what becomes of their commands is told beside it."""
    mine = [event for event in effects.events if not event.name.startswith("command.")]
    return [f"{event.transition} {event.name}" for event in mine]


def sent(effects: Effects) -> dict[str, list[object]]:
    """Return what is sent to which device: each command as the native payload or the vendor names it, or its bytes."""
    found: dict[str, list[object]] = {}
    for one in effects.transmissions:
        said = orjson.loads(one.payload) if one.payload.startswith(b"{") else {"command": one.payload.hex()}
        found.setdefault(one.topic.split("/")[2], []).append(said.get("command") or said["type"])
    return found


def ask(desk: Desk, verb: str, **args: Scalar) -> Reply:
    identity = str(len(desk.records))
    return desk.say(Control(f"{identity}-0", identity, "li", verb, desk.wall + 30 * SECOND, args)).replies[0]


def told(desk: Desk, name: str) -> list[str]:
    return [str(event.transition) for event in desk.events if event.name == name]


# --------------------------------------------------------------------------------------------------------------- e-bike


def test_the_first_frame_of_an_e_bike_holds_the_door_in_the_same_record_ahead_of_all_else(desk: Desk) -> None:
    first = desk.hear(sees(0.9))
    assert sent(first) == {"board-1": ["enable_block_door"]}
    assert [one.reflex for one in first.transmissions] == [True]
    assert first.events == []
    desk.wait(1)
    second = desk.hear(sees(0.95))
    assert events(second) == ["raised elevator.ebike"]
    assert second.events[0].key == f"{SITE}/@lift-1"


def test_a_suspicion_that_no_other_frame_confirms_lets_the_door_go(desk: Desk) -> None:
    desk.hear(sees(0.9))
    desk.wait(1)
    desk.hear(sees(0.2))
    assert sent(desk.tick(2.1)) == {"board-1": ["disable_block_door"]}
    assert told(desk, "elevator.ebike") == []


def test_what_the_board_has_decided_itself_is_held_at_once_and_let_go_at_once(desk: Desk) -> None:
    seen = {"id": "41c6", "sender": "board", "type": "state", "body": {"door_held": False, "ebike_present": True}}
    first = desk.hear(says("board-1", seen))
    assert events(first) == ["raised elevator.ebike"]
    assert sent(first) == {"board-1": ["enable_block_door"]}
    desk.hear(says("board-1", {**seen, "body": {"door_held": True, "ebike_present": False}}))
    assert sent(desk.tick(5.1)) == {"board-1": ["disable_block_door"]}


def test_a_confirmed_fire_lets_the_door_go_and_no_frame_holds_it_again(desk: Desk) -> None:
    desk.hear(sees(0.9))
    desk.wait(1)
    desk.hear(sees(0.9))
    desk.hear(says("smoke-1", ALARM))
    fire = desk.hear(native("heat-1", {"values": {"alarm": True}}, "telemetry"))
    assert "disable_block_door" in sent(fire)["board-1"]
    for _ in range(3):
        desk.wait(1)
        assert "board-1" not in sent(desk.hear(sees(0.9)))


# ----------------------------------------------------------------------------------------------------------- entrapment


def test_the_code_of_a_box_that_sees_nobody_is_an_entrapment_and_its_end_ends_it(desk: Desk) -> None:
    effects = desk.hear(box(desk, **TRAPPED))
    (event,) = [event for event in effects.events if not event.name.startswith("command.")]
    assert (event.name, event.severity, event.late) == ("elevator.entrapment", "critical", False)
    twin = next(twin for twin in desk.engine.twins_of(SITE) if twin.name == "box-2")
    assert "passenger" not in twin.reported
    desk.hear(says("box-2", {"TY": "Fault", "ST": "clear", "fault_type": "7", "sensorType": "CarRoof"}))
    desk.tick(10.1)
    assert told(desk, "elevator.entrapment") == ["raised", "cleared"]


def test_the_recorded_frame_itself_is_an_entrapment_however_wrong_its_clock(desk: Desk) -> None:
    frame = {**TRAPPED, "sensorType": "CarRoof", "time": "2020-07-07 14:37:08", "D": base64.b64encode(ROOF).decode()}
    assert "raised elevator.entrapment" in events(desk.hear(says("box-2", frame)))


def test_an_entrapment_is_told_again_on_the_moments_of_the_rescue_services_also_when_acknowledged(desk: Desk) -> None:
    desk.hear(box(desk, **TRAPPED))
    assert ask(desk, "ack", rule="entrapment", key=f"{SITE}/box-2").code == "ok"
    moments = [(60, 1), (120, 1), (120, 1), (600, 1), (900, 1), (3_600, 0)]
    found = [len([line for line in events(desk.tick(span)) if line.startswith("reminded")]) for span, _ in moments]
    assert found == [count for _, count in moments]


def test_a_box_on_the_roof_never_makes_an_empty_car_of_a_trapped_one_nor_derives_it(desk: Desk) -> None:
    for _ in range(10):
        desk.hear(box(desk, TY="M", ST="S"))
        desk.tick(30)
    assert told(desk, "elevator.entrapment_derived") == []


def test_two_elevators_of_a_building_are_two_entrapments(desk: Desk) -> None:
    desk.hear(box(desk, **TRAPPED))
    both = {"values": {"entrapment_between": True}}
    assert events(desk.hear(native("far-lift", both, "telemetry"))) == ["raised elevator.entrapment"]


# ----------------------------------------------------------------------------------------------------------------- fire


def test_smoke_and_heat_in_one_zone_confirm_and_move_the_building(desk: Desk) -> None:
    one = desk.hear(says("smoke-1", ALARM))
    assert (events(one), sent(one)) == (["raised fire.smoke_alarm"], {})
    two = desk.hear(native("heat-1", {"values": {"alarm": True}}, "telemetry"))
    assert sorted(events(two)) == ["raised fire.confirmed", "raised fire.heat_alarm"]
    cars = {"board-1": ["disable_block_door"], "car-3": ["recall", "release_door"]}
    assert sent(two) == {**cars, "door-1": ["hold_door"], "barrier-1": ["hold_barrier"]}
    assert next(event for event in two.events if event.name == "fire.confirmed").key == f"{SITE}/@zone-1"


def test_detectors_that_never_say_whether_they_are_tested_are_witnesses(desk: Desk) -> None:
    desk.hear(says("smoke-2", RA02A))
    assert "raised fire.confirmed" in events(desk.hear(says("smoke-1", ALARM)))
    desk.hear(says("smoke-3", TG563A))
    effects = desk.hear(native("smoke-4", {"values": {"alarm": True}}, "telemetry"))
    assert [event.key for event in effects.events if event.name == "fire.confirmed"] == [f"{SITE}/@zone-2"]


def test_detectors_of_two_zones_do_not_confirm_each_other(desk: Desk) -> None:
    desk.hear(says("smoke-1", ALARM))
    assert events(desk.hear(says("smoke-3", TG563A))) == ["raised fire.smoke_alarm"]


def test_a_test_button_is_neither_an_alarm_nor_a_witness(desk: Desk) -> None:
    assert events(desk.hear(says("smoke-1", TESTED))) == []
    assert events(desk.hear(native("heat-1", {"values": {"alarm": True}}, "telemetry"))) == ["raised fire.heat_alarm"]


def test_what_was_normal_again_confirms_for_three_minutes_and_no_longer(desk: Desk) -> None:
    desk.hear(says("smoke-1", ALARM), says("smoke-1", NORMAL))
    desk.tick(179)
    assert "raised fire.confirmed" in events(desk.hear(native("heat-1", {"values": {"alarm": True}}, "telemetry")))
    later = Desk(content())
    later.hear(says("smoke-1", ALARM), says("smoke-1", NORMAL))
    later.tick(181)
    effects = later.hear(native("heat-1", {"values": {"alarm": True}}, "telemetry"))
    assert events(effects) == ["raised fire.heat_alarm"]


def test_two_addresses_of_one_panel_are_two_alarms_and_one_confirmed_fire(desk: Desk) -> None:
    effects = desk.hear(says("panel-1", both_on_fire()))
    keys = sorted(event.key for event in effects.events if event.transition == "raised")
    assert keys == [f"{SITE}/@b1", f"{SITE}/panel-1#1-1-5", f"{SITE}/panel-1#1-1-6"]
    assert sent(effects)["car-3"] == ["recall", "release_door"]


def test_who_calls_for_help_again_after_somebody_took_it_on_is_told_anew_and_before_that_once() -> None:
    desk = Desk(documents(place("b1", "building"), stands("button", "panic_button", "b1")))
    pressed = native("button", {"signals": [{"name": "sos.pressed", "press": "long"}]})
    first, second = desk.hear(pressed), desk.hear(pressed)
    assert (events(first), events(second)) == (["raised care.sos"], [])
    desk.say(Control("1-0", "id-1", "li", "ack", desk.wall + 30 * SECOND, {"rule": "sos", "key": f"{SITE}/button"}))
    for _ in range(5):
        desk.tick(50)
        assert events(desk.hear(pressed)) == []  # a device that repeats what it said
    desk.tick(61)
    again = desk.hear(pressed)
    assert events(again) == ["cleared care.sos", "raised care.sos"]
    assert again.events[0].data["reason"] == "came again"
    assert [alarm.acknowledged_by for alarm in desk.engine.alarms() if alarm.rule == "sos"] == [None]
    assert "escalated care.sos" in events(desk.tick(61))


@pytest.mark.parametrize("has_board", [True, False])
def test_a_board_in_the_same_car_does_what_a_box_cannot_and_then_nothing_has_failed(*, has_board: bool) -> None:
    board = stands("board-2", "elevator", "lift-2") if has_board else {}
    desk = Desk(content() | stands("camera-2", "ai_camera", "lift-2") | board)
    confidence = native("camera-2", {"values": {"ebike_confidence": 0.9}}, "telemetry")
    desk.hear(confidence)
    held = desk.hear(confidence)
    trapped = desk.hear(box(desk, **TRAPPED))
    both = [{"board-2": ["hold_door", "play_voice"]}, {"board-2": ["play_voice", "release_door"]}]
    assert [sent(effects) for effects in (held, trapped)] == (both if has_board else [{}, {}])
    failed = {event.device for event in desk.events if event.name == "command.failed"}
    assert failed == (set() if has_board else {"box-2"})


def test_a_box_that_can_only_listen_is_not_sent_what_it_would_not_understand_and_that_is_told(desk: Desk) -> None:
    effects = desk.hear(says("panel-1", both_on_fire()))
    assert "box-2" not in sent(effects)
    failed = [event for event in effects.events if event.name == "command.failed" and event.device == "box-2"]
    assert [event.data["command"] for event in failed] == ["recall", "release_door"]
    assert {event.severity for event in failed} == {"critical"}  # somebody has to go there
    why = {"en": "the box watches the elevator and drives nothing in it", "zh": "该物联盒只监测电梯，不能控制电梯"}
    assert [(event.data["detail"], event.label) for event in failed] == [(f"unknown_command: {why['en']}", why)] * 2
    desk.tick(60)
    assert len([event for event in desk.events if event.device == "box-2" and event.name == "command.failed"]) == 2


def test_the_elevators_are_recalled_twice_and_then_belong_to_the_key(desk: Desk) -> None:
    desk.hear(says("panel-1", both_on_fire()))
    recalls = [sent(desk.tick(15)).get("car-3", []) for _ in range(8)]
    assert recalls == [["recall"], *[[]] * 7]


def test_a_fire_that_was_heard_while_the_hub_was_down_moves_the_building_once_it_is_known_to_burn_still(
    desk: Desk,
) -> None:
    later = desk.restart()
    later.wait(600)
    later.say(Started("test", SESSIONS))
    for session in SESSIONS:
        later.say(SessionConnected(session, 2, session_present=True))
    late = later.hear(says("smoke-1", ALARM), native("heat-1", {"values": {"alarm": True}}, "telemetry"), connection=2)
    assert ("raised fire.confirmed" in events(late), sent(late)) == (True, {})
    later.catch_up(2)
    found = [command for effects in later.effects for command in sent(effects).get("car-3", [])]
    assert found == ["recall", "release_door"]  # as at once, when nobody is down


def test_a_person_says_that_it_burns_and_only_security_says_that_it_is_over(desk: Desk) -> None:
    known = desk.engine.content.bodies()
    row = orjson.loads(known[f"place/{SITE}/b1"])
    burning = {**known, f"place/{SITE}/b1": orjson.dumps({**row, "facts": {"fire_confirmed": True}})}
    effects = desk.revise(burning)
    assert events(effects) == ["raised fire.confirmed"]
    assert sent(effects)["door-1"] == ["hold_door"]
    where = {"rule": "fire-confirmed-building", "key": f"{SITE}/@b1"}
    assert ask(desk, "clear", **where, role="security").code == "still_true"
    desk.revise(known)
    assert ask(desk, "clear", **where).code == "role_needed"
    desk.hear(native("barrier-1", {"values": {"vehicle_present": False}}, "telemetry"))
    assert ask(desk, "clear", **where, role="security").code == "ok"
    assert sent(desk.effects[-1]) == {"barrier-1": ["release_barrier"], "door-1": ["release_door"]}


def test_a_zone_is_not_cleared_while_one_of_its_detectors_still_alarms(desk: Desk) -> None:
    desk.hear(says("smoke-1", ALARM), native("heat-1", {"values": {"alarm": True}}, "telemetry"))
    desk.hear(native("heat-1", {"values": {"alarm": False}}, "telemetry"))
    desk.tick(200)
    where = {"rule": "fire-confirmed", "key": f"{SITE}/@zone-1", "role": "security"}
    assert ask(desk, "clear", **where).code == "refused_while"
    desk.hear(says("smoke-1", NORMAL), says("smoke-2", "010A011D0000FFCE000000"))
    desk.tick(200)
    assert ask(desk, "clear", **where).code == "ok"


# --------------------------------------------------------------------------------------------------------- gas and care


def test_gas_closes_the_valve_in_the_bytes_of_its_vendor(desk: Desk) -> None:
    effects = desk.hear(says("gas-1", "058E01060101070101"))
    assert events(effects) == ["raised fire.gas_leak"]
    assert sent(effects)["gas-1"] == ["060000ff"]
    assert "raised fire.gas_valve_open" in events(desk.tick(31))


def test_a_long_press_is_a_call_for_help_and_a_fall_is_one_too(desk: Desk) -> None:
    effects = desk.hear(says("button-1", "017564FF2E02"), says("radar-1", "03F804000A003C00"))
    assert events(effects) == ["raised care.sos", "raised care.fall"]
    assert effects.events[0].data["press"] == "long"
