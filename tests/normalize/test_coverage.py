"""What the catalogue promised: public vectors that are examples of a profile and mean the same, and a case per trap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pytest

from hub.model.values import Scalar
from hub.normalize.examples import Example, example_bytes, expectations
from tests.normalize.devices import PROFILES


class Vector(NamedTuple):
    """A payload that somebody has published or built, and what they say it means, in the names of our kinds.

    ``means`` empty: it is a dead letter. A payload of base64 stands inside an example of JSON.
    """

    profile: str
    payload: bytes
    means: Mapping[str, Scalar]
    port: int | None = None


def of(profile: str, payload: str, port: int | None = None, /, **means: Scalar) -> Vector:
    return Vector(profile, bytes.fromhex(payload), means, port)


def within(profile: str, block: str, /, **means: Scalar) -> Vector:
    return Vector(profile, block.encode(), means)


VECTORS = [
    # github.com/Milesight-IoT/SensorDecoders: the README, or built after it and checked with the vendor's decoder.
    of("milesight/gs524n", "221E64001C40", status="test", battery=100, concentration=0, temperature=28),
    of("milesight/gs524n", "221164321F18", status="alarm", battery=100, concentration=50, temperature=31),
    of("milesight/gs524n", "2217641E1A2B", status="normal", battery=100, concentration=30, temperature=26),
    of("milesight/gs524n", "221A64001848", status="removed", battery=100, concentration=0, temperature=24),
    of("milesight/gs524n", "221405001CA9", status="low_battery", battery=5, concentration=0, temperature=28),
    of("milesight/gs101", "058E01060100070101", alarm=True, valve="closed", relay=True),
    of("milesight/vs373", "03F804000A003C00", fall="confirmed"),
    of("milesight/vs373", "06FB0100010103", alarm="motionless", state="triggered", number=1),
    of("milesight/ws101", "017564FF2E02", battery=100, press="long"),
    of(
        "milesight/em300-mcs", "01755C03673401046865060001", battery=92, temperature=30.8, humidity=50.5, contact="open"
    ),
    of("milesight/em300-sld", "01755C03673401046865050001", battery=92, temperature=30.8, humidity=50.5, leak=True),
    of("milesight/em400-mud", "01755C0367010104824408050001", battery=92, temperature=25.7, distance=2116, tilted=True),
    of("milesight/em310-tilt", "03CF00000000282307", angle_x=0, angle_y=0, angle_z=90, tilted=True),
    # The device repository of The Things Network (MIT), vendor/netvox/ra02a-codec.yaml.
    of(
        "netvox/ra02a",
        "010A011E010104B0000000",
        6,
        battery_voltage=3,
        alarm=True,
        high_temperature=True,
        temperature=120,
    ),
    # github.com/modrisb/tg563a-payload-decoder (MIT), examples.json.
    of("sept-s/tg563a", "017E150001", 1, alarm=True, mounted=False, temperature=21),
    of("sept-s/tg563a", "007E1A0300", 3),
    # github.com/Koenkk/zigbee2mqtt/issues/3164.
    Vector(
        "zigbee2mqtt/smoke",
        b'{"battery":96.5,"linkquality":92,"enrolled":true,"smoke":true,"battery_low":false}',
        {"battery": 96.5, "alarm": True, "battery_low": False},
    ),
    # Built by hand from the published layout of GB/T 26875.3-2011.
    of(
        "gbt26875/panel",
        "404001000100001e090d0c15665544332211010000000000300002020101012a01000300020031bac5c2a533b2e3d7dfc0c8d1ccb8d0"
        "000000000000000000000000000000001e090d0c15bb2323",
        fire=True,
        description="1号楼3层走廊烟感",
    ),
    of(
        "gbt26875/panel",
        "404002000100001e090d0c15665544332211010000000000120002030101011e01000300035203001e090d0c15a72323",
        temperature=85,
    ),
    # github.com/vwout/zkaccess-c3-py, tests/test_rtlog.py.
    of("zkteco/c3-400", "0000000000000000c8016602328fae21", signal="door.forced", part="door-1", door="open"),
    of("zkteco/c3-400", "03000000110000000001ff00f231b321", alarm=True, held_open=True, part="door-1"),
    Vector(
        "zkteco/c3-400-text",
        b"time=2023-12-06 22:57:54\tpin=0\tcardno=0\teventaddr=1\tevent=8\tinoutstatus=2\tverifytype=200\tindex=9",
        {"signal": "access.granted", "credential": "remote", "part": "door-1"},
    ),
    # A public test of the vendor's decoder, decoded again by hand.
    within(
        "elevator_box/d_block",
        "Tu3WZAEAAAAAAAEBDAAAAAEBAB8ghbo=",
        time="2023-08-12T10:24:14+08:00",
        direction="stopped",
        door_zone=True,
        passenger=True,
        power_source="battery",
        floor=12,
        mode="normal",
        door="closed",
        safety_loop="closed",
        temperature=31,
    ),
    within(
        "elevator_box/d_block",
        "ExgEXwEOAAAAAQAAEgBgAAAAABo=",
        time="2020-07-07T14:37:07+08:00",
        floor=18,
        battery=96,
        temperature=26,
        entrapment_level=True,
    ),
    within(
        "elevator_box/d_block",
        "1sfhYwEAAQEOAAEBBAAAAAEBAA+lpaU=",
        direction="up",
        door_zone=False,
        speed=1.4,
        passenger=True,
        floor=4,
        temperature=15,
    ),
]


@pytest.mark.parametrize("vector", VECTORS, ids=[f"{each.profile} {each.payload.hex()[:24]}" for each in VECTORS])
def test_a_public_vector_is_an_example_and_means_the_same(vector: Vector) -> None:
    (example,) = [each for each in PROFILES[vector.profile].examples if is_of(vector, each)]
    said = meaning(example)
    assert {key: said.get(key) for key in vector.means} == vector.means
    assert bool(vector.means) == (example.expect_error is None)


def is_of(vector: Vector, example: Example) -> bool:
    payload = example_bytes(example)
    is_same = payload == vector.payload or b'"%s"' % vector.payload in payload
    return is_same and vector.port in {None, example.port}


def meaning(example: Example) -> Mapping[str, Scalar | None]:
    """Return what the first reading says, with its part and time and the signals of all, under one name each."""
    readings = expectations(example)
    said: dict[str, Scalar | None] = {}
    for signal in (signal for reading in readings for signal in reading.expect_signals):
        said |= {"signal": signal.name, **signal.data}
    for reading in readings[:1]:
        said |= {**reading.expect, "part": reading.expect_part, "time": reading.expect_time}
    return said


MODELS = {
    "plate camera in XML": "hikvision/anpr", "elevator box": "elevator_box/d_block", "mud level": "milesight/em400-mud",
    "four-door controller": "zkteco/c3-400", "panel": "gbt26875/panel", "Zigbee2MQTT smoke alarm": "zigbee2mqtt/smoke",
    "controller in text": "dahua/access", "uhppoted-mqtt": "uhppoted/ut0311-l04",
    "face terminal": "hikvision/face_terminal", "Plate Recognizer": "platerecognizer/stream", "ITSAPI": "dahua/itsapi",
    "Aqara smoke": "aqara/jy-gz-01aq", "Netvox": "netvox/ra02a", "TG563A": "sept-s/tg563a", "gas": "milesight/gs101",
    "elevator gateway": "elevator_gateway/info", "e-bike door board": "ebike_board/door_hold", "VIAS": "huawei/vias",
    "thrown objects": "proposal/thrown_object", "radar": "milesight/vs373", "panic button": "milesight/ws101",
    "door contact": "milesight/em300-mcs", "leak": "milesight/em300-sld", "tilt": "milesight/em310-tilt",
    "charging port": "tuya/charging_pole",
}  # fmt: skip


@pytest.mark.parametrize("model", MODELS)
def test_a_model_that_was_promised_has_a_profile(model: str) -> None:
    assert MODELS[model] in PROFILES


TRAPS: Mapping[str, Sequence[tuple[str, str]]] = {
    "hikvision/access": [
        ("the linkage enumeration is shifted by one: 0x1a", "door closed (0x1a"),
        ("the linkage enumeration is shifted by one: 0x1b", "door forced (0x1b"),
        ("some call code 38 a card and some a fingerprint", "code 38 is no card and no fingerprint for us"),
        ("currentEvent false is a stored event", "the same, uploaded again after an outage"),
    ],
    "hikvision/face_terminal": [
        ("the linkage enumeration is shifted by one: 0x1a", "closed (0x1a"),
        ("the linkage enumeration is shifted by one: 0x1b", "forced (0x1b"),
        ("minor codes mean something only with their major type", "minor 75 of another major type is no face"),
        ("the push is JSON, or multipart with a picture", "the push as it comes with pictures"),
        ("neither name nor face goes on", "the same, uploaded again after an outage; its name"),
    ],
    "dahua/access": [
        ("JSON goes over several lines", "JSON over several lines"),
        ("a message comes in chunks", "half of a swipe (a chunk is no message)"),
        ("deflate is promised, and true", "packed, as the header says (here zlib)"),
        ("deflate is promised, and not true", "a card at the first door, which they call 0"),
        ("Heartbeat is a literal", "a part of the stream that is nothing but Heartbeat"),
    ],
    "zkteco/c3-400": [
        ("255 is no event but the state of all doors", "the state of all doors"),
    ],
    "uhppoted/ut0311-l04": [
        ("an answer comes the same way as an event", "an answer is no event"),
        ("a timestamp names a zone that is nobody's", "opened from afar; the zone of its time is not ours"),
        ("event-id counts, and holes can be seen", "events that were overwritten before anybody asked"),
    ],
    "hikvision/anpr": [
        ("a Chinese plate has its colour before it", "in with a green plate"),
        ("黑 is a colour and a province; a stored passage", "a black plate of Heilongjiang, uploaded again"),
        ("noPlate is no plate", "no plate"),
        ("the plate first", "the plate is sent first"),
        ("and the rest later under the same UUID", "and everything later under the same UUID"),
        ("forward is in or out, as the camera hangs", "a camera that looks at the exit from behind"),
        ("old firmware and foreign plates", "a foreign plate has no colour before it; old firmware"),
    ],
    "dahua/itsapi": [
        ("an upload is repeated until it is answered", "sent again, because nobody answered"),
        ("KeepAlive is no passage", "it lives"),
        ("a vehicle without a plate", "a vehicle without a plate, on no list"),
    ],
    "platerecognizer/stream": [
        ("plates are in small letters", "a truck, its plate in small letters"),
    ],
    "milesight/gs524n": [
        ("a test notifies nobody", "test button, battery normal"),
        ("smoke alarms though it is silenced", "silenced by hand, and still burning"),
        ("removed is no all-clear", "taken off its base"),
        ("all bytes add up to 0", "one bit wrong"),
    ],
    "sept-s/tg563a": [
        ("it smokes although it is not mounted", "smoke, told by a detector that is off its base"),
        ("a port that is none of its own", "another port"),
        ("a long message holds a short one", "a long message that was cut off after its status"),
        ("a fouled chamber", "a fouled chamber is a fault too, and the battery is low"),
    ],
    "netvox/ra02a": [
        ("120 degrees are true in a fire", "smoke at 120 degrees, which is no bad value in a fire"),
        ("low battery is a bit of the voltage", "the highest bit of the voltage is a battery that is low, not 15.3 V"),
    ],
    "aqara/jy-gz-01aq": [
        ("density comes by the vendor's table", "the scale alone becomes dB/m by the table, not by calculating"),
        ("an alarm is never derived from a density", "a density at the end of the scale is no alarm"),
        ("mute lasts 80 s and ends no alarm", "muted for 80 seconds, and still burning"),
        ("linkage is an alarm of another one", "it sounds for another detector, which is no fire here"),
    ],
    "gbt26875/panel": [
        ("texts are GB18030 of 31 bytes", "a description that is cut in the middle of a character"),
        ("a frame holds several objects", "two objects in one frame; a fault and a fire"),
        ("the factor is that of the analog type", "one value of each analog type"),
        ("a checksum before the end", "one bit wrong"),
        ("its date is binary and may not exist", "a day that does not exist costs the time, not the message"),
    ],
    "milesight/gs101": [("a valve of 0 is off, and that is closed", "gas; the valve that is off is closed")],
    "elevator_gateway/info": [
        ("there is no floor 0", "one below floor 1 is floor -1"),
        ("and a 0 is none", "a floor 0 that there is not is no floor"),
        ("faults are a list of now", "a fault list says two things at once, one of them that somebody is trapped"),
        ("and nobody sends a clear", "an empty fault list ends every fault"),
    ],
    "elevator_box/d_block": [
        ("block and envelope disagree about the time", "two clocks that are weeks apart are no clock"),
        ("a box on the roof sees nobody during an entrapment", "trapped at a landing, told by a box on the car roof"),
        ("a code is a number or its text", "the same is over; the code is a text now"),
        ("disappear is a clear", "it disappeared, which is a clear too"),
        ("code 37 is an e-bike", "an e-bike"),
        ("blocks are 20 or 23 bytes", "a block of another length"),
    ],
    "ebike_board/door_hold": [
        ("the door is held before the vote", "the door is held on a suspicion, and there is no e-bike"),
        ("a hold ends only by disable_block_door", "it has let the door go"),
        ("pictures come along", "pictures in base64 are not for the hub"),
    ],
    "huawei/vias": [
        ("a picture in base64 comes along", "a fight, with its picture left behind"),
        ("74240 is an alarm", "parked where it must not"),
        ("and its end", "the disappearance of a parked car"),
        ("one that leaves is not all", "one that leaves does not say that the fire lane is free"),
    ],
    "proposal/thrown_object": [
        ("a floor is a range; a clip is a reference with its hash", "a bottle from somewhere between floor 7 and 9"),
        ("a person reviews", "a person has confirmed it, which the pending one must not swallow"),
    ],
    "milesight/vs373": [
        ("occupancy is inverted", "old firmware: a region of 0 is occupied, of 1 vacant"),
        ("the decoder says that 1 is triggered", "alarm 1, motionless: state 1 is triggered, as the decoder says"),
        ("the README says that 0 is triggered", "a fall of state 0, which an early README calls triggered"),
    ],
    "milesight/ws101": [("a long press calls at once", "a long press"), ("a short one may be none", "a short press")],
    "milesight/em400-mud": [
        ("an alarm frame has other keys", "both thresholds"),
        ("NB-IoT carries the same payload", "the data of the NB-IoT frame"),
    ],
    "milesight/em310-tilt": [("each axis has its threshold", "one threshold is enough")],
    "tuya/charging_pole": [
        ("fault_status 1 is no fault", "a port that charges"),
        ("and stands at a port that is off", "nothing plugged in, though fault_status says normal charging"),
        ("a port at fault may still be on", "too hot, and still on"),
        ("each port is a part", "several ports, each a part; one is too hot and one leaks"),
    ],
}  # fmt: skip
"""Per profile what devices of the model do that misleads, and the example of it: its name, or how that begins."""

CASES = [(profile, trap, example) for profile, cases in TRAPS.items() for trap, example in cases]


@pytest.mark.parametrize(("profile", "trap", "example"), CASES, ids=[f"{name}: {trap}" for name, trap, _ in CASES])
def test_a_trap_has_an_example(profile: str, trap: str, example: str) -> None:
    names = [each.name for each in PROFILES[profile].examples]
    found = [name for name in names if name == example] or [name for name in names if name.startswith(example)]
    assert len(found) == 1, trap
