"""The devices of the model: what they say, unlike anything said before, and what they do with a command."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import orjson

from hub.model.effects import Transmission
from tests.engine.desk import ALARM, NORMAL
from tests.model.still import SECOND, StillClock

DAY_MS = 86_400_000
REFUSED = b"temperature=66"
"""The field of a point that the store will never take."""


class Word(NamedTuple):
    """Something to publish; ``value`` is a temperature that nobody else says, where it is one."""

    topic: str
    payload: bytes
    value: float | None = None


def native(device: str, topic_class: str = "telemetry", **words: object) -> Word:
    """Return a native message."""
    return Word(f"hub/s1/{device}/{topic_class}", orjson.dumps(words))


class Devices:
    """All of them. Their clock is right, and no step of the hub's moves it; ``held``: until when a door is held."""

    def __init__(self, clock: StillClock, start: int) -> None:
        self.held: dict[str, int] = {}
        self.executed: dict[str, str] = {}
        self._clock = clock
        self._start = start - clock.monotonic
        self._said = 0
        self._words: dict[str, Callable[[], Word]] = {
            "warm": lambda: self._temperature("room-1"),
            "warm by its clock": lambda: self._temperature("room-2", t=self._now()),
            "warm a second ago": lambda: self._temperature("room-2", t=self._now() - 1_000),
            "warm two minutes ago": lambda: self._temperature("room-2", t=self._now() - 120_000),
            "warm two days ago": lambda: self._temperature("room-2", t=self._now() - 2 * DAY_MS),
            "too warm for the store": lambda: native("room-1", values={"temperature": 66.0, "battery": self._number()}),
            "smoke": lambda: Word("hub/s1/smoke-1/telemetry", bytes.fromhex(ALARM)),
            "no smoke": lambda: Word("hub/s1/smoke-1/telemetry", bytes.fromhex(NORMAL)),
            "open": lambda: native("door-1", part="door-1", values={"door": "open"}),
            "closed": lambda: native("door-1", part="door-1", values={"door": "closed"}),
            "granted": lambda: self._signal("access.granted", card=str(self._number())),
            "denied": lambda: self._signal("access.denied", reason="unknown_card"),
            "duress": lambda: self._signal("access.duress"),
            "bike": lambda: native("lift-1", values={"ebike_present": True}),
            "no bike": lambda: native("lift-1", values={"ebike_present": False}),
            "offline": lambda: Word("hub/s1/door-1/availability", b"offline"),
            "online": lambda: Word("hub/s1/door-1/availability", b"online"),
            "a stranger": lambda: self._temperature("ghost-1"),
            "no json": lambda: Word("hub/s1/room-1/telemetry", b"{%d" % self._number()),
            "bad checksum": lambda: Word("hub/s1/smoke-1/telemetry", bytes.fromhex("221164321F19")),
            "no device": lambda: Word("hub/s1/telemetry", b"%d" % self._number()),
        }

    @property
    def vocabulary(self) -> list[str]:
        """Return everything that can be said."""
        return list(self._words)

    def say(self, what: str) -> Word:
        """Return it as it is published."""
        return self._words[what]()

    def _number(self) -> int:
        self._said += 1
        return self._said

    def _now(self) -> int:
        return (self._start + self._clock.monotonic) // 1_000_000

    def _temperature(self, device: str, **more: int) -> Word:
        value = round(-40 + self._number() / 128, 7)
        said = orjson.dumps({"values": {"temperature": value}, **more})
        return Word(f"hub/s1/{device}/telemetry", said, value)

    def _signal(self, name: str, **data: object) -> Word:
        return native("door-1", "signal", part="door-1", signals=[{"name": name, "number": self._number(), **data}])

    def execute(self, transmission: Transmission) -> Word:
        """Do what a command says, once; return the answer."""
        said = orjson.loads(transmission.payload)
        device = transmission.topic.split("/")[2]
        is_new = transmission.command not in self.executed
        self.executed[transmission.command] = said["command"]
        if is_new and said["command"] == "hold_door":
            self.held[device] = self._clock.monotonic + int(said["args"]["ttl"]) * SECOND // 1_000
        elif is_new and said["command"] == "release_door":
            self.held.pop(device, None)
        return native(device, "response", id=transmission.command, ok=True)
