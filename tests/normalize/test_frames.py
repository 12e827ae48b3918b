"""Bytes: frames that are checked, records, slices, and places as a condition writes them."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.normalize.devices import handler, mistake, poison, reading, readings

# CRCs of "123456789" as the catalogue of parametrised CRC algorithms lists them (reveng.sourceforge.io).
DIGITS = b"123456789"
COUNT = {"runs": {"at": 0, "unit": "1"}}


def framed(**words: object) -> dict[str, object]:
    return {"payload": {"format": "bytes", **words}, "properties": COUNT}


@pytest.mark.parametrize(
    ("algorithm", "check"),
    [("sum8", "dd"), ("xor8", "31"), ("crc16_modbus", "374b"), ("crc16_ccitt", "29b1")],
)
def test_a_checksum_is_checked(algorithm: str, check: str) -> None:
    size = len(check) // 2
    words = framed(check={"as": algorithm, "to": -size, "at": -size})
    payload = DIGITS + bytes.fromhex(check)
    assert reading("elevator", payload, **words).values == {"runs": ord("1")}
    assert poison("elevator", payload[:-1] + b"\x00", **words) == "bad_checksum"
    assert poison("elevator", b"2" + payload[1:], **words) == "bad_checksum"
    assert poison("elevator", b"", **words) == "bad_length"


def test_a_frame_begins_and_ends_as_promised_and_says_its_length() -> None:
    words = framed(starts="AA", ends="55", length={"at": 1, "as": "u8", "plus": 3})
    assert reading("elevator", bytes.fromhex("AA02010255"), **words).values == {"runs": 0xAA}
    assert poison("elevator", bytes.fromhex("AB02010255"), **words) == "bad_frame"
    assert poison("elevator", bytes.fromhex("AA02010254"), **words) == "bad_frame"
    assert poison("elevator", bytes.fromhex("AA020155"), **words) == "bad_length"
    assert poison("elevator", b"\xaa", **words) == "bad_length"


def test_a_payload_may_have_one_of_several_lengths() -> None:
    words = framed(length=[2, 4])
    assert [len(readings("elevator", bytes(size), **words)) for size in (2, 4)] == [1, 1]
    assert poison("elevator", bytes(3), **words) == "bad_length"


RECORDS = {
    "payload": {
        "format": "bytes",
        "records": {"from": 2, "to": -1, "count": 1, "size": {"at": 0, "sizes": {1: 2, 2: 3}}},
    },
    "messages": [
        {"match": {"$0": 1}, "part": {"at": 0, "name": "port-{}"}, "properties": {"power": {"at": 1, "unit": "W"}}},
        {"match": {"$0": 2}, "properties": {"energy": {"at": 0, "as": "u24be", "unit": "W.h"}}},
        {"match": {"$0": 3}, "ends": "heartbeat"},
    ],
}  # fmt: skip


def test_records_have_a_size_that_the_frame_tells_and_a_count() -> None:
    found = readings("charging_port", bytes.fromhex("01020A640BC8FF"), **RECORDS)
    assert [(each.part, each.values) for each in found] == [
        ("port-10", {"power": 100.0}),
        ("port-11", {"power": 200.0}),
    ]
    assert reading("charging_port", bytes.fromhex("02010003E8FF"), **RECORDS).values == {"energy": 1.0}
    assert reading("charging_port", bytes.fromhex("0300FF"), **RECORDS).values == {}


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ("01030A640BC8FF", "bad_length"),  # promises three
        ("01020A640BFF", "bad_length"),  # half a record
        ("09010A64FF", "unmatched"),  # a sort that nobody has described
        ("01", "unmatched"),
        ("", "unmatched"),
    ],
)
def test_what_is_no_record_is_refused(payload: str, code: str) -> None:
    assert poison("charging_port", bytes.fromhex(payload), **RECORDS) == code


def test_a_record_has_its_size_and_no_more() -> None:
    words = {"payload": {"format": "bytes", "records": {"size": 2}}, "properties": {"power": {"at": 1, "as": "u16le"}}}
    assert mistake("charging_port", **words) == "beyond_end"


def test_too_many_records_are_refused() -> None:
    words = {"payload": {"format": "bytes", "records": {"size": 1}}, "properties": {"power": {"at": 0, "unit": "W"}}}
    assert len(readings("charging_port", bytes(1_000), **words)) == 1_000
    assert poison("charging_port", bytes(1_001), **words) == "too_many_elements"


@pytest.mark.parametrize(
    ("source", "payload", "expected"),
    [
        ({"at": 1, "size": 4, "as": "ascii"}, b"\x00ab\x00c", "ab"),
        ({"at": 0, "size": 6, "as": "gb18030"}, "烟感".encode("gb18030") + b"\0\0", "烟感"),
        ({"at": 0, "as": "utf8"}, "烟感 1".encode(), "烟感 1"),
        ({"at": 0, "size": 3, "as": "hex"}, b"\x01\xab\xcd", "01abcd"),
        ({"at": 0, "as": "u32le"}, b"\x01\x00\x00\x00", "1"),
        ({"at": 0, "size": 3, "as": "bcd"}, b"\x01\x23\x45", "12345"),
        ({"at": 0, "as": "ascii"}, b"\x07a\x1bb\xff", "ab\ufffd"),
    ],
)
def test_a_slice_of_bytes_becomes_a_text(source: dict[str, object], payload: bytes, expected: str) -> None:
    words = {"payload": {"format": "bytes"}, "properties": {"description": source}}
    assert reading("fire_panel", payload, **words).values == {"description": expected}


def test_bcd_is_a_number_and_refuses_what_is_none() -> None:
    words = {
        "payload": {"format": "bytes"},
        "properties": {"volume": {"at": 0, "size": 4, "as": "bcd_le", "scale": 0.01, "unit": "m3"}},
    }
    assert reading("water_meter", bytes.fromhex("45230100"), **words).values == {"volume": 123.45}
    assert poison("water_meter", bytes.fromhex("4A230100"), **words) == "bad_value"


def test_a_condition_names_a_byte_a_number_or_bits() -> None:
    words = {
        "payload": {"format": "bytes"},
        "messages": [
            {"match": {"0[4,4]": 1}, "properties": {"runs": {"at": 2, "unit": "1"}}},
            {"match": {"0:u16be": 0x2001}, "properties": {"rope_bends": {"at": 2, "unit": "1"}}},
        ],
    }
    assert reading("elevator", b"\x1f\x00\x05", **words).values == {"runs": 5}
    assert reading("elevator", b"\x20\x01\x05", **words).values == {"rope_bends": 5}
    assert poison("elevator", b"\x20\x02\x05", **words) == "unmatched"
    assert mistake("elevator", payload={"format": "bytes"}, messages=[{"match": {"0:x9": 1}, "properties": COUNT}]) == (
        "bad_place"
    )


TIMES = [
    ("smhdmy", "001e090d0c15", "2021-12-13T09:30:00+08:00"),
    ("bcd_ymdhms", "211213093000", "2021-12-13T09:30:00+08:00"),
]


@pytest.mark.parametrize(("form", "payload", "expected"), TIMES)
def test_a_time_of_six_bytes_is_read(form: str, payload: str, expected: str) -> None:
    words = {
        "payload": {"format": "bytes"},
        "time": {"from": [{"at": 0, "format": form}]},
        "properties": {"runs": {"at": 6, "unit": "1"}},
    }
    found = reading("elevator", bytes.fromhex(payload) + b"\x01", **words)
    assert found.measured_at == datetime.fromisoformat(expected).timestamp() * 10**9


@pytest.mark.parametrize("form", ["smhdmy", "bcd_ymdhms"])
@pytest.mark.parametrize("payload", ["000000000000", "ffffffffffff", "00003e1f1515"])
def test_a_clock_of_bytes_that_shows_no_moment_is_not_set(form: str, payload: str) -> None:
    words = {
        "payload": {"format": "bytes"},
        "time": {"from": [{"at": 0, "format": form}]},
        "properties": {"runs": {"at": 6, "unit": "1"}},
    }
    made = handler("elevator", **words)
    (found,) = made(bytes.fromhex(payload) + b"\x01")
    assert (found.values, found.measured_at, made.clocks_unset) == ({"runs": 1}, None, 1)


def test_nothing_is_no_record() -> None:
    words = {
        "payload": {"format": "bytes", "records": {"size": 2}},
        "signals": {"charging.finished": {"data": {"reason": {"at": 0, "values": {1: "full"}, "else": "other"}}}},
    }
    assert poison("charging_port", b"", **words) == "bad_length"
    assert len(readings("charging_port", b"\x01\x00\x02\x00", **words)) == 2
