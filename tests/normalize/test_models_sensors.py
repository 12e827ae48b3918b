"""What sensors are sent beside their bytes, which the examples of their profiles hold."""

from __future__ import annotations

from hub.normalize.compile import compile_downlinks
from tests.normalize.devices import CATALOGUE, PROFILES

MILESIGHT = 85
"""The port of Milesight devices (device repository of The Things Network, vendor/milesight-iot)."""


def test_every_command_to_a_milesight_device_goes_to_the_port_of_its_maker() -> None:
    made = {name: profile for name, profile in PROFILES.items() if name.startswith("milesight/") and profile.commands}
    compiled = [compile_downlinks(profile, CATALOGUE.kind(profile.kind), {}) for profile in made.values()]
    assert {command.port for commands in compiled for command in commands.values()} == {MILESIGHT}


def test_how_long_a_gas_detector_is_silenced_is_five_minutes_unless_the_installation_says_otherwise() -> None:
    profile = PROFILES["milesight/gs101"]
    silence = compile_downlinks(profile, CATALOGUE.kind(profile.kind), {})["silence"]
    assert silence(id="c-1", part="", args={}, sent_at=1, expires_at=2) == bytes.fromhex("FF612C01")
