"""Milesight's small sensors, as channels of bytes: leak sensors EM300-SLD and gas detectors GS101, all quiet."""

from __future__ import annotations

from random import Random

from hub.model.values import TopicClass
from simulators.report import Report


class LeakSensor:
    """An EM300-SLD that is dry: battery, temperature, humidity, leak (profile ``milesight/em300-sld``)."""

    def __init__(self, site: str, device: str, *, seed: int) -> None:
        self.site = site
        self.device = device
        self._random = Random(f"{seed}/{site}/{device}")
        self._battery = self._random.randint(60, 100)

    def report(self) -> Report:
        """Say the present state."""
        tenths, halves = self._random.randint(150, 280), self._random.randint(60, 150)
        payload = bytes((0x01, 0x75, self._battery, 0x03, 0x67, *tenths.to_bytes(2, "little")))
        return _report(self.site, self.device, payload + bytes((0x04, 0x68, halves, 0x05, 0x00, 0x00)))


class GasDetector:
    """A GS101 that smells nothing: alarm off, valve open, relay off (profile ``milesight/gs101``)."""

    def __init__(self, site: str, device: str, *, seed: int) -> None:  # noqa: ARG002 -- every one says the same
        self.site = site
        self.device = device

    def report(self) -> Report:
        """Say the present state."""
        return _report(self.site, self.device, bytes.fromhex("058E00060101070100"))


def _report(site: str, device: str, payload: bytes) -> Report:
    return Report(site=site, device=device, topic_class=TopicClass.TELEMETRY, payload=payload, story="sensor report")
