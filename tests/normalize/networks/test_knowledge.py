"""What a network itself knows of a device: for kinds that have it; for the others a sign of life."""

from __future__ import annotations

import pytest

from hub.config.settings import packaged
from hub.errors import ConfigError, PoisonError
from hub.model.heard import Handler
from hub.normalize.networks.knowledge import compile_knowledge
from hub.normalize.networks.load import load_networks
from tests.normalize.networks.networks import network
from tests.shipped import profiles as shipped_profiles

KINDS = shipped_profiles()[0].kinds
CHIRPSTACK = load_networks([packaged("device_profiles")])["chirpstack"]
STATUS = 1


def status(kind: str) -> Handler:
    found = compile_knowledge(CHIRPSTACK, STATUS, KINDS[kind])
    assert found is not None
    return found


def test_the_battery_that_the_network_asked_for_is_the_devices() -> None:
    assert status("smoke_sensor")(b'{"margin": 10, "batteryLevel": 88.3}')[0].values == {"battery": 88.3}


@pytest.mark.parametrize("message", [b'{"margin": 10}', b'{"batteryLevel": 0, "externalPowerSource": true}'])
def test_a_status_that_says_nothing_of_it_is_a_sign_of_life(message: bytes) -> None:
    (reading,) = status("smoke_sensor")(message)
    assert (reading.values, list(reading.signals)) == ({}, [])


def test_a_kind_that_has_no_battery_is_only_heard() -> None:
    assert "battery" not in KINDS["fire_panel"].properties
    (reading,) = status("fire_panel")(b'{"batteryLevel": 88.3}')
    assert reading.values == {}


def test_a_status_that_is_none_is_poison() -> None:
    with pytest.raises(PoisonError) as caught:
        status("smoke_sensor")(b'{"batteryLevel": "full"}')
    assert caught.value.code == "bad_value"


def test_a_stream_without_properties_is_left_to_the_devices_profile() -> None:
    assert compile_knowledge(CHIRPSTACK, 0, KINDS["smoke_sensor"]) is None


def test_properties_that_do_not_fit_the_kind_are_refused() -> None:
    words = network({"properties": {"battery": {"path": "b", "unit": "mV"}}})
    with pytest.raises(ConfigError) as caught:
        compile_knowledge(words, 0, KINDS["smoke_sensor"])
    assert caught.value.code == "unit_mismatch"


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_shipped_networks_know_fits_every_kind(kind: str) -> None:
    for words in load_networks([packaged("device_profiles")]).values():
        for number, stream in enumerate(words.streams):
            assert (compile_knowledge(words, number, KINDS[kind]) is None) == (not stream.properties)
