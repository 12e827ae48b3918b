"""Nothing that stands beside an alarm costs it, whatever it is: in a payload, in our own words, in an envelope."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence

import msgspec
import pytest

from hub.config.settings import packaged
from hub.errors import PoisonError
from hub.model.heard import Reading
from hub.normalize.compile import compile_profile
from hub.normalize.examples import example_bytes
from hub.normalize.native import compile_native
from hub.normalize.networks.load import load_networks
from hub.normalize.networks.network import SourceRow
from hub.normalize.networks.routing import compile_router
from hub.normalize.payload import Format
from tests.normalize.devices import CATALOGUE, PROFILES
from tests.normalize.mutations import HOWEVER_ODD, beside

Read = Callable[[bytes], Sequence[Reading]]

PARTS = {"door-id", "doorNo", "part", "port"}
"""Of which door it is must be known: an alarm of another one is no help."""

MODELS = [name for name, profile in PROFILES.items() if profile.payload.format is Format.JSON]
NATIVE = (
    ("smoke_sensor", {"t": 1772366400000, "seq": 3, "boot": "a", "values": {"alarm": True, "battery": 80, "x": 1}}),
    ("access_controller", {"t": 1772366400000, "signals": [{"name": "access.duress", "card": "7"}]}),
    ("panic_button", [{"values": {"battery": 50}}, {"signals": [{"name": "sos.pressed", "press": "long"}]}]),
)
NETWORKS = load_networks([packaged("device_profiles")])
ROUTER = compile_router([SourceRow(name, name) for name in NETWORKS], NETWORKS)
GATEWAY = {"gatewayId": "0016c001f153a14c", "rssi": -36, "metadata": {"region_name": "eu868"}}
UPLINK = {
    "deduplicationId": "3ac7e3c4", "time": "2022-07-18T09:34:15.775023242+00:00", "rxInfo": [GATEWAY],
    "deviceInfo": {"deviceName": "烟感", "deviceClassEnabled": "CLASS_A"},
    "data": base64.b64encode(bytes.fromhex("221164321F18")).decode(),
}  # fmt: skip
"""Without its port: one that cannot be read costs the message, for it says what sort of message that is."""
FIRE = {
    "device-id": 405419896,
    "event-id": 69,
    "event-type": 3,
    "event-reason": 39,
    "timestamp": "2021-08-10 10:28:32 PDT",
}
WRAPPED = (
    ("milesight/gs524n", "application/17c82e96/device/24e124535b316056/event/up", UPLINK),
    ("zigbee2mqtt/smoke", "zigbee2mqtt/kitchen", {"smoke": True, "last_seen": "2026-03-01T08:00:00Z", "link": 9}),
    ("uhppoted/ut0311-l04", "uhppoted/gateway/events", {"message": {"event": {"event": FIRE}}, "hmac": "2079c940"}),
)  # fmt: skip


def ending(read: Read, data: bytes) -> str:
    """Return whether there is an alarm, and else why not; any other error is a bug."""
    try:
        return "alarm" if any(reading.critical for reading in read(data)) else "quiet"
    except PoisonError as error:
        return error.code


def costs(read: Read, data: bytes) -> list[bytes]:
    """Return the payloads in which something odd costs an alarm though nothing at all in its place does not."""
    assert ending(read, data) == "alarm"
    return [
        each
        for key, without, odd in beside(data, HOWEVER_ODD)
        if key not in PARTS and ending(read, without) == "alarm"
        for each in odd
        if ending(read, each) not in {"alarm", "too_deep"}
    ]


@pytest.mark.parametrize("name", MODELS)
def test_what_stands_beside_an_alarm_of_a_model_never_costs_it(name: str) -> None:
    kind = CATALOGUE.kind(PROFILES[name].kind)
    for example in PROFILES[name].examples:
        read, data = compile_profile(PROFILES[name], kind, example.params, "Asia/Shanghai"), example_bytes(example)
        if ending(read, data) == "alarm":
            assert costs(read, data) == []


@pytest.mark.parametrize(("kind", "message"), NATIVE, ids=[kind for kind, _ in NATIVE])
def test_what_stands_beside_an_alarm_in_our_own_words_never_costs_it(kind: str, message: object) -> None:
    assert costs(compile_native(CATALOGUE.kind(kind)), msgspec.json.encode(message)) == []


@pytest.mark.parametrize(("name", "topic", "message"), WRAPPED, ids=[name for name, *_ in WRAPPED])
def test_what_stands_beside_an_alarm_in_an_envelope_never_costs_it(name: str, topic: str, message: object) -> None:
    handler = compile_profile(PROFILES[name], CATALOGUE.kind(PROFILES[name].kind), {}, "Asia/Shanghai")
    route = ROUTER.route(topic)
    assert route is not None

    def read(data: bytes) -> Sequence[Reading]:
        envelope = route.stream.read(data)
        return () if envelope.payload is None else handler(envelope.payload)

    assert costs(read, msgspec.json.encode(message)) == []
