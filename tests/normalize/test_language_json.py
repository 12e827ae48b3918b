"""The language is enough for JSON: requests and replies, arrays, lists of faults, bitmaps."""

from __future__ import annotations

import pytest

from hub.model.heard import Signal
from tests.normalize.devices import handler, poison, reading, readings

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


def test_a_sum_that_no_number_is_large_enough_for_is_poison() -> None:
    words = {"payload": {"format": "json"}, "properties": {"people": {"path": "n.*", "take": "sum", "unit": "1"}}}
    assert poison("ai_camera", b'{"n":[1%s,1.5]}' % (b"0" * 400), **words) == "bad_value"


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


@pytest.mark.parametrize("beside", ["null", "[1]", "{}"])
def test_what_is_no_fault_costs_no_other_and_as_it_may_be_any_none_is_said_to_be_over(beside: str) -> None:
    made = handler("elevator", **FAULTS)
    (found,) = made(b'{"data":{"fault":[%s,2]}}' % beside.encode())
    assert (found.values, found.critical, made.partials) == ({"entrapment_level": True}, True, 1)


def test_a_bitmap_is_a_number_or_its_text() -> None:
    bits = {0: "overrun_top", 8: "entrapment_level"}
    words = {"payload": {"format": "json"}, "flags": [{"bitmap": {"path": "alarm", "values": bits}}]}
    for payload in (b'{"alarm":256}', b'{"alarm":"256"}'):
        assert reading("elevator", payload, **words).values == {"overrun_top": False, "entrapment_level": True}
    assert poison("elevator", b'{"alarm":-1}', **words) == "bad_value"
    assert poison("elevator", b'{"alarm":"0x1"}', **words) == "bad_value"
