"""Commands into a foreign network: where they go, what is put around them, and what cannot be sent."""

from __future__ import annotations

import json
from uuid import UUID

import pytest

from hub.errors import ConfigError, PoisonError
from hub.model.values import Scalar
from hub.normalize.networks.downlink import CompiledDownlink, Order, network_id
from hub.normalize.networks.network import NetworkDownlink
from tests.normalize.networks.networks import order

PARAMS: dict[str, Scalar] = {"confirmed": True, "app": "+"}


def downlink(**words: object) -> CompiledDownlink:
    return CompiledDownlink(NetworkDownlink.model_validate({"topic": "n/{device}/set", **words}), PARAMS)


def wrapped(words: dict[str, object], command: Order, **more: object) -> object:
    return json.loads(downlink(wrap=words, **more)(command)[1])


def refusal(command: Order, **words: object) -> str:
    with pytest.raises(PoisonError) as caught:
        downlink(**words)(command)
    return caught.value.code


def test_every_topic_that_a_command_may_go_to_is_one_of_its_filters() -> None:
    assert downlink(topic="{app}/{device}/set").filters == ("+/+/set",)
    named = downlink(topic="n/requests/{command}", commands={"unlock": "lock:open", "lock": "a/b", "hold_door": "a/b"})
    assert named.filters == ("n/requests/lock:open", "n/requests/a/b")


def test_without_wrap_the_payload_travels_as_it_is() -> None:
    assert downlink()(order(b"\x00\xff")) == ("n/d1/set", b"\x00\xff")


def test_a_payload_is_wrapped_as_the_network_wants_it() -> None:
    words: dict[str, object] = {"b": "{payload.base64}", "h": "{payload.hex}", "n": [1, None], "t": "to {device}"}
    assert wrapped(words, order(b"\x01\xff")) == {"b": "Af8=", "h": "01ff", "n": [1, None], "t": "to d1"}
    assert wrapped({"j": "{payload.json}", "t": "{payload.text}"}, order(b'{"a":1}')) == {"j": {"a": 1}, "t": '{"a":1}'}


def test_a_hole_alone_is_the_value_itself() -> None:
    words: dict[str, object] = {"p": "{port}", "d": "{device.int}", "c": "{confirmed}", "e": "{expires_at}"}
    command = order(device="405419896", port=85)
    assert wrapped(words, command) == {"p": 85, "d": 405_419_896, "c": True, "e": 1_658_136_855_775}
    assert wrapped({"e": "{expires_at.iso}"}, command) == {"e": "2022-07-18T09:34:15.775Z"}


def test_a_value_with_a_hole_in_it_is_not_filled_again() -> None:
    assert wrapped({"t": "{payload.text}!"}, order(b"{device}")) == {"t": "{device}!"}


def test_an_open_parameter_is_what_the_device_was_last_heard_on() -> None:
    made = downlink(topic="a/{app}/d/{device}")
    assert made(order()._replace(route={"app": "7"}))[0] == "a/7/d/d1"


def test_a_device_that_was_never_heard_cannot_be_addressed_without_it() -> None:
    assert refusal(order(), topic="a/{app}/d/{device}") == "unaddressable"


@pytest.mark.parametrize("device", ["a+b", "#", "", "a//b", "x\0"])
def test_a_command_never_goes_to_a_topic_that_is_none(device: str) -> None:
    assert refusal(order(device=device)) == "unaddressable"


def test_a_command_without_the_port_that_the_network_needs_is_told() -> None:
    assert refusal(order(), wrap={"fPort": "{port}"}) == "unaddressable"
    assert downlink(wrap={"fPort": "{port}"}).needs_port
    assert not downlink().needs_port


@pytest.mark.parametrize("device", ["d1", "-1", "٣", "1.0"])
def test_a_network_that_counts_its_devices_takes_no_other_name(device: str) -> None:
    assert refusal(order(device=device), wrap={"id": "{device.int}"}) == "unaddressable"


def test_the_fields_of_a_command_stand_beside_the_networks_own() -> None:
    words: dict[str, object] = {"message": {"request": {"id": "{id}"}}}
    made = wrapped(words, order(b'{"door": 4}'), merge="message.request")
    assert made == {"message": {"request": {"id": "a-1", "door": 4}}}


@pytest.mark.parametrize("payload", [b"[1]", b"7", b"{", b"\xff", b'{"id": "other"}', b"[" * 5_000])
def test_a_payload_that_does_not_fit_into_the_envelope_is_told(payload: bytes) -> None:
    assert refusal(order(payload), wrap={"m": {"id": "{id}"}}, merge="m") == "unwrappable"


def test_a_command_has_the_networks_name_for_it() -> None:
    made = downlink(topic="r/{command}", commands={"unlock": "door/lock:open"})
    assert made(order())[0] == "r/door/lock:open"
    with pytest.raises(PoisonError) as caught:
        made(order(command="fly"))
    assert caught.value.code == "unknown_command"


def test_an_id_is_a_uuid_that_is_always_the_same() -> None:
    assert network_id("5b0a1f2e-6c3d-4e4f-8a9b-0c1d2e3f4a5b") == "5b0a1f2e-6c3d-4e4f-8a9b-0c1d2e3f4a5b"
    made = network_id("3f2c4a6e9b1d4c7f8a0e5d6b7c8f9a01-1")
    assert made == network_id("3f2c4a6e9b1d4c7f8a0e5d6b7c8f9a01-1")
    assert made != network_id("3f2c4a6e9b1d4c7f8a0e5d6b7c8f9a01-2")
    assert str(UUID(made)) == made


@pytest.mark.parametrize(
    "words",
    [
        {"wrap": {"x": "{payload.xml}"}},
        {"wrap": {"x": "{id.hex}"}},
        {"wrap": {"x": {}}, "merge": "y"},
        {"wrap": {"x": 1}, "merge": "x"},
    ],
)
def test_a_template_that_cannot_work_is_refused(words: dict[str, object]) -> None:
    with pytest.raises(ConfigError) as caught:
        downlink(**words)
    assert (caught.value.code, caught.value.fields["path"]) == ("bad_template", ("downlink",))
