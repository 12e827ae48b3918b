"""Batches: a day of hourly readings in one message, packed in a block of it or as bare numbers."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from hub.authoring.marks import Use
from hub.authoring.trace import Sent, trace
from hub.errors import ConfigError
from hub.normalize.compile import compile_profile
from tests.normalize.profiles import SENSOR, profile

BLOCK = {"path": "内容.数据", "as": "base64", "records": {"from": 1, "size": 3, "count": 0}}
FORM = "%Y-%m-%d %H:%M:%S"
METER: dict[str, Any] = {
    "payload": {"format": "json", "inside": {"D": BLOCK}},
    "time": {"from": [{"path": "内容.起始时间", "format": FORM, "zone": "site"}], "every": "1h"},
    "properties": {
        "total": {"in": "D", "at": 0, "as": "u16le"},
        "count": {"in": "D", "at": 2, "absent": [255]},
        "text": {"path": "状态", "only": {"#last": True}},
    },
}
ARRAY: dict[str, Any] = {
    "payload": {"format": "json", "each": "读数"},
    "time": {"from": [{"path": "$.截止", "format": FORM}], "every": "30m", "tells": "last"},
    "properties": {"total": {"path": "@"}},
}


def upload(*records: tuple[int, int], data: str = "") -> bytes:
    packed = bytes([len(records)]) + b"".join(struct.pack("<HB", *each) for each in records)
    content = {"起始时间": "2026-11-28 23:00:00", "数据": data or base64.b64encode(packed).decode()}
    return json.dumps({"内容": content, "状态": "ok"}, ensure_ascii=False).encode()


def heard(payload: bytes, words: dict[str, Any]) -> Sequence[tuple[str, dict[str, Any]]]:
    """Return the moment (UTC) and the values of each reading."""
    readings = compile_profile(profile(**words), SENSOR, {}, "Asia/Shanghai")(payload)
    return [(moment(each.measured_at), dict(each.values)) for each in readings]


def moment(time: int | None) -> str:
    return "" if time is None else datetime.fromtimestamp(time / 1e9, UTC).strftime("%d %H:%M")


def test_each_record_of_a_block_has_its_hour_and_what_is_said_once_is_of_the_last_alone() -> None:
    assert heard(upload((65535, 1), (0, 255), (7, 3)), METER) == [
        ("28 15:00", {"total": 65535, "count": 1}),
        ("28 16:00", {"total": 0}),
        ("28 17:00", {"total": 7, "count": 3, "text": "ok"}),
    ]


def test_where_the_message_tells_the_moment_of_the_last_the_others_lie_before_it() -> None:
    payload = json.dumps({"截止": "2026-11-29 00:00:00", "读数": [5, 6, 9]}).encode()
    assert heard(payload, ARRAY) == [("28 15:00", {"total": 5}), ("28 15:30", {"total": 6}), ("28 16:00", {"total": 9})]


@pytest.mark.parametrize(
    "data", ["AQ", base64.b64encode(b"\x02\x01\x00\x05").decode(), base64.b64encode(b"\0").decode()]
)
def test_a_block_whose_records_cannot_be_read_costs_itself_alone_and_is_counted(data: str) -> None:
    handler = compile_profile(profile(**METER), SENSOR, {}, "Asia/Shanghai")
    (reading,) = handler(upload(data=data))
    assert (reading.values, getattr(handler, "partials", 0)) == ({"text": "ok"}, 1)


def test_a_message_without_the_block_is_one_reading() -> None:
    assert heard('{"状态": "ok"}'.encode(), METER) == [("", {"text": "ok"})]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"payload": {"format": "json", "each": "a", "inside": {"D": BLOCK}}}, "records lie in one place"),
        ({"payload": {"format": "json", "inside": {"D": BLOCK, "E": BLOCK}}}, "records lie in one place"),
        ({"payload": {"format": "json"}}, "every is the distance of records"),
    ],
)
def test_what_cannot_be_meant_is_refused(words: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        profile(**METER | words)


def test_an_element_that_is_a_number_is_no_object() -> None:
    words = ARRAY | {"properties": {"total": {"path": "@"}, "count": {"path": "n"}}}
    with pytest.raises(ConfigError, match="is no object"):
        compile_profile(profile(**words), SENSOR, {}, "UTC")


def test_a_record_of_a_block_is_shown_with_its_bytes_and_its_own_hour() -> None:
    seen = trace(profile(**METER), SENSOR, Sent(payload=upload((4, 1), (5, 2)), zone="Asia/Shanghai"))
    totals = [(mark.extent.section, mark.extent.bytes, mark.value) for mark in seen.marks if mark.name == "total"]
    assert totals == [("D", (1, 3), 4), ("D", (4, 6), 5)]
    times = [mark.value for mark in seen.marks if mark.use is Use.TIME]
    assert times == ["2026-11-28T15:00:00+00:00", "2026-11-28T16:00:00+00:00"]


@pytest.mark.parametrize("told", ["", "1970-01-01 00:00:00"])
def test_of_a_batch_that_does_not_say_when_it_began_only_the_last_record_is_of_now(told: str) -> None:
    payload = json.loads(upload((4, 1), (5, 2), (6, 3)))
    payload["内容"]["起始时间"] = told or None
    readings = compile_profile(profile(**METER), SENSOR, {}, "Asia/Shanghai")(json.dumps(payload).encode())
    assert [reading.backfill for reading in readings] == [True, True, False]


def test_of_such_a_batch_what_no_later_record_says_again_is_of_now() -> None:
    payload = json.loads(upload((4, 1), (5, 2), (6, 255)))
    del payload["内容"]["起始时间"]
    readings = compile_profile(profile(**METER), SENSOR, {}, "Asia/Shanghai")(json.dumps(payload).encode())
    assert [(dict(reading.values), reading.backfill) for reading in readings] == [
        ({"total": 4, "count": 1}, True),
        ({"total": 5, "count": 2}, False),
        ({"total": 6, "text": "ok"}, False),
    ]


def test_an_alarm_of_an_hour_that_nobody_knows_is_told() -> None:
    words = {**METER, "properties": {"mode": {"in": "D", "at": 2, "values": {1: "on", 2: "fire"}}}}
    payload = json.loads(upload((4, 1), (5, 2), (6, 1)))
    del payload["内容"]["起始时间"]
    readings = compile_profile(profile(**words), SENSOR, {}, "Asia/Shanghai")(json.dumps(payload).encode())
    assert [(reading.values["mode"], reading.backfill) for reading in readings] == [
        ("on", True),
        ("fire", False),
        ("on", False),
    ]


def test_a_record_too_far_from_the_one_that_is_told_has_no_moment_of_its_own() -> None:
    words = {**METER, "time": METER["time"] | {"every": "36500d"}}
    assert [at for at, _ in heard(upload((4, 1), (5, 2), (6, 3)), words)] == ["28 15:00", "04 15:00", ""]
