"""An installation with device profiles of its own, and one that is sound."""

from __future__ import annotations

from pathlib import Path

from tests.ui.conftest import Cli, Said

WHY = ("--unmask", "--reason", "a new model")
GOOD = """\
profile: acme/probe
version: 1.0.0
kind: environment_sensor
label: {en: Probe, zh: 探头}
payload: {format: bytes, length: 3}
time: {from: none}
properties:
  humidity: {at: 0, unit: "%"}
  temperature: {at: 1, as: i16be, scale: 0.1, unit: Cel}
examples:
  - {name: a day, source: invented, payload: {hex: "2C00D7"}, expect: {humidity: 44, temperature: 21.5}}
  - {name: cut off, source: invented, payload: {hex: "2C"}, expect_error: bad_length}
"""
FIRE = "221164321F18"


class Profiles:
    """``hub profiles`` of an installation with profiles of its own."""

    def __init__(self, cli: Cli, directory: Path) -> None:
        self.directory = directory
        self.own = directory / "own"
        self.own.mkdir()
        self._cli = cli
        self._config = directory / "hub.toml"
        self._config.write_text(f'profiles_dir = "{self.own}"\ndata_dir = "{directory / "data"}"\n', encoding="utf-8")

    def write(self, text: str, name: str = "acme/probe") -> Path:
        file = self.own / f"{name}.yaml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def __call__(self, *arguments: str) -> Said:
        return self._cli("--config", str(self._config), "profiles", *arguments)
