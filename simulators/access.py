"""Access controllers of Hikvision: AccessControllerEvent as JSON up, the native unlock command down."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from enum import Enum
from random import Random

import orjson

from hub.model.values import TopicClass
from simulators.report import Report

CHINA = timezone(timedelta(hours=8))
DOORS = 2
REMEMBERED_COMMANDS = 1_000
NEVER = 2**63


class Happening(Enum):
    """What happened at a door, as (majorEventType, subEventType) of the vendor's ACS alarm list."""

    FACE_PASSED = (0x5, 0x4B)
    FACE_FAILED = (0x5, 0x4C)
    UNLOCKED = (0x5, 0x15)
    LOCKED = (0x5, 0x16)
    OPENED = (0x5, 0x19)
    CLOSED = (0x5, 0x1A)
    FORCED = (0x5, 0x1B)


OBEYED = {
    "unlock": (Happening.UNLOCKED, Happening.OPENED, Happening.CLOSED),
    "lock": (Happening.LOCKED,),
    "hold_door": (Happening.UNLOCKED,),
    "release_door": (Happening.LOCKED,),
    "cancel_alarm": (),
}
"""What happens at a door by each command of its profile: who was let in goes through, locked it is when told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a controller does with a command: the response, and what happens at the door because of it."""

    response: bytes
    reports: tuple[Report, ...] = ()


class AccessController:
    """One controller of two doors; ``now_ns`` is UTC, its own clock shows China's time."""

    def __init__(self, site: str, device: str, *, seed: int) -> None:
        self.site = site
        self.device = device
        self.unlocked = 0
        self._random = Random(f"{seed}/{site}/{device}")
        self._serial = self._random.randint(100, 900)
        self._host = self._random.randint(2, 250)
        self._done: dict[str, bytes] = {}

    def passage(self, now_ns: int) -> list[Report]:
        """Let somebody in whom the controller knows."""
        door = self._door()
        person = f"{self._random.randint(1, 999):03}"
        return [
            self._event(Happening.FACE_PASSED, door, now_ns, "passage", person),
            self._event(Happening.OPENED, door, now_ns, "passage"),
            self._event(Happening.CLOSED, door, now_ns, "passage"),
        ]

    def denial(self, now_ns: int) -> list[Report]:
        """Turn somebody away."""
        return [self._event(Happening.FACE_FAILED, 1, now_ns, "denial")]

    def forced_door(self, now_ns: int) -> list[Report]:
        """Let a door be forced."""
        return [self._event(Happening.FORCED, 1, now_ns, "forced door")]

    def obey(self, payload: bytes, now_ns: int) -> Answer:
        """Carry out a native command once; the same id again gets the same answer and does nothing."""
        try:
            command = orjson.loads(payload)
            identity, name = str(command["id"]), command["command"]
            part = str(command.get("part", ""))
            doors = [int(part.removeprefix("door-"))] if part else range(1, DOORS + 1)
            expires_at = int(command.get("expires_at", NEVER))
        except (ValueError, KeyError, TypeError, AttributeError):
            return Answer(response=_response("", code="malformed"))
        if identity in self._done:
            return Answer(response=self._done[identity])
        if (happenings := OBEYED.get(name)) is None:
            return Answer(response=self._remember(identity, _response(identity, code="unknown_command")))
        if now_ns // 1_000_000 > expires_at:
            return Answer(response=self._remember(identity, _response(identity, code="expired")))
        self.unlocked += name == "unlock"
        reports = tuple(self._event(happening, door, now_ns, name) for door in doors for happening in happenings)
        return Answer(response=self._remember(identity, _response(identity)), reports=reports)

    def _remember(self, identity: str, response: bytes) -> bytes:
        while len(self._done) >= REMEMBERED_COMMANDS:
            self._done.pop(next(iter(self._done)))
        self._done[identity] = response
        return response

    def _door(self) -> int:
        return self._random.randint(1, DOORS)

    def _event(self, happening: Happening, door: int, now_ns: int, story: str, person: str = "") -> Report:
        major, minor = happening.value
        self._serial += 1
        who = {"employeeNoString": person, "cardNo": person, "cardType": 1, "userType": "normal"} if person else {}
        event = {
            "ipAddress": f"192.168.1.{self._host}",
            "portNo": 4000,
            "protocol": "HTTP",
            "macAddress": f"a4:d5:c2:24:dd:{self._host:02x}",
            "channelID": 1,
            "dateTime": datetime.fromtimestamp(now_ns // 1_000_000_000, CHINA).isoformat(),
            "activePostCount": 1,
            "eventType": "AccessControllerEvent",
            "eventState": "active",
            "AccessControllerEvent": {
                "deviceName": self.device,
                "majorEventType": major,
                "subEventType": minor,
                "cardReaderKind": 1,
                "cardReaderNo": door,
                "doorNo": door,
                "verifyNo": self._serial,
                "serialNo": self._serial,
                "frontSerialNo": self._serial - 1,
                "currentVerifyMode": "cardOrFaceOrFp",
                "currentEvent": True,
                "mask": "unknown",
                **who,
            },
        }
        return Report(
            site=self.site,
            device=self.device,
            topic_class=TopicClass.SIGNAL,
            payload=orjson.dumps(event),
            story=story,
        )


def _response(identity: str, *, code: str = "") -> bytes:
    answer: dict[str, object] = {"id": identity, "ok": not code}
    return orjson.dumps(answer | ({"code": code} if code else {}))
