"""Profiles at work: sources, tables, sentinels, shapes, parts, identity, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from hub.errors import ConfigError
from hub.normalize.compile import compile_profile
from tests.normalize.profiles import SENSOR, profile, read, refusal

# ------------------------------------------------------------------------------------------------------- values


@pytest.mark.parametrize(
    ("payload", "source", "expected"),
    [
        (b'{"a":21}', {"path": "a"}, 21.0),
        (b'{"a":308}', {"path": "a", "scale": 0.1}, 30.8),
        (b'{"a":5}', {"path": "a", "scale": 2.5, "offset": -10}, 2.5),
        (b'{"a":"21.5"}', {"path": "a", "as": "float"}, 21.5),
        (b'{"a":300}', {"path": "a", "unit": "K"}, pytest.approx(26.85)),
        (b'{"b":1,"a":null}', {"path": ["a", "b"]}, 1.0),
        (b'{"a":{"b":[5,{"c":7}]}}', {"path": "a.b.1.c"}, 7.0),
        (b'{"a":{"b":8}}', {"path": ["a.b.c", "a.b"]}, 8.0),
    ],
)
def test_a_float_is_read(payload: bytes, source: dict[str, object], expected: float) -> None:
    value = read(payload, properties={"temperature": source}).values["temperature"]
    assert value == expected
    assert type(value) is float


@pytest.mark.parametrize("raw", [b'"21"', b"true", b"[1]", b"{}", b"1" + b"0" * 400])
def test_what_is_no_number_is_refused(raw: bytes) -> None:
    assert refusal(b'{"a":%s}' % raw, properties={"temperature": {"path": "a"}}).code == "bad_value"


@pytest.mark.parametrize("text", ["", "nan", "inf", "1_0", "0x10", "１", "1" * 50, " 1"])
def test_a_text_that_only_python_takes_for_a_number_is_refused(text: str) -> None:
    payload = f'{{"a":"{text}"}}'.encode()
    assert refusal(payload, properties={"temperature": {"path": "a", "as": "float"}}).code == "bad_value"


@pytest.mark.parametrize(("raw", "expected"), [(b"7", 7), (b"7.0", 7), (b"-9223372036854775808", -(2**63))])
def test_an_int_is_read(raw: bytes, expected: int) -> None:
    value = read(b'{"a":%s}' % raw, properties={"total": {"path": "a"}}).values["total"]
    assert value == expected
    assert type(value) is int


@pytest.mark.parametrize("raw", [b"7.5", b"9223372036854775808", b"1e300", b"true", b'"7"'])
def test_what_is_no_int_of_64_bits_is_refused(raw: bytes) -> None:
    assert refusal(b'{"a":%s}' % raw, properties={"total": {"path": "a"}}).code == "bad_value"


@pytest.mark.parametrize(("raw", "expected"), [(b"1", True), (b'"0"', False), (b'"true"', True), (b"false", False)])
def test_a_bool_is_read_from_what_vendors_write(raw: bytes, expected: bool) -> None:  # noqa: FBT001 -- a parameter
    assert read(b'{"a":%s}' % raw, properties={"lit": {"path": "a", "as": "bool"}}).values == {"lit": expected}


def test_a_number_is_no_bool_unless_the_profile_says_so() -> None:
    assert refusal(b'{"a":1}', properties={"lit": {"path": "a"}}).code == "bad_value"


@pytest.mark.parametrize("text", [r"\u0000", r"a\nb", r"\u009f", "x" * 1_025])
def test_a_text_with_control_characters_or_too_long_is_refused(text: str) -> None:
    for source in ({"path": "a"}, {"path": "a", "as": "string"}):
        assert refusal(f'{{"a":"{text}"}}'.encode(), properties={"text": source}).code == "bad_value"


def test_a_text_may_be_in_any_language() -> None:
    text = "3号楼\u30001单元\u00a0é"
    assert read(f'{{"a":"{text}"}}'.encode(), properties={"text": {"path": "a"}}).values == {"text": text}


@pytest.mark.parametrize("raw", [b"1", b'"1"'])
def test_a_table_reads_numbers_and_their_text_alike(raw: bytes) -> None:
    source = {"path": "a", "values": {"1": "on"}}
    assert read(b'{"a":%s}' % raw, properties={"mode": source}).values == {"mode": "on"}


def test_a_value_that_the_table_does_not_know_is_refused_or_what_else_says() -> None:
    source = {"path": "a", "values": {"1": "on"}}
    assert refusal(b'{"a":2}', properties={"mode": source}).code == "bad_value"
    assert refusal(b'{"a":[1]}', properties={"mode": {**source, "else": "off"}}).code == "bad_value"
    assert read(b'{"a":2}', properties={"mode": {**source, "else": "off"}}).values == {"mode": "off"}
    assert read(b'{"a":2}', properties={"lit": {"path": "a", "values": {"1": True}, "else": False}}).values == {
        "lit": False
    }


def test_an_enum_without_a_table_takes_its_members_only() -> None:
    assert read(b'{"a":"on"}', properties={"mode": {"path": "a"}}).values == {"mode": "on"}
    assert refusal(b'{"a":"ON"}', properties={"mode": {"path": "a"}}).code == "bad_value"


def test_a_sentinel_is_no_value_and_yet_the_device_was_heard() -> None:
    properties = {"temperature": {"path": "a", "absent": [-9999, "none"]}, "count": {"path": "b"}}
    assert read(b'{"a":-9999,"b":1}', properties=properties).values == {"count": 1}
    assert read(b'{"a":"none"}', properties=properties).values == {}


def test_a_range_sets_quality_and_never_drops() -> None:
    properties = {"temperature": {"path": "a"}, "count": {"path": "b", "range": [0, 5]}}
    reading = read(b'{"a":85.1,"b":6}', properties=properties)
    assert (reading.values, reading.bad) == ({"temperature": 85.1, "count": 6}, ["temperature", "count"])
    assert list(read(b'{"a":85,"b":5}', properties=properties).bad) == []


def test_a_parameter_of_the_installation_decides_what_a_word_means() -> None:
    words: dict[str, Any] = {"params": {"up": "on"}, "properties": {"mode": {"path": "a", "values": {"1": "$up"}}}}
    assert read(b'{"a":1}', **words).values == {"mode": "on"}
    assert read(b'{"a":1}', installed={"up": "off"}, **words).values == {"mode": "off"}
    with pytest.raises(ConfigError, match="value_misfit"):
        read(b'{"a":1}', installed={"up": "sideways"}, **words)
    with pytest.raises(ConfigError, match="unknown_param"):
        read(b'{"a":1}', installed={"down": "off"}, **words)


# -------------------------------------------------------------------------------------------------------- bytes


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"at": 0}, 0x12),
        ({"at": 0, "as": "i8"}, 0x12),
        ({"at": 3, "as": "i8"}, -2),
        ({"at": 0, "as": "u16le"}, 0x3412),
        ({"at": 0, "as": "u16be"}, 0x1234),
        ({"at": 2, "as": "i16be"}, -2),
        ({"at": 0, "as": "u32be"}, 0x1234FFFE),
        ({"at": 0, "bits": [4, 4]}, 1),
        ({"at": 0, "as": "u16be", "bits": [0, 12]}, 0x234),
    ],
)
@pytest.mark.parametrize("length", [4, None])
def test_a_number_is_read_from_bytes(source: dict[str, object], expected: int, length: int | None) -> None:
    payload = {"format": "bytes", "length": length} if length else {"format": "bytes"}
    reading = read(bytes.fromhex("1234FFFE"), payload=payload, properties={"total": source})
    assert reading.values == {"total": expected}


def test_bytes_may_overlap_and_differ_in_order() -> None:
    properties = {
        "total": {"at": 0, "as": "u16be"},
        "count": {"at": 0, "as": "u16le", "range": [0, 99_999]},
        "temperature": {"at": 1, "scale": 0.1},
    }
    reading = read(b"\x12\x34", payload={"format": "bytes", "length": 2}, properties=properties)
    assert reading.values == {"total": 0x1234, "count": 0x3412, "temperature": 5.2}


def test_a_float_of_bytes_must_be_finite() -> None:
    words: dict[str, Any] = {"payload": {"format": "bytes"}, "properties": {"temperature": {"at": 0, "as": "f32le"}}}
    assert read(bytes.fromhex("0000ac41"), **words).values == {"temperature": 21.5}
    assert refusal(bytes.fromhex("0000c07f"), **words).code == "bad_value"


def test_a_payload_of_bytes_may_end_early_when_no_length_is_promised() -> None:
    words: dict[str, Any] = {
        "payload": {"format": "bytes"},
        "properties": {"total": {"at": 0}, "count": {"at": 1, "as": "u16le"}},
    }
    assert read(b"\x05\x06", **words).values == {"total": 5}
    assert refusal(b"", **words).code == "unmatched"


def test_shapes_of_bytes_are_told_apart_by_a_byte() -> None:
    messages = [
        {"match": {"0": [1, 2]}, "properties": {"total": {"at": 1}}},
        {"match": {0: 3}, "ends": "heartbeat"},
    ]
    words: dict[str, Any] = {"payload": {"format": "bytes"}, "messages": messages}
    assert read(b"\x02\x07", **words).values == {"total": 7}
    assert read(b"\x03", **words).values == {}
    assert refusal(b"\x04\x07", **words).code == "unmatched"


def test_a_profile_of_another_kind_is_refused() -> None:
    with pytest.raises(ConfigError, match="wrong_kind"):
        compile_profile(profile(kind="lamp", properties={"lit": {"path": "a"}}), SENSOR, {}, "UTC")
