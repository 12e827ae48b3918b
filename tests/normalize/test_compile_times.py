"""The time of a message: forms, zones, clocks that are not set, and what is refused."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from msgspec.json import encode

from hub.errors import ConfigError
from hub.normalize.compile import compile_profile
from hub.normalize.handler import ProfileHandler
from tests.normalize.profiles import SENSOR, profile, read, refusal


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
    assert read(encode({"a": 1, "t": raw}), **words).measured_at == expected


DATED: dict[str, Any] = {
    "time": {"from": [{"path": "t", "format": "iso8601"}]},
    "properties": {"total": {"path": "a"}},
}


@pytest.mark.parametrize("raw", ["yesterday", "2025-10-22", "2025-13-01T00:00:00", 5, [1], True])
def test_a_time_that_is_not_written_as_promised_is_refused(raw: object) -> None:
    assert refusal(encode({"a": 1, "t": raw}), **DATED).code == "bad_time"


@pytest.mark.parametrize("raw", ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "2000-01-01T00:00:12", ""])
def test_a_time_of_another_age_does_not_cost_the_message(raw: str) -> None:
    reading = read(encode({"a": 1, "t": raw}), **DATED)
    assert (reading.values, reading.measured_at) == ({"total": 1}, None)


@pytest.mark.parametrize(
    ("form", "raw"),
    [
        ("iso8601", "0000-00-00T00:00:00"),
        ("iso8601", "0000-00-00 00:00:00.000+08:00"),
        ("%Y-%m-%d %H:%M:%S", "0000-00-00 00:00:00"),
        ("%d/%m/%Y %H:%M:%S", "00/00/0000 00:00:00"),
        ("%Y%m%d%H%M%S", "00000000000000"),
        ("%Y-%m-%d %H:%M:%S %Z", "0000-00-00 00:00:00 CST"),
        ("unix", ""),
        ("unix_ms", ""),
    ],
)
def test_zeros_and_nothing_are_a_clock_that_nobody_has_set(form: str, raw: str) -> None:
    """As in bytes: it must not cost the message."""
    words: dict[str, Any] = {"time": {"from": [{"path": "t", "format": form}]}, "properties": {"total": {"path": "a"}}}
    reading = read(encode({"a": 1, "t": raw}), **words)
    assert (reading.values, reading.measured_at) == ({"total": 1}, None)


@pytest.mark.parametrize(
    ("zone", "text", "expected"),
    [
        ("Europe/Berlin", "2025-10-26T02:30:00", "2025-10-26T02:30:00+01:00"),  # happens twice: the second
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
    naive, aware = (read(encode({"a": 1, "t": each}), site_zone=zone, **words).measured_at for each in (text, expected))
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
    found = read(encode({"a": 1, "t": text}), site_zone=zone, **words)
    moment = None if expected is None else round(datetime.fromisoformat(expected).timestamp()) * 1_000_000_000
    assert (found.values, found.measured_at) == ({"total": 1}, moment)


@pytest.mark.parametrize("raw", ["2021-08-10 10:28:32", "yesterday CST", 5])
def test_a_time_without_the_zone_that_it_promises_is_refused(raw: object) -> None:
    time = {"from": [{"path": "t", "format": "%Y-%m-%d %H:%M:%S %Z"}]}
    assert refusal(encode({"a": 1, "t": raw}), time=time, properties={"total": {"path": "a"}}).code == "bad_time"


def test_the_name_of_a_zone_stands_at_the_end_of_a_format() -> None:
    with pytest.raises(ConfigError, match="bad_format"):
        read(b"{}", time={"from": [{"path": "t", "format": "%Z %H:%M:%S"}]}, properties={"total": {"path": "a"}})


@pytest.mark.parametrize("raw", [0, -1, 946_684_800_000, 1_761_111_828, 1_761_111_828_000_000_000, 10**400])
def test_a_clock_that_is_not_set_does_not_cost_the_message(raw: int) -> None:
    time = {"from": [{"path": "t", "format": "unix_ms"}]}
    handler = compile_profile(profile(time=time, properties={"total": {"path": "a"}}), SENSOR, {}, "UTC")
    assert isinstance(handler, ProfileHandler)
    (reading,) = handler(encode({"a": 1, "t": raw}))
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
