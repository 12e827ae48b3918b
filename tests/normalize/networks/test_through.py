"""All the way: what a network publishes becomes readings of a device, a command becomes what the network wants."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.config.settings import packaged
from hub.errors import PoisonError
from hub.normalize.compile import compile_downlinks, compile_profile
from hub.normalize.examples import payload_bytes
from hub.normalize.networks.downlink import Order
from hub.normalize.networks.envelope import Envelope
from hub.normalize.networks.load import load_networks
from hub.normalize.networks.network import SourceRow
from hub.normalize.networks.routing import compile_router
from hub.normalize.networks.source import Route
from tests.shipped import profiles as shipped_profiles

CATALOGUE, PROFILES = shipped_profiles()
NETWORKS = load_networks([packaged("device_profiles")])
ROUTER = compile_router([SourceRow(name, name) for name in NETWORKS], NETWORKS)
HEARD = [
    (example.topic, payload_bytes(example.payload))
    for network in NETWORKS.values()
    for example in network.examples
    if example.sends is None and not example.params and example.expect_error != "bad_name"
]
WRAPPED = [(topic, payload) for topic, payload in HEARD if payload.startswith(b"{") and not topic.startswith("vendor/")]


def test_a_lorawan_fire_is_a_fire() -> None:
    topic = "application/17c82e96/device/24e124535b316056/event/up"
    route = ROUTER.route(topic)
    assert route is not None
    envelope = route.stream.read(b'{"deduplicationId": "m1", "fPort": 85, "data": "IhFkMh8Y"}')
    profile = PROFILES["milesight/gs524n"]
    handler = compile_profile(profile, CATALOGUE.kind(profile.kind), {}, "Asia/Shanghai")
    assert envelope.payload is not None
    (reading,) = handler(envelope.payload, envelope.port)  # type: ignore[call-arg] # the port is the network's
    assert (reading.values["alarm"], reading.critical) == (True, True)


def test_a_card_at_a_uhppote_door_is_a_swipe_and_the_door_can_be_opened() -> None:
    route = ROUTER.route("uhppoted/gateway/events")
    assert route is not None
    event = {
        "device-id": 405419896, "event-id": 70, "event-type": 1, "event-reason": 1, "access-granted": True,
        "door-id": 4, "direction": 2, "card-number": 8165538, "timestamp": "2021-08-10 10:28:32 CST",
    }  # fmt: skip
    envelope = route.stream.read(json.dumps({"message": {"event": {"event": event}}}).encode())
    profile = PROFILES["uhppoted/ut0311-l04"]
    kind = CATALOGUE.kind(profile.kind)
    assert envelope.payload is not None
    (reading,) = compile_profile(profile, kind, {}, "Asia/Shanghai")(envelope.payload)
    assert (reading.part, [signal.name for signal in reading.signals]) == ("door-4", ["access.granted"])
    encode = compile_downlinks(profile, kind, {"card": 8165538})["unlock"]
    payload = encode(id="c1", part="door-4", args={}, sent_at=0, expires_at=1_000)
    downlink = ROUTER.sources["uhppoted"].downlink
    assert downlink is not None
    topic, sent = downlink(Order(envelope.device, "unlock", payload, None, "c1", 1_000, {}))
    assert topic == "uhppoted/gateway/requests/device/door/lock:open"
    assert json.loads(sent)["message"]["request"] == {
        "request-id": "c1", "client-id": "hub", "reply-to": "uhppoted/gateway/replies/hub",
        "device-id": 405419896, "door": 4, "card-number": 8165538,
    }  # fmt: skip


@pytest.mark.parametrize(("topic", "payload"), HEARD)
@given(st.data())
def test_reading_an_envelope_ends_in_an_envelope_or_a_code(topic: str, payload: bytes, data: st.DataObject) -> None:
    route = ROUTER.route(topic)
    assert route is not None
    at = data.draw(st.integers(0, len(payload)))
    mutated = payload[:at] + data.draw(st.binary(max_size=4)) + payload[at + data.draw(st.integers(0, 4)) :]
    assert isinstance(ending(route, mutated), Envelope | str)


def ending(route: Route, payload: bytes) -> Envelope | str:
    """Return the envelope, or the code of the error; any other error is a bug."""
    try:
        return route.stream.read(payload)
    except PoisonError as error:
        return error.code


@pytest.mark.parametrize(("topic", "payload"), WRAPPED)
def test_a_json_envelope_that_was_cut_off_is_never_taken_for_a_whole_one(topic: str, payload: bytes) -> None:
    route = ROUTER.route(topic)
    assert route is not None
    for size in range(len(payload)):
        with pytest.raises(PoisonError):
            route.stream.read(payload[:size])
