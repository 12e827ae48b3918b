"""Actors: simulated devices that take commands, each by its temper: does it, late, refuses, lies, or is mute."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

import orjson
from aiomqtt import Message

from hub.clock import Clock
from hub.model.values import Scalar, TopicClass
from simulators.link import Broker, Ledger, Link
from simulators.report import Report


class Temper(StrEnum):
    """What becomes of a command: ``lies`` says that it is done and does nothing, ``mute`` does it and says nothing."""

    ANSWERS = "answers"
    LATE = "late"
    REFUSES = "refuses"
    LIES = "lies"
    MUTE = "mute"


EFFECTS: Mapping[tuple[str, str], Mapping[str, Scalar]] = {
    ("elevator", "hold_door"): {"door": "open", "door_held": True},
    ("elevator", "release_door"): {"door_held": False},
    ("elevator", "recall"): {"mode": "fire_operation", "door": "open"},
    ("access_controller", "unlock"): {"lock": "unlocked"},
    ("access_controller", "lock"): {"lock": "locked"},
    ("access_controller", "hold_door"): {"lock": "unlocked"},
    ("access_controller", "release_door"): {"lock": "locked"},
    ("plate_reader", "hold_barrier"): {"barrier": "open"},
    ("plate_reader", "release_barrier"): {"barrier": "closed"},
    ("gas_detector", "close_valve"): {"valve": "closed"},
    ("charging_port", "stop"): {"charging": "off"},
}
"""What a device reports of itself once it has done a command; one that is not here shows nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """Who an actor is and how it takes commands: ``late`` after so many seconds."""

    site: str
    device: str
    kind: str
    temper: Temper = Temper.ANSWERS
    late: float = 0.0


@dataclass(slots=True)
class Taken:
    """A command as it came, at a wall ns."""

    id: str
    name: str
    part: str
    at: int
    drill: bool
    args: Mapping[str, Scalar] = field(default_factory=dict)


class Actor:
    """One device on a connection of its own; the native payload up and down. ``taken`` are the commands that came."""

    def __init__(self, role: Role, broker: Broker, *, clock: Clock) -> None:
        self.role = role
        self.taken: list[Taken] = []
        self.ledger = Ledger()
        self._clock = clock
        self.link = Link(broker, f"{role.site}/{role.device}", None, ledger=self.ledger, clock=clock)
        self.link.listen(f"hub/{role.site}/{role.device}/command", self._obey)

    async def says(self, said: Mapping[str, object], *, part: str = "", story: str = "script") -> None:
        """Report ``{"values": {…}}`` or ``{"signals": […]}``."""
        words = {**({"part": part} if part else {}), **said}
        topic_class = TopicClass.SIGNAL if "signals" in said else TopicClass.TELEMETRY
        role, payload = self.role, orjson.dumps(words)
        report = Report(
            site=role.site, device=role.device, topic_class=topic_class, payload=payload, story=story
        )  # fmt: skip
        await self.link.say(report)

    async def _obey(self, message: Message) -> None:
        command = orjson.loads(bytes(message.payload))
        name, part = str(command["command"]), str(command.get("part", ""))
        is_drill, args = bool(command.get("drill")), command.get("args", {})
        taken = Taken(str(command["id"]), name, part, self._clock.wall_ns(), is_drill, args)
        self.taken.append(taken)
        temper = self.role.temper
        if temper is Temper.LATE:
            await self._clock.sleep(self.role.late)
        if temper is not Temper.MUTE:
            await self._answer(message, str(command["id"]), ok=temper is not Temper.REFUSES)
        if temper not in {Temper.REFUSES, Temper.LIES}:
            effect = EFFECTS.get((self.role.kind, name))
            if effect is not None:
                await self.says({"values": effect}, part=part, story=name)

    async def _answer(self, message: Message, identity: str, *, ok: bool) -> None:
        role, asked = self.role, message.properties
        topic = getattr(asked, "ResponseTopic", f"hub/{role.site}/{role.device}/{TopicClass.RESPONSE}")
        answer = {"id": identity, "ok": ok} | ({} if ok else {"code": "refused_by_device"})
        await self.link.respond(topic, orjson.dumps(answer), getattr(asked, "CorrelationData", None))


class Troupe:
    """Actors at work together: ``async with`` connects them all, and lets them finish what they were saying."""

    def __init__(self, actors: list[Actor], clock: Clock) -> None:
        self.actors = {(actor.role.site, actor.role.device): actor for actor in actors}
        self._clock = clock
        self._tasks = asyncio.TaskGroup()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        for (site, device), actor in self.actors.items():
            self._tasks.create_task(actor.link.run(), name=f"simulators.{site}.{device}")
        while not all(actor.link.is_connected for actor in self.actors.values()):
            await self._clock.sleep(0.01)
        return self

    async def __aexit__(self, *why: object) -> None:
        for actor in self.actors.values():
            await actor.link.finish()
        await self._tasks.__aexit__(None, None, None)
