"""Profiles at work: sources, tables, sentinels, shapes, parts, identity, and what is refused."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
import pytest

from hub.errors import ConfigError, PoisonError
from hub.model.heard import Signal
from hub.normalize.compile import compile_profile
from hub.normalize.handler import ProfileHandler
from tests.normalize.profiles import SENSOR, profile, read


def refusal(data: bytes, **words: Any) -> PoisonError:  # noqa: ANN401 -- the words of a profile
    with pytest.raises(PoisonError) as caught:
        read(data, **words)
    return caught.value


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


# ------------------------------------------------------------------------------------- shapes, signals, parts …

MESSAGES = [
    {"match": {"type": ["beat", 0]}, "ends": "heartbeat"},
    {
        "match": {"type": "door"},
        "identity": ["id", "boot"],
        "part": {"path": ["door", "lane"], "name": "door-{}"},
        "properties": {
            "lit": {"path": "code", "only": {"code": [1, 2], "class": 5}, "values": {"1": True, "2": False}},
        },
        "signals": {
            "access.denied": {
                "only": {"class": 5, "code": [3, 4]},
                "data": {"reason": {"path": "code", "values": {"3": "card", "4": "time"}}, "tries": {"path": "n"}},
            },
            "door.forced": {"only": {"class": 5, "code": 2}},
        },
    },
    {"match": {"type": "door"}, "properties": {"total": {"path": "code"}}},
]  # fmt: skip


def door(**words: object) -> dict[str, object]:
    return {"type": "door", "class": 5, **words}


def messages(document: dict[str, object]) -> bytes:
    return msgspec.json.encode(document)


@pytest.mark.parametrize("kind", ["beat", 0, "0"])
def test_a_heartbeat_says_nothing_but_that_it_was_heard(kind: object) -> None:
    reading = read(messages({"type": kind}), messages=MESSAGES)
    assert (reading.values, list(reading.signals)) == ({}, [])


def test_only_what_its_condition_allows_is_read() -> None:
    reading = read(messages(door(code=2)), messages=MESSAGES)
    assert reading.values == {"lit": False}
    assert reading.signals == [Signal("door.forced", {})]


def test_a_signal_carries_its_data() -> None:
    reading = read(messages(door(code=4, n=3)), messages=MESSAGES)
    assert reading.values == {}
    assert reading.signals == [Signal("access.denied", {"reason": "time", "tries": 3})]


def test_a_signal_of_an_alarm_makes_the_message_critical() -> None:
    assert read(messages(door(code=2)), messages=MESSAGES).critical
    assert not read(messages(door(code=4)), messages=MESSAGES).critical


def test_a_value_of_an_alarm_makes_the_message_critical() -> None:
    words: dict[str, Any] = {"properties": {"mode": {"path": "a"}}}
    assert read(b'{"a":"fire"}', **words).critical
    assert not read(b'{"a":"on"}', **words).critical
    assert read(b'{"a":"on"}', critical=True, **words).critical


def test_a_shape_that_has_nothing_to_say_leaves_the_message_to_the_next() -> None:
    assert read(messages(door(code=77)), messages=MESSAGES).values == {"total": 77}


def test_a_message_that_no_shape_knows_is_refused() -> None:
    assert refusal(messages({"type": "window"}), messages=MESSAGES).code == "unmatched"
    assert refusal(messages(door()), messages=MESSAGES).code == "unmatched"
    assert refusal(messages({"type": ["beat"]}), messages=MESSAGES).code == "unmatched"


@pytest.mark.parametrize(("number", "part"), [(1, "door-1"), ("2", "door-2"), ("A_b.c-", "door-A_b.c-"), (None, None)])
def test_a_part_is_named_after_its_number(number: object, part: str | None) -> None:
    assert read(messages(door(code=1, door=number)), messages=MESSAGES).part == part


@pytest.mark.parametrize("number", ["", "a b", "1\n", "1,part=x", "#", "门", True, 1.5, [1], "x" * 65])
def test_a_part_that_could_not_be_a_tag_is_refused(number: object) -> None:
    form = {"path": "door"}
    words: dict[str, Any] = {"part": form, "properties": {"total": {"path": "code"}}}
    assert refusal(messages(door(code=1, door=number)), **words).code == "bad_part"


def test_an_identity_is_complete_or_none() -> None:
    assert read(messages(door(code=1, id=7, boot="x")), messages=MESSAGES).identity == "7/x"
    assert read(messages(door(code=1, id=7)), messages=MESSAGES).identity is None
    assert refusal(messages(door(code=1, id=[7], boot="x")), messages=MESSAGES).code == "bad_value"
    assert refusal(messages(door(code=1, id="\0", boot="x")), messages=MESSAGES).code == "bad_value"


@pytest.mark.parametrize(("marker", "expected"), [(False, True), ("false", True), (True, False), ([1], False)])
def test_a_message_that_is_uploaded_again_is_backfill(marker: object, expected: bool) -> None:  # noqa: FBT001 -- a parameter
    words: dict[str, Any] = {"backfill": {"path": "current", "is": [False]}, "properties": {"total": {"path": "code"}}}
    assert read(messages(door(code=1, current=marker)), **words).backfill is expected
    assert read(messages(door(code=1)), **words).backfill is False


def test_an_object_that_is_null_on_the_way_is_absent() -> None:
    properties = {"total": {"path": "a.b"}, "count": {"path": "c"}}
    assert read(b'{"a":null,"c":1}', properties=properties).values == {"count": 1}
    assert read(b'{"c":1}', properties=properties).values == {"count": 1}


# --------------------------------------------------------------------------------------------------------- times


@pytest.mark.parametrize(
    ("form", "raw", "expected"),
    [
        ("iso8601", "2025-10-22T13:43:48+08:00", 1_761_111_828_000_000_000),
        ("iso8601", "2025-10-22T05:43:48.250Z", 1_761_111_828_250_000_000),
        ("iso8601", "2025-10-22 13:43:48", 1_761_111_828_000_000_000),
        ("unix", 1_761_111_828, 1_761_111_828_000_000_000),
        ("unix", "1761111828", 1_761_111_828_000_000_000),
        ("unix", 1_761_111_828.25, 1_761_111_828_250_000_000),
        ("unix_ms", 1_761_111_828_250, 1_761_111_828_250_000_000),
        ("%Y/%m/%d %H:%M:%S", "2025/10/22 13:43:48", 1_761_111_828_000_000_000),
    ],
)
def test_a_device_time_is_read(form: str, raw: object, expected: int) -> None:
    words: dict[str, Any] = {"time": {"from": [{"path": "t", "format": form}]}, "properties": {"total": {"path": "a"}}}
    assert read(messages({"a": 1, "t": raw}), **words).measured_at == expected


DATED: dict[str, Any] = {
    "time": {"from": [{"path": "t", "format": "iso8601"}]},
    "properties": {"total": {"path": "a"}},
}


@pytest.mark.parametrize("raw", ["yesterday", "2025-10-22", "2025-13-01T00:00:00", 5, [1], True])
def test_a_time_that_is_not_written_as_promised_is_refused(raw: object) -> None:
    assert refusal(messages({"a": 1, "t": raw}), **DATED).code == "bad_time"


@pytest.mark.parametrize("raw", ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "2000-01-01T00:00:12", ""])
def test_a_time_of_another_age_does_not_cost_the_message(raw: str) -> None:
    reading = read(messages({"a": 1, "t": raw}), **DATED)
    assert (reading.values, reading.measured_at) == ({"total": 1}, None)


@pytest.mark.parametrize(
    ("zone", "text", "expected"),
    [
        ("Europe/Berlin", "2025-10-26T02:30:00", "2025-10-26T02:30:00+02:00"),  # happens twice: the first
        ("Europe/Berlin", "2025-10-26T03:30:00", "2025-10-26T03:30:00+01:00"),
        (
            "Europe/Berlin",
            "2025-03-30T02:30:00",
            "2025-03-30T02:30:00+01:00",
        ),  # never happens: the clock was not put on
        ("Asia/Shanghai", "2025-10-26T02:30:00", "2025-10-26T02:30:00+08:00"),
    ],
)
def test_a_local_time_is_in_the_zone_of_the_site(zone: str, text: str, expected: str) -> None:
    words: dict[str, Any] = {
        "time": {"from": [{"path": "t", "format": "iso8601"}]},
        "properties": {"total": {"path": "a"}},
    }
    naive, aware = (
        read(messages({"a": 1, "t": each}), site_zone=zone, **words).measured_at for each in (text, expected)
    )
    assert naive == aware


def test_a_profile_may_name_its_zone() -> None:
    time = {"from": [{"path": "t", "format": "iso8601", "zone": "UTC"}]}
    reading = read(b'{"a":1,"t":"2025-10-22T05:43:48"}', time=time, properties={"total": {"path": "a"}})
    assert reading.measured_at == 1_761_111_828_000_000_000


@pytest.mark.parametrize(
    ("zone", "text", "expected"),
    [
        ("Asia/Shanghai", "2021-08-10 10:28:32 CST", "2021-08-10T10:28:32+08:00"),
        ("America/Chicago", "2021-12-10 10:28:32 CST", "2021-12-10T10:28:32-06:00"),
        ("America/Sao_Paulo", "2021-08-10 10:28:32 -03", "2021-08-10T10:28:32-03:00"),
        ("Asia/Shanghai", "2021-08-10 10:28:32 UTC", "2021-08-10T10:28:32+00:00"),
        ("Asia/Shanghai", "2021-08-10 10:28:32 GMT", "2021-08-10T10:28:32+00:00"),
        ("Asia/Shanghai", "2021-08-10 10:28:32 PDT", None),
        ("Asia/Shanghai", "1970-01-01 00:00:00 UTC", None),
        ("Asia/Shanghai", "", None),
    ],
)
def test_the_name_of_a_zone_means_the_site_or_utc_or_nothing(zone: str, text: str, expected: str | None) -> None:
    words: dict[str, Any] = {
        "time": {"from": [{"path": "t", "format": "%Y-%m-%d %H:%M:%S %Z"}]},
        "properties": {"total": {"path": "a"}},
    }
    found = read(messages({"a": 1, "t": text}), site_zone=zone, **words)
    moment = None if expected is None else round(datetime.fromisoformat(expected).timestamp()) * 1_000_000_000
    assert (found.values, found.measured_at) == ({"total": 1}, moment)


@pytest.mark.parametrize("raw", ["2021-08-10 10:28:32", "yesterday CST", 5])
def test_a_time_without_the_zone_that_it_promises_is_refused(raw: object) -> None:
    time = {"from": [{"path": "t", "format": "%Y-%m-%d %H:%M:%S %Z"}]}
    assert refusal(messages({"a": 1, "t": raw}), time=time, properties={"total": {"path": "a"}}).code == "bad_time"


def test_the_name_of_a_zone_stands_at_the_end_of_a_format() -> None:
    with pytest.raises(ConfigError, match="bad_format"):
        read(b"{}", time={"from": [{"path": "t", "format": "%Z %H:%M:%S"}]}, properties={"total": {"path": "a"}})


@pytest.mark.parametrize("raw", [0, -1, 946_684_800_000, 1_761_111_828, 1_761_111_828_000_000_000, 10**400])
def test_a_clock_that_is_not_set_does_not_cost_the_message(raw: int) -> None:
    time = {"from": [{"path": "t", "format": "unix_ms"}]}
    handler = compile_profile(profile(time=time, properties={"total": {"path": "a"}}), SENSOR, {}, "UTC")
    assert isinstance(handler, ProfileHandler)
    (reading,) = handler(messages({"a": 1, "t": raw}))
    assert (reading.values, reading.measured_at, handler.clocks_unset) == ({"total": 1}, None, 1)


def test_the_second_source_of_time_counts_when_the_first_is_absent_or_not_set() -> None:
    time = {"from": [{"path": "t", "format": "unix"}, {"path": "u", "format": "unix"}]}
    words: dict[str, Any] = {"time": time, "properties": {"total": {"path": "a"}}}
    for payload in (b'{"a":1,"u":1761111828}', b'{"a":1,"t":0,"u":1761111828}'):
        assert read(payload, **words).measured_at == 1_761_111_828_000_000_000


def test_a_time_of_bytes_is_read() -> None:
    words: dict[str, Any] = {"payload": {"format": "bytes"}, "properties": {"total": {"at": 4}}}
    time = {"from": [{"at": 0, "as": "u32le", "format": "unix"}]}
    assert read(bytes.fromhex("2eedd66401"), time=time, **words).measured_at == 1_691_807_022_000_000_000


def test_a_profile_of_another_kind_is_refused() -> None:
    with pytest.raises(ConfigError, match="wrong_kind"):
        compile_profile(profile(kind="lamp", properties={"lit": {"path": "a"}}), SENSOR, {}, "UTC")
