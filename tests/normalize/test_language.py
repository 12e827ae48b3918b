"""The language is enough for models that have no file yet: each in a few lines, with its payload and its trap."""

from __future__ import annotations

import gzip
import zlib

import pytest

from hub.model.heard import Signal
from tests.normalize.devices import handler, mistake, poison, reading

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
