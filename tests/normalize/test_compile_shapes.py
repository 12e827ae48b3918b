"""Shapes, signals, parts and identities of a profile at work, and what no shape knows."""

from __future__ import annotations

import tracemalloc
from typing import Any

import msgspec
import pytest

from hub.errors import PoisonError
from hub.model.heard import Signal
from tests.normalize.devices import handler
from tests.normalize.profiles import read, refusal

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


@pytest.mark.parametrize("number", [True, 1.0])
def test_what_a_part_may_not_be_is_refused_too_where_its_like_is_known(number: object) -> None:
    """1 == 1.0 == True: what is refused by a hub that has just started must not be door-1 for one that runs."""
    made = handler(
        "access_controller",
        payload={"format": "json"},
        part={"path": "door", "name": "door-{}"},
        properties={"door": {"path": "is"}},
    )
    assert made(messages({"door": 1, "is": "open"}))[0].part == "door-1"
    with pytest.raises(PoisonError, match="bad_part"):
        made(messages({"door": number, "is": "open"}))


def test_words_that_a_device_invents_fill_no_memory() -> None:
    made = handler(
        "access_controller", payload={"format": "json"}, messages=[{"match": {"type": "beat"}, "ends": "heartbeat"}]
    )
    tracemalloc.start()
    try:
        for number in range(100):
            with pytest.raises(PoisonError, match="unmatched"):
                made(messages({"type": f"{number:0100000}"}))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 1_000_000


def test_parts_that_one_message_repeats_for_have_identities_of_their_own() -> None:
    """What has an identity is judged once: with that of the message alone, door-2 would never be."""
    doors = {"repeat": {"name": "door-{}", "times": 3}, "properties": {"door": {"path": "doors.{}"}}, "identity": "id"}
    made = handler("access_controller", payload={"format": "json"}, **doors)
    found = made(messages({"id": 7, "doors": ["open", "closed", "open"]}))
    assert [(each.part, each.identity) for each in found] == [("door-1", "7"), ("door-2", "7#1"), ("door-3", "7#2")]
    assert [each.identity for each in made(messages({"doors": ["open"]}))] == [None]


@pytest.mark.parametrize(
    ("payload", "identity", "identities"),
    [
        ({"format": "json", "each": "doors"}, "$.id", ["7", "7#1"]),
        ({"format": "json", "each": "doors"}, ["$.id", "no"], ["7/1", "7/2"]),
        ({"format": "json", "inside": {"in": {"path": "text", "format": "json", "each": "doors"}}}, "id", ["7", "7#1"]),
        (
            {"format": "json", "inside": {"in": {"path": "text", "format": "json", "each": "doors"}}},
            "in>no",
            ["1", "2"],
        ),
    ],
)
def test_records_of_one_message_have_identities_of_their_own(
    payload: dict[str, object], identity: object, identities: list[str]
) -> None:
    place = {"in": "in"} if "inside" in payload else {}
    words: dict[str, Any] = {"payload": payload, "identity": identity, "properties": {"door": {"path": "is", **place}}}
    doors = {"doors": [{"no": 1, "is": "open"}, {"no": 2, "is": "closed"}]}
    made = handler("access_controller", **words)
    found = made(messages({"id": 7, "text": msgspec.json.encode(doors).decode(), **doors}))
    assert [each.identity for each in found] == identities


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
