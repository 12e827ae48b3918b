"""What sensors are sent: an example in a profile says only what they tell."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import pytest

from hub.model import Scalar
from hub.normalize.compile import compile_downlinks
from hub.normalize.downlinks import CompiledCommand
from tests.normalize.devices import CATALOGUE, PROFILES

MILESIGHT = 85
"""The port of Milesight devices (device repository of The Things Network, vendor/milesight-iot)."""


def command(model: str, name: str, params: Mapping[str, Scalar] | None = None) -> CompiledCommand:
    profile = PROFILES[model]
    return compile_downlinks(profile, CATALOGUE.kind(profile.kind), params or {})[name]


def sent(made: CompiledCommand, args: Mapping[str, Scalar | timedelta] | None = None) -> bytes:
    return made(id="c-1", part="", args=args or {}, sent_at=1, expires_at=2)


# Bytes of the vendor's encoders (github.com/Milesight-IoT/SensorDecoders: gs101, vs373) and of the table of downlinks
# in the README of ws101.
@pytest.mark.parametrize(
    ("model", "name", "expected"),
    [
        ("gs101", "close_valve", "060000FF"),
        ("gs101", "switch_relay_on", "070001FF"),
        ("gs101", "switch_relay_off", "070000FF"),
        ("gs101", "silence", "FF612C01"),
        ("gs101", "clear_alarm", "FF64FF"),
        ("gs101", "query_life", "080000FF"),
        ("vs373", "dismiss", "FF64FF"),
        ("ws101", "mute", "FF3E00"),
        ("ws101", "unmute", "FF3E01"),
        ("ws101", "darken", "FF2F00"),
        ("ws101", "lighten", "FF2F01"),
        ("ws101", "reboot", "FF10FF"),
    ],
)
def test_a_command_to_a_milesight_device_is_what_its_maker_sends(model: str, name: str, expected: str) -> None:
    made = command(f"milesight/{model}", name)
    assert (sent(made), made.port) == (bytes.fromhex(expected), MILESIGHT)


def test_a_false_alarm_is_ignored_by_its_number() -> None:
    assert sent(command("milesight/vs373", "ignore"), {"number": 258}) == bytes.fromhex("F9B4020103")


def test_how_long_a_gas_detector_is_silenced_is_a_matter_of_the_installation() -> None:
    assert sent(command("milesight/gs101", "silence", {"silent_seconds": 60})) == bytes.fromhex("FF613C00")


# Exposes at zigbee2mqtt.io/devices/JY-GZ-01AQ.html: selftest takes "selftest"; buzzer takes "mute" and "alarm".
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("self_test", b'{"selftest":"selftest"}'),
        ("silence", b'{"buzzer":"mute"}'),
        ("sound", b'{"buzzer":"alarm"}'),
    ],
)
def test_an_aqara_smoke_detector_is_set_by_the_names_of_zigbee2mqtt(name: str, expected: bytes) -> None:
    assert sent(command("aqara/jy-gz-01aq", name), {"ttl": timedelta(minutes=3)}) == expected
