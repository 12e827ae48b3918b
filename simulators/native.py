"""Devices without a profile of their own: native JSON with device time and sequence number, made by thousands."""

from __future__ import annotations

from collections.abc import Sequence

from hub.model.values import PlaceType, TopicClass
from hub.registry.nouns import Device, Place
from simulators.report import Report

KIND = "environment_sensor"
BUILDING = "b1"
FIRST_SEQ = 1_000
_WIDTH = 6


class NativeSensors:
    """``count`` environment sensors of a site in one building; message ``number`` is from device ``number % count``.

    Three values that no shipped rule minds; the same messages for the same ``seed`` and moments.
    """

    def __init__(self, site: str, count: int, *, names: Sequence[str] = (), seed: int = 1) -> None:
        self.site = site
        self.names = names or [f"env-{number:0{_WIDTH}}" for number in range(1, count + 1)]
        self._topics = [f"hub/{site}/{name}/telemetry" for name in self.names]
        self._seed = seed

    def places(self) -> list[Place]:
        """Return the building."""
        return [Place(site=self.site, id=BUILDING, type=PlaceType.BUILDING)]

    def devices(self) -> list[Device]:
        """Return every device, in the order in which :meth:`say` counts them."""
        return [Device(site=self.site, id=name, kind=KIND, place=BUILDING) for name in self.names]

    def say(self, number: int, now_ns: int) -> tuple[int, str, bytes]:
        """Return who says message ``number``, its topic, and 84 bytes of JSON."""
        word, device = divmod(number, len(self._topics))
        mixed = number * 31 + self._seed * 101
        payload = b'{"t":%d,"seq":%d,"values":{"temperature":%d.%d,"humidity":%d,"co2":%d}}' % (
            now_ns // 1_000_000,
            FIRST_SEQ + word,
            20 + device % 10,
            mixed % 10,
            40 + mixed % 30,
            400 + mixed % 400,
        )
        return device, self._topics[device], payload

    def report(self, number: int, now_ns: int) -> Report:
        """Return message ``number`` as a report."""
        device, _, payload = self.say(number, now_ns)
        name, kind = self.names[device], TopicClass.TELEMETRY
        return Report(site=self.site, device=name, topic_class=kind, payload=payload, story="air")
