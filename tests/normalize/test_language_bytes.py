"""The language is enough for bytes: LoRaWAN sensors, ports, channels, and what was stored."""

from __future__ import annotations

import pytest

from hub.errors import PoisonError
from hub.model.heard import Signal
from hub.normalize.handler import ProfileHandler
from tests.normalize.devices import handler, reading, readings


def test_the_low_battery_bit_of_a_voltage() -> None:
    words = {
        "payload": {"format": "bytes", "length": 11},
        "port": 6,
        "properties": {
            "battery_voltage": {"at": 3, "bits": [0, 7], "scale": 0.1, "unit": "V"},
            "battery_low": {"at": 3, "bits": [7, 1], "values": {0: False, 1: True}},
            "alarm": {"at": 4, "values": {0: False, 1: True}},
            "temperature": {"at": 6, "as": "i16be", "scale": 0.1, "unit": "Cel"},
        },
    }
    # Vector of the device repository of The Things Network (vendor/netvox/ra02a-codec.yaml).
    payload = bytes.fromhex("010A011E010104B0000000")
    made = handler("smoke_sensor", **words)
    for found in (made(payload)[0], made(payload, 6)[0]):
        assert found.values == {"battery_voltage": 3.0, "battery_low": False, "alarm": True, "temperature": 120.0}
        assert list(found.bad) == ["temperature"]
    assert _poison_on_port(made, payload, 7) == "unmatched"


def _poison_on_port(made: ProfileHandler, payload: bytes, port: int) -> str:
    with pytest.raises(PoisonError) as caught:
        made(payload, port)
    return caught.value.code


RADAR = {
    "payload": {"format": "channels", "sizes": {"06 FB": 5}},
    "messages": [
        {
            "match": {"06 FB@2": [0, 1]},
            "signals": {
                "care.alarm_reported": {
                    "data": {
                        "alarm": {"channel": "06 FB", "at": 2, "values": {1: "motionless"}, "else": "other"},
                        "state": {
                            "channel": "06 FB",
                            "at": 3,
                            "values": {0: "cleared", 1: "triggered"},
                            "else": "ignored",
                        },
                        "number": {"channel": "06 FB", "at": 0, "as": "u16le"},
                    }
                }
            },
        },
        {
            "channels": {
                "03 F8": {
                    "fall": {"values": {4: "confirmed"}, "else": "none"},
                    "motionless": {"at": 1, "values": {1: True}, "else": False},
                    "occupied_now": {"as": "u16le", "unit": "min"},
                    "occupied_today": {"as": "u16le", "unit": "min"},
                }
            }
        },
        # Inverted: 0 is occupied.
        {
            "repeat": {"name": "region-{}", "times": 4},
            "properties": {
                "presence": {
                    "channel": "04 F9",
                    "at": 0,
                    "step": 1,
                    "absent": [255],
                    "values": {0: True, 1: False},
                }
            },
        },
    ],
}  # fmt: skip


def test_a_radar_sees_a_fall() -> None:
    # Vectors of the vendor's decoder (github.com/Milesight-IoT/SensorDecoders, vs373).
    found = reading("care_radar", bytes.fromhex("03F804000A003C00"), **RADAR)
    assert found.values == {"fall": "confirmed", "motionless": False, "occupied_now": 10.0, "occupied_today": 60.0}
    assert found.critical
    found = reading("care_radar", bytes.fromhex("06FB0100010103"), **RADAR)
    assert found.signals == [Signal("care.alarm_reported", {"alarm": "motionless", "state": "triggered", "number": 1})]


def test_regions_of_a_radar_are_parts() -> None:
    found = readings("care_radar", bytes.fromhex("04F900 01FF01"), **RADAR)
    assert [(each.part, each.values) for each in found] == [
        ("region-1", {"presence": True}),
        ("region-2", {"presence": False}),
        ("region-4", {"presence": False}),
    ]
    (empty,) = readings("care_radar", bytes.fromhex("04F9FFFFFFFF"), **RADAR)
    assert (empty.part, empty.values) == (None, {})


def test_a_button_is_a_signal_in_a_channel() -> None:
    words = {
        "payload": {"format": "channels"},
        "channels": {"01 75": {"battery": {"unit": "%"}}},
        "signals": {
            "sos.pressed": {
                "only": {"FF 2E": [1, 2, 3]},
                "data": {"press": {"channel": "FF 2E", "values": {1: "short", 2: "long", 3: "double"}}},
            }
        },
    }  # fmt: skip
    found = reading("panic_button", bytes.fromhex("017564FF2E02"), **words)  # the vendor's decoder, ws101
    assert (found.values, found.signals) == ({"battery": 100.0}, [Signal("sos.pressed", {"press": "long"})])
    assert found.critical


def test_bits_of_one_byte_in_a_channel_are_several_properties() -> None:
    words = {
        "payload": {"format": "channels"},
        "channels": {
            "03 CF": {
                "angle_x": {"as": "i16le", "scale": 0.01, "unit": "deg"},
                "angle_y": {"as": "i16le", "scale": 0.01, "unit": "deg"},
                "angle_z": {"as": "i16le", "scale": 0.01, "unit": "deg"},
                "tilted": {"at": 6, "bits": [0, 3], "values": {0: False}, "else": True},
            }
        },
    }
    found = reading("manhole", bytes.fromhex("03CF00000000282307"), **words)  # the vendor's README, em310-tilt
    assert found.values == {"angle_x": 0.0, "angle_y": 0.0, "angle_z": 90.0, "tilted": True}


HISTORY = {
    "payload": {"format": "channels", "apart": ["20 CE"]},
    "time": {"from": [{"channel": "20 CE", "as": "u32le", "format": "unix"}]},
    "backfill": {"path": "20 CE"},
    "channels": {"01 75": {"battery": {"unit": "%"}}},
    "properties": {"leak": {"channel": "20 CE", "at": 4, "values": {0: False, 1: True}}},
}


def test_stored_values_are_readings_of_their_own_with_their_own_time() -> None:
    payload = bytes.fromhex("01755C" + "20CE9E74466301" + "20CE9F74466300")
    now, first, second = readings("leak_sensor", payload, **HISTORY)
    assert (now.values, now.measured_at, now.backfill) == ({"battery": 92.0}, None, False)
    assert [(each.values, each.backfill) for each in (first, second)] == [
        ({"leak": True}, True),
        ({"leak": False}, True),
    ]
    assert [each.measured_at for each in (first, second)] == [1_665_561_758 * 10**9, 1_665_561_759 * 10**9]
    assert len(readings("leak_sensor", payload[3:], **HISTORY)) == 2
