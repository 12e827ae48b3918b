"""The language is enough for models that have no file yet: each in a few lines, with its payload and its trap."""

from __future__ import annotations

import gzip
import zlib

import pytest

from hub.errors import PoisonError
from hub.model.heard import Signal
from hub.normalize.handler import ProfileHandler
from tests.normalize.devices import handler, mistake, poison, reading, readings

# ----------------------------------------------------------------------------- text: a Dahua controller, split JSON

DAHUA = {
    "payload": {
        "format": "text",
        "between": ";",
        "rest": "data",
        "inside": {"data": {"format": "json"}},
        "inflate": "if_deflated",
    },
    "time": {"from": [{"in": "data", "path": "UTC", "format": "unix"}]},
    "messages": [
        {"match": {"Heartbeat": ""}, "ends": "heartbeat"},
        {
            "match": {"Code": "AccessControl"},
            "part": {"in": "data", "path": "Door", "plus": 1, "name": "door-{}"},
            "signals": {
                "access.granted": {
                    "only": {"data>Status": 1},
                    "data": {"card": {"in": "data", "path": "CardNo", "as": "string", "absent": [""]}},
                },
                "access.denied": {"only": {"data>Status": 0}},
            },
        },
        {
            "match": {"Code": "BreakIn"},
            "part": {"path": "index", "plus": 1, "name": "door-{}"},
            "signals": {"door.forced": {}},
        },
    ],
}
SWIPE = b"""Code=AccessControl;action=Pulse;index=0;data={
   "CardNo" : "AABB1122;7", "Door" : 0,
   "Status" : 1, "UTC" : 1790715000
}
"""


@pytest.mark.parametrize(
    "packed",
    [SWIPE, zlib.compress(SWIPE), gzip.compress(SWIPE), zlib.compressobj(wbits=-15).compress(SWIPE)],
    ids=["plain although promised", "zlib", "gzip", "cut"],
)
def test_a_text_with_json_over_several_lines_packed_or_not(packed: bytes) -> None:
    if packed[:1] not in {b"C", b"\x78", b"\x1f"}:
        packer = zlib.compressobj(wbits=-15)
        packed = packer.compress(SWIPE) + packer.flush()
    found = reading("access_controller", packed, **DAHUA)
    assert found.signals == [Signal("access.granted", {"card": "AABB1122;7"})]
    assert (found.part, found.measured_at) == ("door-1", 1_790_715_000_000_000_000)


def test_a_literal_heartbeat_among_texts() -> None:
    assert reading("access_controller", b"Heartbeat", **DAHUA).signals == ()


def test_a_block_that_is_no_json_costs_only_itself() -> None:
    made = handler("access_controller", **DAHUA)
    (found,) = made(b"Code=BreakIn;index=0;data={broken")
    assert (found.part, found.signals, found.critical, made.partials) == (
        "door-1",
        [Signal("door.forced", {})],
        True,
        1,
    )
    assert poison("access_controller", b"Code=AccessControl;index=0;data={broken", **DAHUA) == "bad_json"


def test_a_bomb_is_not_unpacked() -> None:
    assert poison("access_controller", zlib.compress(bytes(2_000_000)), **DAHUA) == "too_large"
    assert poison("access_controller", b";".join(b"k%d=1" % n for n in range(257)), **DAHUA) == "too_many_keys"


def test_a_form_is_read_and_bounded() -> None:
    words = {"payload": {"format": "form"}, "properties": {"description": {"path": "place"}, "fire": {"path": "fire"}}}
    assert reading("fire_panel", b"fire=1&place=%E7%83%9F+1", **words).values == {"description": "烟 1", "fire": True}
    assert poison("fire_panel", b"fire=1&place=%FF", **words) == "bad_text"
    assert poison("fire_panel", b"&".join(b"k=1" for _ in range(257)), **words) == "too_many_keys"


# ------------------------------------------------------------------------------- JSON: request and reply, arrays

UHPPOTED = {
    "payload": {"format": "json"},
    "time": {"from": [{"path": "event.timestamp", "format": "%Y-%m-%d %H:%M:%S %Z"}]},
    "identity": ["event.device-id", "event.event-id"],
    "part": {"path": "event.door-id", "name": "door-{}"},
    "properties": {
        "door": {
            "path": "event.event-reason",
            "only": {"event.event-reason": [23, 24]},
            "values": {23: "open", 24: "closed"},
        }
    },
    "signals": {"access.granted": {"only": {"event.access-granted": True, "event.event-type": 1}}},
}  # fmt: skip


def test_an_event_with_a_number_of_its_controller() -> None:
    payload = (
        b'{"event":{"device-id":405419896,"event-id":69,"event-type":1,"event-reason":1,"access-granted":true,'
        b'"door-id":1,"timestamp":"2021-08-10 10:28:32 UTC"}}'
    )
    found = reading("access_controller", payload, **UHPPOTED)
    assert (found.part, found.identity) == ("door-1", "405419896/69")
    assert found.signals == [Signal("access.granted", {})]


PORTS = {
    "payload": {"format": "json", "each": "result"},
    "time": {"from": [{"path": "$.t", "format": "unix_ms"}]},
    "part": {"path": "port", "name": "port-{}"},
    "properties": {
        "charging": {"path": "fault_status", "values": {1: "charging", 3: "full"}, "else": "fault"},
        "time_charged": {"path": "charging_time", "unit": "s"},
    },
    "flags": [
        {
            "list": {
                "path": "fault_status",
                "values": {6: "overcurrent", 7: "overheated", 9: "leakage"},
                "absent": [1, 3],
            }
        }
    ],
}  # fmt: skip


def test_an_array_is_a_reading_for_each_of_its_objects() -> None:
    payload = (
        b'{"result":[{"port":"10","fault_status":1,"charging_time":600},{"port":"2","fault_status":7}],'
        b'"t":1630056214213}'
    )
    first, second = readings("charging_port", payload, **PORTS)
    assert first.values == {
        "charging": "charging",
        "time_charged": 10.0,
        "overcurrent": False,
        "overheated": False,
        "leakage": False,
    }
    assert (first.part, second.part, second.critical) == ("port-10", "port-2", True)
    assert {first.measured_at, second.measured_at} == {1_630_056_214_213_000_000}


def test_an_empty_array_is_one_row_with_what_stands_outside() -> None:
    words = {
        **PORTS,
        "flags": [],
        "messages": [{"match": {"$.success": True}, "ends": "heartbeat"}],
        "properties": {},
        "part": None,
    }
    for payload in (b'{"success":true,"result":[]}', b'{"success":true}'):
        assert reading("charging_port", payload, **words).values == {}
    assert poison("charging_port", b'{"result":[1]}', **words) == "bad_value"
    many = b'{"success":true,"result":[%s]}' % b",".join(b"{}" for _ in range(1_001))
    assert poison("charging_port", many, **words) == "too_many_elements"


def test_the_most_confident_of_several_results_is_taken() -> None:
    words = {
        "payload": {"format": "json"},
        "properties": {
            "ebike_confidence": {"path": "data.event_set.*.confidence", "take": "max", "unit": "1"},
            "people": {"path": "data.event_set.*.confidence", "take": "count", "unit": "1"},
        },
    }
    payload = b'{"data":{"event_set":[{"confidence":0.75},{"box":1},{"confidence":0.5}]}}'
    assert reading("ai_camera", payload, **words).values == {"ebike_confidence": 0.75, "people": 2}
    assert poison("ai_camera", b'{"data":{"event_set":[]}}', **words) == "unmatched"


FAULTS = {
    "payload": {"format": "json"},
    "flags": [
        {
            "list": {
                "path": "data.fault",
                "values": {1: "entrapment_between", 2: "entrapment_level", 5: "overspeed"},
            }
        }
    ],
}  # fmt: skip


def test_a_list_of_faults_says_what_is_true_and_what_is_not() -> None:
    quiet = {"entrapment_between": False, "entrapment_level": False, "overspeed": False}
    assert reading("elevator", b'{"data":{"fault":[1,"5"]}}', **FAULTS).values == {
        **quiet,
        "entrapment_between": True,
        "overspeed": True,
    }
    assert reading("elevator", b'{"data":{"fault":[]}}', **FAULTS).values == quiet


def test_a_fault_that_nobody_has_described_does_not_hide_the_others() -> None:
    made = handler("elevator", **FAULTS)
    (found,) = made(b'{"data":{"fault":[99,2]}}')
    assert (found.values["entrapment_level"], found.critical, made.partials) == (True, True, 1)
    assert poison("elevator", b'{"data":{"fault":[[1]]}}', **FAULTS) == "bad_value"


def test_a_bitmap_is_a_number_or_its_text() -> None:
    bits = {0: "overrun_top", 8: "entrapment_level"}
    words = {"payload": {"format": "json"}, "flags": [{"bitmap": {"path": "alarm", "values": bits}}]}
    for payload in (b'{"alarm":256}', b'{"alarm":"256"}'):
        assert reading("elevator", payload, **words).values == {"overrun_top": False, "entrapment_level": True}
    assert poison("elevator", b'{"alarm":-1}', **words) == "bad_value"
    assert poison("elevator", b'{"alarm":"0x1"}', **words) == "bad_value"


# ---------------------------------------------------------------------------------- bytes: LoRaWAN sensors, ports


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


# -------------------------------------------------------------------------------------- meaning: tables, parameters


def test_a_table_has_a_unit_that_is_converted() -> None:
    table = {"0": 0, "1": 0.085, "10": 0.125}  # dB/m of Aqara's scale (zigbee-herdsman-converters, src/lib/lumi.ts)
    words = {
        "payload": {"format": "json"},
        "properties": {"smoke_density": {"path": "d", "values": table, "unit": "dB/m"}},
    }
    assert reading("smoke_sensor", b'{"d":10}', **words).values == {"smoke_density": 0.125}
    volts = {"battery_voltage": {"path": "d", "values": {"1": 3000}, "unit": "mV"}}
    assert reading("smoke_sensor", b'{"d":1}', payload={"format": "json"}, properties=volts).values == {
        "battery_voltage": 3.0
    }
    odd = {"alarm": {"path": "d", "values": {1: True}, "unit": "V"}}
    assert mistake("smoke_sensor", payload={"format": "json"}, properties=odd) == "not_a_number"


def test_a_scale_may_be_a_parameter_of_the_installation() -> None:
    words = {
        "payload": {"format": "json"},
        "params": {"litres": 10},
        "properties": {"volume": {"path": "n", "scale": "$litres", "unit": "L"}},
    }
    assert reading("water_meter", b'{"n":250}', **words).values == {"volume": 2.5}
    assert handler("water_meter", {"litres": 1}, **words)(b'{"n":250}')[0].values == {"volume": 0.25}
    for wrong in (0, -1, "ten", True):
        assert mistake("water_meter", **{**words, "params": {"litres": wrong}}) == "value_misfit"


def test_of_several_sources_the_first_that_applies_and_is_there_counts() -> None:
    sources = [{"path": "a", "only": {"k": 1}, "unit": "Cel"}, {"path": "b", "unit": "[degF]"}]
    words = {"payload": {"format": "json"}, "properties": {"temperature": sources}}
    assert reading("manhole", b'{"k":1,"a":20,"b":212}', **words).values == {"temperature": 20.0}
    assert list(reading("manhole", b'{"k":1,"a":20,"b":212}', **words).bad) == []
    hot = reading("manhole", b'{"k":2,"a":20,"b":212}', **words)
    assert hot.values["temperature"] == pytest.approx(100)
    assert list(hot.bad) == ["temperature"]


def test_two_clocks_that_disagree_are_none() -> None:
    words = {
        "payload": {"format": "json"},
        "time": {"from": [{"path": "a", "format": "unix"}, {"path": "b", "format": "unix"}], "disagree": "5m"},
        "properties": {"runs": {"path": "n", "unit": "1"}},
    }
    made = handler("elevator", **words)
    assert made(b'{"n":1,"a":1761111828,"b":1761111830}')[0].measured_at == 1_761_111_828 * 10**9
    assert made(b'{"n":1,"a":1761111828,"b":1761112129}')[0].measured_at is None
    assert made(b'{"n":1,"a":0,"b":1761112129}')[0].measured_at == 1_761_112_129 * 10**9
    assert (made.clocks_disagreeing, made.clocks_unset) == (1, 1)


def test_a_part_of_several_values_needs_all_of_them() -> None:
    part = {"at": [{"at": 0}, {"at": 1, "as": "u16le"}], "name": "{}-{}", "absent": [0]}
    words = {"payload": {"format": "bytes"}, "part": part, "properties": {"fault": {"at": 3, "values": {1: True}}}}
    assert reading("fire_panel", b"\x02\x05\x01\x01", **words).part == "2-261"
    assert reading("fire_panel", b"\x00\x00\x00\x01", **words).part is None
    assert reading("fire_panel", b"\x00\x01\x00\x01", **words).part == "0-1"


def test_blocks_are_known_by_their_names() -> None:
    words = {"payload": {"format": "json"}, "properties": {"runs": {"in": "E", "at": 0, "unit": "1"}}}
    assert mistake("elevator", **words) == "bad_place"
