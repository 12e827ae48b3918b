"""Envelopes: what stands in them, what is missing, what is wrong; and topics to routes."""

from __future__ import annotations

import json

import pytest

from hub.errors import PoisonError
from hub.normalize.limits import MANY_KEYS
from hub.normalize.networks.envelope import Envelope
from tests.normalize.networks.networks import mistake, network, poison, read, source

UP = {"payload": {"path": "data", "as": "base64"}, "port": "fPort", "dedupe": "id"}


@pytest.mark.parametrize(
    ("written", "as_", "payload"),
    [
        ('"IhFkMh8Y"', "base64", b'"\x11d2\x1f\x18'),
        ('"221164321F18"', "hex", b'"\x11d2\x1f\x18'),
        ('"fire 火"', "text", "fire 火".encode()),
        ('{"smoke":true, "n":[1]}', "json", b'{"smoke":true, "n":[1]}'),
        ("7", "json", b"7"),
    ],
)
def test_a_payload_is_taken_out_of_its_envelope(written: str, as_: str, payload: bytes) -> None:
    data = f'{{"x": {{"data": {written}}}}}'.encode()
    assert read(data, payload={"path": "x.data", "as": as_}) == Envelope(payload)


def test_without_words_the_payload_is_the_message_and_costs_nothing() -> None:
    assert read(b"\x00\xff") == Envelope(b"\x00\xff")


@pytest.mark.parametrize("written", ["{}", '{"data": null}', '{"data": ""}', '{"x": null}'])
@pytest.mark.parametrize("as_", ["base64", "hex", "text", "json"])
def test_an_empty_envelope_is_a_device_that_was_heard(written: str, as_: str) -> None:
    if (written, as_) != ('{"data": ""}', "json"):
        assert read(written.encode(), payload={"path": ["x.data", "data"], "as": as_}).payload is None


def test_of_several_paths_the_first_that_is_there_counts() -> None:
    words = {"payload": {"path": ["a.b", "a", "c"], "as": "json"}}
    assert read(b'{"a": {"b": 1}, "c": 3}', **words).payload == b"1"
    assert read(b'{"a": {"d": 2}, "c": 3}', **words).payload == b'{"d": 2}'
    assert read(b'{"c": 3}', **words).payload == b"3"


def test_everything_that_an_envelope_says_is_read() -> None:
    found = read(
        b'{"data": "AQ==", "fPort": 85, "id": "m1", "n": 4, "at": "2026-03-01T16:00:00.123456789+08:00"}',
        **{**UP, "dedupe": ["id", "n"], "time": [{"path": "at", "format": "iso8601"}]},
    )
    assert found == Envelope(b"\x01", 85, "m1/4", 1_772_352_000_123_456_000)


@pytest.mark.parametrize(
    "written", ["{}", '{"id": null}', '{"id": ""}', '{"id": "a\\u0007"}', f'{{"id": "{"x" * 129}"}}']
)
def test_an_id_that_nobody_could_keep_is_none(written: str) -> None:
    assert read(written.encode(), dedupe="id").dedupe is None


def test_half_an_id_is_none() -> None:
    assert read(b'{"a": 1}', dedupe=["a", "b"]).dedupe is None


@pytest.mark.parametrize("written", ['"noon"', "[]", "{}", "true", "null", "0"])
def test_a_clock_of_the_network_that_cannot_be_read_costs_nothing_else(written: str) -> None:
    time = [{"path": "at", "format": "iso8601"}, {"path": "at", "format": "unix"}]
    found = read(f'{{"data": "AQ==", "at": {written}}}'.encode(), **{**UP, "time": time})
    assert (found.payload, found.measured_at) == (b"\x01", None)


def test_a_device_in_the_payload_is_a_text_or_a_number() -> None:
    words = {"filter": "n/events", "device": ["event.device", "device"]}
    assert read(b'{"event": {"device": 405419896}}', **words).device == "405419896"
    assert read(b'{"device": "d1"}', **words).device == "d1"


@pytest.mark.parametrize(
    ("written", "code"),
    [
        (b"{}", "no_device"),
        (b'{"device": ""}', "no_device"),
        (b'{"device": null}', "no_device"),
        (b'{"device": "a\\u0000"}', "bad_name"),
        (b'{"device": true}', "bad_value"),
        (b'{"device": ["d"]}', "bad_value"),
        (b"not json", "bad_json"),
        (b"[]", "bad_value"),
        (b'{"device": "\\ud800"}', "bad_json"),
    ],
)
def test_an_envelope_without_a_usable_device_is_poison(written: bytes, code: str) -> None:
    assert poison(written, filter="n/events", device="device") == code


@pytest.mark.parametrize(
    ("written", "code"),
    [
        (b'{"data": "???"}', "bad_value"),
        (b'{"data": 7}', "bad_value"),
        (b'{"data": "AQ==", "fPort": "85"}', "bad_value"),
        (b'{"data": "AQ=="', "bad_json"),
        (b"\xff\xfe{", "bad_json"),
        (b'{"data": "AQ==", "x": ' + b"[" * 300 + b"]" * 300 + b"}", "too_deep"),
        (b'{"data": "AQ==", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "too_deep"),
        (json.dumps({"data": "AQ==", **{f"k{n}": 0 for n in range(MANY_KEYS)}}).encode(), "too_many_keys"),
    ],
)
def test_an_envelope_that_is_none_is_poison_with_a_code(written: bytes, code: str) -> None:
    assert poison(written, **UP) == code


def test_what_forty_gateways_heard_is_one_message() -> None:
    gateway = {"gatewayId": "0016c001f153a14c", "rssi": -36, "metadata": {"a": [1]}, "location": {"latitude": 1.0}}
    data = json.dumps({"data": "AQ==", "fPort": 1, "rxInfo": [gateway] * 40}).encode()
    assert read(data, **UP) == Envelope(b"\x01", 1)


def test_brackets_in_a_text_are_no_depth() -> None:
    data = json.dumps({"data": "AQ==", "x": "[" * 1_000}).encode()
    assert read(data, **UP).payload == b"\x01"


AVAILABILITY = {
    "class": "availability",
    "state": {"path": "state", "values": {"online": "online", "offline": "offline"}},
}


@pytest.mark.parametrize(
    "written", [b"online", b'"online"', b" online\n", b'{"state": "online"}', b'{"state":"online","x":1}']
)
def test_availability_comes_as_a_text_or_in_an_object(written: bytes) -> None:
    assert read(written, **AVAILABILITY) == Envelope(None, state="online")


@pytest.mark.parametrize("written", [b"", b"away", b"\xff"])
def test_an_availability_that_is_neither_is_poison(written: bytes) -> None:
    assert poison(written, **AVAILABILITY) == "bad_state"


def test_a_receipt_says_which_command_and_what_became_of_it() -> None:
    words = {
        "class": "receipt",
        "command": "q",
        "state": {"path": "ok", "values": {"true": "delivered"}, "else": "failed"},
    }
    assert read(b'{"q": "c1", "ok": true}', **words) == Envelope(None, command="c1", state="delivered")
    assert read(b'{"q": "c1", "ok": false}', **words).state == "failed"
    assert read(b'{"q": "c1"}', **words).state == "failed"


def test_names_are_compared_as_the_network_does() -> None:
    lower = source(network(ids="lower"))
    route = lower.route("n/24E124")
    assert route is not None
    assert (route.device, lower.fold("24E124")) == ("24e124", "24e124")
    exact = source(network()).route("n/Küche")
    assert exact is not None
    assert exact.device == "Küche"


def test_a_route_remembers_what_stood_in_the_other_holes() -> None:
    words = network({"filter": "a/{app}/d/{device}"}, params={"app": "+"})
    route = source(words).route("a/7/d/x")
    assert route is not None
    assert (route.site, route.device, dict(route.names)) == ("", "x", {"app": "7"})
    assert source(words, {"app": 7}).filters == ("a/7/d/+",)
    assert source(words, {"app": 7}).route("a/8/d/x") is None


def test_a_name_in_a_topic_that_nobody_could_write_down_is_poison() -> None:
    with pytest.raises(PoisonError) as caught:
        source(network()).route("n/a\u0007")
    assert caught.value.code == "bad_name"


@pytest.mark.parametrize("value", ["a/+", "#", "", "a//b", "{device}", "$SYS", "a\u0000", True, 1.5])
def test_a_parameter_that_cannot_stand_in_a_topic_is_refused(value: str | float) -> None:
    assert mistake(network({"filter": "{base}/{device}"}, params={"base": "n"}), {"base": value}) == "bad_param"


def test_a_parameter_that_the_network_does_not_have_is_refused() -> None:
    assert mistake(network(), {"base": "n"}) == "unknown_param"


def test_a_path_with_a_hole_in_it_is_refused() -> None:
    assert mistake(network({"port": "a."})) == "bad_place"


@pytest.mark.parametrize(
    "stream",
    [
        {"filter": "n/up"},
        {"device": "d"},
        {"filter": "n/{site}/up", "device": "d"},
        {"class": "receipt", "state": {"else": "delivered"}},
        {"class": "receipt", "command": "q", "state": {"else": "online"}},
        {"class": "receipt", "command": "q"},
        {"class": "availability"},
        {"class": "availability", "state": {"path": "x"}},
        {"state": {"else": "online"}},
        {"class": "heartbeat", "properties": {"battery": {"path": "b"}}},
        {"class": "weather"},
        {"payload": {"path": "x", "as": "yaml"}},
        {"filtre": "x"},
    ],
)
def test_words_that_make_no_stream_are_refused(stream: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        network(stream)


def test_an_empty_message_is_no_receipt() -> None:
    words = {"class": "receipt", "command": "q", "state": {"else": "delivered"}}
    assert poison(b"", **words) == "bad_json"
