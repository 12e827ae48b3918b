"""The native payload: typed against the kind, nothing lost that is known, nothing invented."""

from __future__ import annotations

import msgspec
import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hub.catalogue import Kind
from hub.errors import PoisonError
from hub.model.heard import Reading, Signal
from hub.normalize.compile import compile_profile
from hub.normalize.native import SHAPES_MAX, NativeHandler, compile_native
from tests.normalize.profiles import SENSOR, profile


@pytest.fixture
def native() -> NativeHandler:
    return compile_native(SENSOR)


def refusal(native: NativeHandler, payload: bytes) -> str:
    with pytest.raises(PoisonError) as caught:
        native(payload)
    return caught.value.code


def test_a_message_is_typed_as_the_kind_says(native: NativeHandler) -> None:
    payload = (
        b'{"t":1763800000123,"seq":41,"boot":"7f3a","part":"door-1",'
        b'"values":{"temperature":21,"count":7.0,"lit":true,"text":"\xe9\x97\xa8","mode":"on"},'
        b'"signals":[{"name":"access.denied","reason":"card","tries":2}]}'
    )
    assert native(payload) == (
        Reading(
            values={"temperature": 21.0, "count": 7, "lit": True, "text": "门", "mode": "on"},
            signals=[Signal("access.denied", {"reason": "card", "tries": 2})],
            part="door-1",
            measured_at=1_763_800_000_123_000_000,
            seq=41,
            boot="7f3a",
            bad=(),
        ),
    )
    (reading,) = native(payload)
    assert [type(value) for value in reading.values.values()] == [float, int, bool, str, str]


def test_an_array_is_a_reading_each(native: NativeHandler) -> None:
    readings = native(b'[{"seq":1,"values":{"count":1}},{"seq":2,"values":{"count":2},"part":"b"}]')
    assert [(reading.seq, reading.part, reading.values) for reading in readings] == [
        (1, None, {"count": 1}),
        (2, "b", {"count": 2}),
    ]


def test_a_range_sets_quality_and_never_drops(native: NativeHandler) -> None:
    (reading,) = native(b'{"values":{"temperature":85.5,"count":101}}')
    assert (reading.values, reading.bad) == ({"temperature": 85.5, "count": 101}, ("temperature", "count"))


def test_an_unknown_name_is_counted_and_costs_nothing_that_is_known(native: NativeHandler) -> None:
    payload = b'{"values":{"count":1,"wind":3},"signals":[{"name":"blown"},{"name":"granted","by":"me"}],"rssi":-90}'
    (reading,) = native(payload)
    assert (reading.values, reading.signals) == ({"count": 1}, [Signal("access.granted", {})])
    assert native.unknown_names == 3


@pytest.mark.parametrize(
    "payload", [b'{"values":{"wind":3}}', b'{"signals":[{"name":"blown"}]}', b'{"vals":{"count":1}}', b"{}", b'{"t":1}']
)
def test_a_message_of_which_nothing_is_known_is_a_dead_letter(native: NativeHandler, payload: bytes) -> None:
    assert refusal(native, payload) == "unmatched"


def test_a_heartbeat_has_empty_values(native: NativeHandler) -> None:
    for payload in (b'{"values":{}}', b'{"signals":[]}', b'{"values":{"count":null}}'):
        (reading,) = native(payload)
        assert (reading.values, list(reading.signals)) == ({}, [])


def test_null_is_no_value(native: NativeHandler) -> None:
    (reading,) = native(b'{"values":{"temperature":null,"count":1},"signals":[{"name":"denied","reason":null}]}')
    assert (reading.values, reading.signals) == ({"count": 1}, [Signal("access.denied", {})])
    assert native.unknown_names == 0


def test_a_signal_may_be_called_by_its_last_word_when_that_is_unique(native: NativeHandler) -> None:
    (reading,) = native(b'{"signals":[{"name":"denied"},{"name":"door.forced"}]}')
    assert [signal.name for signal in reading.signals] == ["access.denied", "door.forced"]
    assert refusal(native, b'{"signals":[{"name":"forced"}]}') == "unmatched"


def test_what_a_device_declares_an_alarm_is_critical(native: NativeHandler) -> None:
    for payload in (b'{"values":{"mode":"fire"}}', b'{"signals":[{"name":"door.forced"}]}'):
        assert native(payload)[0].critical
    for payload in (b'{"values":{"mode":"on"}}', b'{"signals":[{"name":"denied"}]}'):
        assert not native(payload)[0].critical


@pytest.mark.parametrize("t", [0, -1, 1_763_800_000, 1_763_800_000_123_000_000, 2**63 - 1])
def test_a_clock_that_is_not_set_does_not_cost_the_message(native: NativeHandler, t: int) -> None:
    (reading,) = native(b'{"t":%d,"values":{"count":1}}' % t)
    assert (reading.measured_at, reading.values, native.clocks_unset) == (None, {"count": 1}, 1)


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b'{"values":{"temperature":"21"}}', "bad_value"),
        (b'{"values":{"temperature":true}}', "bad_value"),
        (b'{"values":{"temperature":[1]}}', "bad_value"),
        (b'{"values":{"count":1.5}}', "bad_value"),
        (b'{"values":{"count":true}}', "bad_value"),
        (b'{"values":{"count":9223372036854775808}}', "bad_value"),
        (b'{"values":{"total":9223372036854775808}}', "bad_value"),
        (b'{"values":{"temperature":1%s}}' % (b"0" * 400), "bad_value"),
        (b'{"values":{"lit":1}}', "bad_value"),
        (b'{"values":{"mode":"ON"}}', "bad_value"),
        (b'{"values":{"mode":3}}', "bad_value"),
        (rb'{"values":{"text":"a\u0000"}}', "bad_value"),
        (b'{"signals":[{"name":"denied","reason":"mood"}]}', "bad_value"),
        (b'{"signals":[{"name":["denied"]}]}', "bad_value"),
        (b'{"values":[1]}', "bad_value"),
        (b'{"t":"now","values":{}}', "bad_value"),
        (b'{"t":1.5,"values":{}}', "bad_value"),
        (b'{"seq":-1,"values":{}}', "bad_value"),
        (b'{"seq":9223372036854775808,"values":{}}', "bad_value"),
        (rb'{"boot":"\n","values":{}}', "bad_value"),
        (b'{"part":"a b","values":{}}', "bad_part"),
        (b'{"part":"","values":{}}', "bad_part"),
        (rb'{"part":"a\n","values":{}}', "bad_part"),
        (b"[]", "too_many_elements"),
        (b"[%s]" % b",".join([b'{"values":{}}'] * 1_001), "too_many_elements"),
        (b'{"values":{%s}}' % b",".join(b'"a%d":1' % n for n in range(257)), "too_many_keys"),
        (b'{"signals":[{"name":"denied",%s}]}' % b",".join(b'"a%d":1' % n for n in range(257)), "too_many_keys"),
    ],
)
def test_what_cannot_be_meant_is_a_dead_letter(native: NativeHandler, payload: bytes, code: str) -> None:
    assert refusal(native, payload) == code


FLOATS = Kind.model_validate(
    {
        "kind": "thermometer",
        "label": {"en": "Thermometer"},
        "properties": {
            "temperature": {"type": "float", "unit": "Cel", "range": [-40, 85]},
            "lit": {"type": "bool"},
            "mode": {"type": "enum", "values": ["on"]},
        },
    }
)


def test_a_kind_without_whole_numbers_reads_the_same() -> None:
    (reading,) = compile_native(FLOATS)(
        b'{"t":1763800000123,"seq":7,"values":{"temperature":90,"lit":true,"mode":"on"}}'
    )
    assert (reading.values, reading.bad) == ({"temperature": 90.0, "lit": True, "mode": "on"}, ("temperature",))
    assert (type(reading.values["temperature"]), reading.seq) == (float, 7)


@pytest.mark.parametrize("raw", [b'"21"', b"true", b"[1]", b"1" + b"0" * 400, b"1e400"])
def test_a_kind_without_whole_numbers_refuses_the_same(raw: bytes) -> None:
    assert refusal(compile_native(FLOATS), b'{"values":{"temperature":%s}}' % raw) == "bad_value"


def test_a_native_profile_means_what_its_kind_says() -> None:
    handler = compile_profile(profile(payload={"format": "native"}, time=None), SENSOR, {}, "UTC")
    assert handler(b'{"values":{"count":1}}') == compile_native(SENSOR)(b'{"values":{"count":1}}')


SCALARS = st.sampled_from([21.5, 21, 0, -3, 7.0, 85.5, 101, True, None, "on", "fire", "门", "", 2**63, [1]])
NAMES = st.sampled_from(["temperature", "count", "total", "lit", "mode", "text", "wind"])
MESSAGES = st.fixed_dictionaries(
    {"values": st.dictionaries(NAMES, SCALARS, max_size=4)},
    optional={
        "t": st.sampled_from([1_763_800_000_123, 1_763_800_000_123.0, 0, -1, 7_258_118_400_000, None, "1"]),
        "seq": st.sampled_from([0, 41, -1, 2**63, None]),
        "boot": st.sampled_from(["7f3a", "", None, "\x7f", "a" * 65]),
        "part": st.sampled_from([None, "door-1"]),
        "signals": st.sampled_from([None, [], [{"name": "denied"}]]),
        "rssi": st.just(-90),
    },
)


@settings(max_examples=300, deadline=None)
@example(message={"t": 1_763_800_000_123, "values": {"temperature": 21, "count": 7.0}}, names=("temperature", "count"))
@given(message=MESSAGES, names=st.lists(NAMES, unique=True, max_size=3).map(tuple))
def test_what_a_shape_reads_the_handler_reads_alike(message: dict[str, object], names: tuple[str, ...]) -> None:
    native = compile_native(SENSOR)
    shape = native.shape(tuple(message["values"]) if names == () else names)  # type: ignore[arg-type] # a dict
    if shape is None:
        return
    payload = orjson.dumps(message)
    try:
        said = shape(payload)
    except msgspec.DecodeError:
        return
    (reading,) = native(payload)
    values = msgspec.structs.asdict(said.values)
    assert [*values.items()] == [*reading.values.items()]
    assert [*map(type, values.values())] == [*map(type, reading.values.values())]
    plain = Reading(reading.values, measured_at=said.t * 1_000_000, seq=said.seq, boot=said.boot)
    assert (
        msgspec.structs.replace(reading, critical=False) == plain
    )  # critical lifts a backfill; what is live needs none


def test_a_shape_reads_what_a_device_says_all_the_time(native: NativeHandler) -> None:
    shape = native.shape(("temperature", "count"))
    assert shape is not None
    said = shape(b'{"t":1763800000123,"seq":41,"boot":"7f3a","values":{"count":7,"temperature":21}}')
    assert (said.t, said.seq, said.boot) == (1_763_800_000_123, 41, "7f3a")
    assert msgspec.structs.asdict(said.values) == {"temperature": 21.0, "count": 7}
    assert native.shape(("temperature", "count")) is shape


@pytest.mark.parametrize("names", [(), ("count", "temperature"), ("temperature", "text"), ("temperature", "wind")])
def test_there_is_no_shape_of_texts_nor_of_names_that_a_call_returns_otherwise(
    native: NativeHandler, names: tuple[str, ...]
) -> None:
    assert native.shape(names) is None


def test_a_device_that_invents_sets_of_names_fills_no_memory() -> None:
    names = [f"x{number}" for number in range(SHAPES_MAX + 1)]
    native = compile_native(
        Kind.model_validate(
            {"kind": "many", "label": {"en": "Many"}, "properties": {name: {"type": "bool"} for name in names}}
        )
    )
    shapes = [native.shape((name,)) for name in names]
    assert [shape is None for shape in shapes] == [False] * SHAPES_MAX + [True]
