"""An alarm does not die of another field, and nothing else is let through."""

from __future__ import annotations

import msgspec
import pytest

from hub.errors import PoisonError
from hub.model.heard import Signal
from hub.normalize.native import NativeHandler, compile_native
from tests.normalize.devices import CATALOGUE, handler, poison, readings

DOOR = {
    "payload": {"format": "json"},
    "time": {"from": [{"path": "at", "format": "iso8601"}]},
    "part": {"path": "door", "name": "door-{}"},
    "properties": {"door": {"path": "state"}, "tamper": {"path": "tamper"}},
    "flags": [{"list": {"path": "faults", "values": {"1": "held_open"}}}],
    "signals": {
        "door.forced": {"only": {"code": 27}},
        "access.denied": {"only": {"code": 3}, "data": {"card": {"path": "card", "as": "string"}}},
        "access.duress": {
            "only": {"code": 10},
            "data": {"card": {"path": "card", "as": "string"}, "person": {"path": "who", "as": "string"}},
        },
    },
}  # fmt: skip


def message(**words: object) -> bytes:
    return msgspec.json.encode({"at": "2025-10-22T13:43:48Z", "door": 1, **words})


def test_a_forced_door_is_told_though_its_state_is_a_word_that_nobody_knows() -> None:
    made = handler("access_controller", **DOOR)
    (found,) = made(message(code=27, state="ajar", tamper=False))
    assert (found.signals, found.values, found.part, found.critical) == (
        [Signal("door.forced", {})],
        {"tamper": False},
        "door-1",
        True,
    )
    assert made.partials == 1


def test_a_bad_time_or_bad_flags_do_not_cost_the_alarm() -> None:
    made = handler("access_controller", **DOOR)
    (found,) = made(message(tamper=True, at="yesterday", faults=[[]]))
    assert (found.values, found.measured_at, found.critical, made.partials) == ({"tamper": True}, None, True, 1)


def test_bad_data_of_a_signal_are_left_out_of_it() -> None:
    (found,) = readings("access_controller", message(code=10, card=["x"], who="007"), **DOOR)
    assert found.signals == [Signal("access.duress", {"person": "007"})]


def test_without_an_alarm_poison_stays_poison() -> None:
    assert poison("access_controller", message(code=3, card=["x"]), **DOOR) == "bad_value"
    assert poison("access_controller", message(tamper=False, state="ajar"), **DOOR) == "bad_value"


def test_an_alarm_of_an_unreadable_door_is_poison() -> None:
    assert poison("access_controller", message(code=27, door=["x"], state="ajar"), **DOOR) == "bad_part"


def test_an_identity_that_is_none_does_not_cost_the_alarm() -> None:
    """What stands between is seldom as exact as the vendor: 19 digits of a number become 1.28e18 in PHP and in Lua."""
    made = handler("access_controller", **DOOR, identity="event")
    (found,) = made(message(code=27, event=1.2803903753952e18))
    assert (found.signals, found.identity, made.partials) == ([Signal("door.forced", {})], None, 1)
    assert poison("access_controller", message(code=3, event=1.5), **DOOR, identity="event") == "bad_value"


RECORDS = {
    "payload": {"format": "bytes", "records": {"size": 2}},
    "part": {"at": 0, "name": "{}"},
    "properties": {"fire": {"at": 1, "values": {0: False, 1: True}}},
}


def test_a_record_that_is_poison_does_not_hide_the_fire_in_another() -> None:
    made = handler("fire_panel", **RECORDS)
    assert [(each.part, each.values) for each in made(b"\x01\x07\x02\x01\x03\x00")] == [
        ("2", {"fire": True}),
        ("3", {"fire": False}),
    ]
    assert made.partials == 1


def test_a_record_that_is_poison_is_the_whole_message_when_nothing_burns() -> None:
    assert poison("fire_panel", b"\x01\x07\x02\x00", **RECORDS) == "bad_value"


SMOKE = {
    "payload": {"format": "json"},
    "properties": {"alarm": {"path": "smoke"}, "temperature": {"path": "air.temperature"}},
}


@pytest.mark.parametrize(
    "payload",
    [
        b'{"smoke":true,"air":[]}',
        b'{"smoke":true,"air":"none"}',
        b'{"smoke":true,"air":{"temperature":NaN}}',
        b'{"smoke":true,"air":{"temperature":1e999}}',
        b'{"smoke":true,"rssi":-Infinity}',
        b'\xef\xbb\xbf{"smoke":true}',
        b'{"smoke":true}\0\0',
    ],
)
def test_how_something_beside_it_is_written_does_not_cost_the_alarm(payload: bytes) -> None:
    made = handler("smoke_sensor", **SMOKE)
    (found,) = made(payload)
    assert (found.values, found.critical, made.partials) == ({"alarm": True}, True, 1)


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b'{"smoke":NaN}', "bad_json"),
        (b'{"smoke":false,"air":{"temperature":NaN}}', "bad_json"),
        (b'{"smoke":false,"air":[]}', "bad_value"),
        (b'\xef\xbb\xbf{"smoke":false}', "bad_json"),
        (b'[{"smoke":true}]', "bad_value"),
        (b'{"smoke":true', "bad_json"),
    ],
)
def test_what_is_written_otherwise_is_read_for_an_alarm_alone(payload: bytes, code: str) -> None:
    assert poison("smoke_sensor", payload, **SMOKE) == code


def test_a_block_that_is_written_otherwise_costs_itself_and_no_alarm() -> None:
    inside = {"format": "json", "inside": {"air": {"format": "json"}}}
    made = handler(
        "smoke_sensor",
        payload=inside,
        properties={"alarm": {"path": "smoke"}, "temperature": {"in": "air", "path": "t"}},
    )
    for smoke in (True, False):
        (found,) = made(msgspec.json.encode({"smoke": smoke, "air": '{"t":NaN}'}))
        assert found.values == {"alarm": smoke}
    assert made.partials == 2


PORTS = {
    "payload": {"format": "json", "each": "result"},
    "part": {"path": "port", "name": "port-{}"},
    "properties": {"time_charged": {"path": "seconds", "unit": "s"}, "overheated": {"path": "hot"}},
}


@pytest.mark.parametrize("beside", ["null", "7", "[]"])
def test_an_element_that_is_no_object_does_not_cost_the_alarm_of_another(beside: str) -> None:
    made = handler("charging_port", **PORTS)
    (found,) = made(b'{"result":[%s,{"port":1,"hot":true,"seconds":NaN}]}' % beside.encode())
    assert (found.values, found.part, made.partials) == ({"overheated": True}, "port-1", 1)
    assert poison("charging_port", b'{"result":7}', **PORTS) == "bad_value"


WHO = {"data": {"person": {"path": "who", "as": "string"}}}
NAMED = {
    "identity": ["who", "code"],
    "signals": {"access.duress": {"only": {"code": 10}, **WHO}, "access.granted": {"only": {"code": 1}, **WHO}},
}


@pytest.mark.parametrize(
    ("payload", "written"),
    [
        ({"format": "json"}, '{"code":%d,"who":"张三"}'),
        ({"format": "text", "between": ";"}, "code=%d;who=张三"),
        ({"format": "text", "between": ";", "lines": "\n"}, "code=%d;who=张三\n"),
        ({"format": "form"}, "code=%d&who=张三"),
    ],
)
def test_a_name_in_another_charset_does_not_cost_the_alarm(payload: dict[str, object], written: str) -> None:
    made = handler("access_controller", payload=payload, **NAMED)
    (found,) = made((written % 10).encode("gbk"))
    (signal,) = found.signals
    assert (signal.name, set(str(signal.data["person"])), made.partials) == ("access.duress", {"\ufffd"}, 1)
    assert (found.critical, found.identity) == (True, None)  # another name may look the same
    assert poison("access_controller", (written % 1).encode("gbk"), payload=payload, **NAMED) in {
        "bad_json",
        "bad_text",
    }


@pytest.fixture
def native() -> NativeHandler:
    return compile_native(CATALOGUE.kind("smoke_sensor"))


@pytest.mark.parametrize(
    "beside",
    [
        '"temperature":"n/a"',
        '"temperature":NaN',
        '"temperature":[21]',
        '"battery":null,"status":"burning"',
        '"unheard_of":{}',
    ],
)
def test_a_native_alarm_does_not_die_of_another_value(native: NativeHandler, beside: str) -> None:
    (found,) = native(b'{"t":1764000000000,"seq":7,"values":{"alarm":true,%s}}' % beside.encode())
    assert (found.values, found.measured_at, found.seq) == ({"alarm": True}, 1_764_000_000_000_000_000, 7)
    assert (found.critical, native.partials) == (True, 1)
    with pytest.raises(PoisonError, match=r"bad_value|bad_json"):
        native(b'{"values":{"alarm":false,%s}}' % beside.encode())


@pytest.mark.parametrize("beside", ['"t":"now"', '"t":1764000000000.5', '"seq":-1', '"boot":7', '"signals":{}'])
def test_a_native_alarm_does_not_die_of_its_clock_nor_of_its_counters(native: NativeHandler, beside: str) -> None:
    (found,) = native(b'{"values":{"alarm":true},%s}' % beside.encode())
    assert (found.values, found.measured_at, found.seq, found.boot) == ({"alarm": True}, None, None, None)


def test_a_native_alarm_of_an_unreadable_part_is_poison(native: NativeHandler) -> None:
    for part in ('"a b"', "7"):
        with pytest.raises(PoisonError):
            native(b'{"part":%s,"values":{"alarm":true,"temperature":"n/a"}}' % part.encode())


def test_native_data_that_are_bad_are_left_out_of_their_signal() -> None:
    (found,) = compile_native(CATALOGUE.kind("access_controller"))(
        b'{"values":[],"signals":[7,{"name":"access.duress","card":["x"],"person":"007"},{"name":[]}]}'
    )
    assert (found.signals, found.critical) == ([Signal("access.duress", {"person": "007"})], True)


def test_a_native_message_that_is_poison_does_not_hide_the_fire_in_another(native: NativeHandler) -> None:
    quiet, burning, poor = (
        '{"t":null,"values":{"alarm":false}}',
        '{"values":{"alarm":true}}',
        '{"values":{"battery":"x"}}',
    )
    found = native(f"[{quiet},{poor},{burning},[]]".encode())
    assert [each.values for each in found] == [{"alarm": False}, {"alarm": True}]
    with pytest.raises(PoisonError, match="bad_value"):
        native(f"[{quiet},{poor}]".encode())
