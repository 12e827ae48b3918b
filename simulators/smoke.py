"""Smoke sensors of the Milesight GS524N: six bytes, the last one making their sum a multiple of 256."""

from __future__ import annotations

from enum import IntEnum
from random import Random

from hub.model.values import TopicClass
from simulators.report import Report

HEAD = 0x22
HIGH_NIBBLE = 0x10


class Status(IntEnum):
    """The low nibble of the second byte (vendor's decoder)."""

    ALARM = 1
    SILENCED = 2
    LOW_BATTERY = 4
    FAULT = 5
    NORMAL = 7
    REMOVED = 10
    INSTALLED = 11
    TEST = 14
    TEST_LOW_BATTERY = 15


def gs524n_frame(status: Status, *, battery: int, concentration: int, temperature: int) -> bytes:
    """Return a frame: battery and concentration in percent, temperature in °C (-128 to 127)."""
    body = bytes((HEAD, HIGH_NIBBLE | status, battery, concentration, temperature & 0xFF))
    return body + bytes((-sum(body) & 0xFF,))


class SmokeSensor:
    """One sensor: quiet until :meth:`catch_fire`, then alarming until :meth:`recover`."""

    def __init__(self, site: str, device: str, *, seed: int) -> None:
        self.site = site
        self.device = device
        self.status = Status.NORMAL
        self._random = Random(f"{seed}/{site}/{device}")
        self._battery = self._random.randint(60, 100)
        self._temperature = self._random.randint(18, 27)
        self._concentration = 0

    def catch_fire(self) -> None:
        """Let smoke rise: every report is an alarm from now on."""
        self.status = Status.ALARM
        self._concentration = 35

    def recover(self) -> None:
        """Let the smoke go."""
        self.status = Status.NORMAL
        self._concentration = 0

    def report(self) -> Report:
        """Say the present state."""
        self._temperature = min(40, max(5, self._temperature + self._random.choice((-1, 0, 0, 0, 1))))
        if self.status is Status.ALARM:
            self._concentration = min(100, self._concentration + self._random.randint(1, 5))
        frame = gs524n_frame(
            self.status, battery=self._battery, concentration=self._concentration, temperature=self._temperature
        )
        story = "smoke alarm" if self.status is Status.ALARM else "smoke report"
        return Report(site=self.site, device=self.device, topic_class=TopicClass.TELEMETRY, payload=frame, story=story)
