"""Payloads that hurt other software: each is a PoisonError with a stable code, and so is any noise."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import PoisonError
from hub.model.heard import Handler, Reading
from hub.normalize.compile import compile_profile
from hub.normalize.examples import example_bytes
from hub.normalize.native import compile_native
from tests.normalize.profiles import SENSOR, profile
from tests.shipped import profiles as shipped_profiles

CATALOGUE, PROFILES = shipped_profiles()
JSON = compile_profile(
    profile(properties={"temperature": {"path": "values.temperature"}, "text": {"path": "values.text"}}),
    SENSOR,
    {},
    "UTC",
)
NATIVE = compile_native(SENSOR)
PROFILED: dict[str, Handler] = {
    name: compile_profile(found, CATALOGUE.kind(found.kind), {}, "UTC") for name, found in PROFILES.items()
}
HANDLERS = PROFILED | {f"native/{name}": compile_native(kind) for name, kind in CATALOGUE.kinds.items()}
TREES = {name: HANDLERS[name] for name in ("hikvision/access", "elevator_box/d_block", "native/access_controller")}
SEEDS = {name: [example_bytes(example) for example in found.examples] for name, found in PROFILES.items()}

VECTORS = {
    "empty": (b"", "bad_json"),
    "100,000 nested arrays": (b"[" * 100_000, "too_deep"),
    "990 nested arrays": (b"[" * 990 + b"]" * 990, "too_deep"),
    "990 nested arrays in a field": (b'{"values":{"temperature":1},"x":%s%s}' % (b"[" * 990, b"]" * 990), "too_deep"),
    "17 levels": (b'{"values":{"temperature":1},"x":%s%s}' % (b"[" * 16, b"]" * 16), "too_deep"),
    "17 objects": (b'{"values":{"temperature":1},"x":%s1%s}' % (b'{"a":' * 16, b"}" * 16), "too_deep"),
    "257 keys": (b'{"values":{%s}}' % b",".join(b'"a%d":1' % n for n in range(257)), "too_many_keys"),
    "a number of 5,000 digits": (b'{"values":{"temperature":%s}}' % (b"9" * 5_000), "bad_value"),
    "1e400": (b'{"values":{"temperature":1e400}}', "bad_value"),
    "NaN": (b'{"values":{"temperature":NaN}}', "bad_json"),
    "-Infinity": (b'{"values":{"temperature":-Infinity}}', "bad_json"),
    "a lone surrogate": (rb'{"values":{"text":"\ud800"}}', "bad_json"),
    "invalid UTF-8": (b'{"values":{"text":"\xff"}}', "bad_json"),
    "an encoded surrogate": (b'{"values":{"text":"\xed\xa0\x80"}}', "bad_json"),
    "a BOM": (b'\xef\xbb\xbf{"values":{"temperature":1}}', "bad_json"),
    "UTF-16": ('{"values":{"temperature":1}}'.encode("utf-16"), "bad_json"),
    "NUL in a text": (rb'{"values":{"text":"a\u0000b"}}', "bad_value"),
    "two documents": (b'{"values":{"temperature":1}}{}', "bad_json"),
    "cut off": (b'{"values":{"temperature":1', "bad_json"),
    "a scalar": (b"1", "bad_value"),
    "null": (b"null", "bad_value"),
}


def code_of(handler: Handler, payload: bytes) -> str:
    with pytest.raises(PoisonError) as caught:
        handler(payload)
    return caught.value.code


@pytest.mark.parametrize("name", VECTORS)
def test_a_profile_of_json_refuses(name: str) -> None:
    payload, code = VECTORS[name]
    assert code_of(JSON, payload) == code


SHORT = {"17 levels", "17 objects"}


@pytest.mark.parametrize("name", sorted(SHORT))
def test_the_native_payload_skips_a_short_field_that_it_does_not_have(name: str) -> None:
    payload, _ = VECTORS[name]
    assert NATIVE(payload)[0].values == {"temperature": 1.0}


@pytest.mark.parametrize("name", sorted(VECTORS.keys() - SHORT))
def test_the_native_payload_refuses(name: str) -> None:
    payload, code = VECTORS[name]
    assert code_of(NATIVE, payload) == code


@pytest.mark.parametrize("handler", [JSON, NATIVE], ids=["json", "native"])
@pytest.mark.parametrize("payload", [b"[" * 990 + b"x", b'{"values":{},"x":' + b"[" * 800 + b"]" * 800 + b"}"])
def test_a_message_ends_the_same_way_however_deep_the_stack_is(handler: Handler, payload: bytes) -> None:
    def deeper(levels: int) -> str:
        return deeper(levels - 1) if levels else code_of(handler, payload)

    assert (deeper(0), deeper(500)) == ("too_deep", "too_deep")


@pytest.mark.parametrize("handler", [JSON, NATIVE], ids=["json", "native"])
def test_brackets_and_colons_in_a_text_are_text(handler: Handler) -> None:
    text = "[{:" * 300 + '\\"'
    payload = b'{"values":{"text":%s,"temperature":1}}' % msgspec.json.encode(text)
    assert handler(payload)[0].values == {"text": text, "temperature": 1.0}


def test_hostile_quotes_cost_linear_time() -> None:
    payload = b"[" * 17 + rb'"\"' + rb"\"" * 120_000
    assert code_of(NATIVE, payload) == "too_deep"


@pytest.mark.parametrize("handler", [JSON, NATIVE], ids=["json", "native"])
def test_of_a_key_that_is_written_twice_the_last_counts(handler: Handler) -> None:
    (reading,) = handler(b'{"values":{"temperature":1,"temperature":2}}')
    assert reading.values == {"temperature": 2.0}


def test_16_levels_and_256_keys_are_fine() -> None:
    nested = b'{"values":{"temperature":1},"x":%s%s}' % (b"[" * 15, b"]" * 15)
    wide = b'{"values":{"temperature":1},"x":{%s}}' % b",".join(b'"a%d":1' % n for n in range(253))
    for payload in (nested, wide):
        assert JSON(payload)[0].values == {"temperature": 1.0}
    assert code_of(JSON, wide.replace(b"}}", b',"b":1,"c":1}}')) == "too_many_keys"


CODES = {
    "bad_block", "bad_checksum", "bad_frame", "bad_json", "bad_length", "bad_part", "bad_text", "bad_time", "bad_value",
    "bad_xml", "cut_off", "doctype", "too_deep", "too_large", "too_many_elements", "too_many_keys", "unknown_channel",
    "unmatched",
}  # fmt: skip


def numbers(reading: Reading) -> list[float]:
    return [value for value in reading.values.values() if not isinstance(value, str)]


def means_something_or_is_poison(handler: Handler, payload: bytes) -> None:
    try:
        readings = handler(payload)
    except PoisonError as error:
        codes = {error.code}
    else:
        codes = set()
        assert [type(reading) for reading in readings] == [Reading] * max(1, len(readings))
        assert all(math.isfinite(value) for reading in readings for value in numbers(reading))
        msgspec.json.encode(list(readings))  # raises for a lone surrogate
    assert codes <= CODES


@pytest.mark.parametrize("name", HANDLERS)
@given(payload=st.binary(max_size=300))
def test_any_bytes_become_readings_or_poison(name: str, payload: bytes) -> None:
    means_something_or_is_poison(HANDLERS[name], payload)


@pytest.mark.parametrize("name", PROFILED)
@given(data=st.data(), at=st.integers(0, 1_200), patch=st.binary(max_size=6), cut=st.integers(0, 6))
def test_a_damaged_message_becomes_readings_or_poison(
    name: str, data: st.DataObject, at: int, patch: bytes, cut: int
) -> None:
    seed = data.draw(st.sampled_from(SEEDS[name]))
    at %= len(seed) + 1
    means_something_or_is_poison(HANDLERS[name], seed[:at] + patch + seed[at + cut :])


KEYS = ["t", "seq", "boot", "part", "values", "signals", "name", "dateTime", "eventType", "AccessControllerEvent"]
KEYS += ["TY", "ST", "D", "fault_type", "sensorType"]
KEYS += [
    "majorEventType",
    "subEventType",
    "doorNo",
    "serialNo",
    "currentEvent",
    "cardNo",
    "door",
    "status",
    "temperature",
]
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8)
)
KNOWN = st.sampled_from(
    [
        1,
        5,
        7,
        "M",
        "Fault",
        "add",
        "Tu3WZAEAAAAAAAEBDAAAAAEBAB8ghbo=",
        0x1B,
        0x4B,
        "AccessControllerEvent",
        "2025-10-22T13:43:48+08:00",
        "open",
        "denied",
        "alarm",
    ]
)
VALUES = st.recursive(
    SCALARS | KNOWN,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=8),
    max_leaves=24,
)


@pytest.mark.parametrize("name", TREES)
@given(document=st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=8))
def test_any_json_becomes_readings_or_poison(name: str, document: dict[str, object]) -> None:
    means_something_or_is_poison(HANDLERS[name], msgspec.json.encode(document))
