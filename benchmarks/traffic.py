"""The messages of every benchmark: many sensors, one message in a hundred an event, and what must come of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from hub.model.values import PlaceType
from hub.registry.nouns import Device, Place

SITE, BUILDING, KIND = "s1", "b1", "environment_sensor"
FILTER = f"hub/{SITE}/+/telemetry"
FIELD = "co2"
"""A field that every point has: counting it counts points."""
EVENT_EVERY = 100
"""A device crosses a threshold, there or back, once in so many of its messages on average."""
EPISODE = 5
"""Messages of a device between there and back."""
PRIME = 37
"""Spreads the episodes of the devices over time."""
PAYLOAD_BYTES = 84
HOT, DAMP, STUFFY = 40.0, 80.0, 900.0

RULES = f"""\
rule: bench-hot
label: {{en: Hot, zh: 高温}}
for_each: {KIND}
when: temperature >= {HOT}
raise: {{event: fire.hot, severity: high}}
---
rule: bench-damp
label: {{en: Damp, zh: 潮湿}}
for_each: {KIND}
when: humidity >= {DAMP}
raise: {{event: utility.damp, severity: low}}
---
rule: bench-stuffy
label: {{en: Stuffy, zh: 空气不流通}}
for_each: {KIND}
when: co2 >= {STUFFY} and temperature < {HOT}
raise: {{event: care.stuffy, severity: medium}}
---
rule: bench-silent
label: {{en: Sensor silent, zh: 传感器失联}}
for_each: {KIND}
absent_for: 1h
raise: {{event: device.silent, severity: medium}}
"""
OTHERS = 396
"""Rules about what no message says: with the four they are 400."""


def other_rules() -> str:
    """Return rules on the battery, which these sensors do not report."""
    rule = "rule: bench-other-{n}\nlabel: {{en: Other, zh: 其他}}\nfor_each: {kind}\nwhen: battery < {n}\n"
    rule += "raise: {{event: device.other, severity: low}}\n"
    return "---\n".join(rule.format(n=n, kind=KIND) for n in range(OTHERS))


DOMAINS = ("fire", "utility", "care")


@dataclass(frozen=True)
class Traffic:
    """Message ``number`` is word ``number // size`` of device ``number % size``; a number says it all."""

    size: int

    def names(self) -> list[str]:
        """Return every device."""
        return [f"env-{device:04d}" for device in range(self.size)]

    @cached_property
    def topics(self) -> list[str]:
        """The topic of every device."""
        return [f"hub/{SITE}/{name}/telemetry" for name in self.names()]

    def places(self) -> list[Place]:
        """Return the one building."""
        return [Place(site=SITE, id=BUILDING, type=PlaceType.BUILDING)]

    def devices(self) -> list[Device]:
        """Return every device as the registry has it."""
        return [Device(site=SITE, id=name, kind=KIND, place=BUILDING) for name in self.names()]

    def say(self, number: int, now_ns: int) -> tuple[int, str, bytes]:
        """Return who says ``number``, its topic and its payload, measured at ``now_ns`` UTC."""
        device = number % self.size
        return device, self.topics[device], self.payload(number, now_ns // 1_000_000)

    def payload(self, number: int, milliseconds: int) -> bytes:
        """Return the native JSON of ``number``, always of the same length, measured at ``milliseconds`` UTC."""
        word, device = divmod(number, self.size)
        which = device % 3 if self._is_beyond(device, word) else -1
        return b'{"t":%d,"seq":%d,"values":{"temperature":%d.%d,"humidity":%d,"co2":%d}}' % (
            milliseconds,
            1_000 + word,
            45 if which == 0 else 20 + device % 10,
            number % 10,
            85 if which == 1 else 40 + number % 30,
            950 if which == 2 else 400 + number % 400,
        )

    def is_event(self, number: int) -> bool:
        """Return whether ``number`` raises or clears an alarm, given that everything before it was heard."""
        word, device = divmod(number, self.size)
        was_beyond = word > 0 and self._is_beyond(device, word - 1)
        return self._is_beyond(device, word) is not was_beyond

    def count_events(self, numbers: range) -> int:
        """Return how many of ``numbers`` raise or clear an alarm."""
        return sum(map(self.is_event, numbers))

    @staticmethod
    def _is_beyond(device: int, word: int) -> bool:
        return (word + device * PRIME) % (2 * EVENT_EVERY) < EPISODE
