"""The tower of the storm: two doors that a fire holds, what they are told, and what they answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import cast

import aiomqtt
import orjson
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from hub.model.values import PlaceType
from hub.registry.nouns import Device, Place
from hub.registry.registry import Registry
from hub.sinks.control import Request, send_control
from tests.bridge.device import publish
from tests.chaos.town import SITE, Town
from tests.waiting import PATIENCE_SECONDS, wait_until

EXIT, LOBBY, STRANGER, DETECTOR = "exit", "lobby", "gate", "detector"
"""A door that is held for the safety of life, one that is held for less, one that nobody asks, and who smells smoke."""
TTL = timedelta(seconds=1)
RULES = """
rule: tower-alarm
label: {en: Smoke in the tower, zh: 塔楼烟雾}
for_each: smoke_sensor
when: status == 'alarm'
raise: {event: fire.tower, severity: critical}
clear: {when: "status == 'normal'"}
do:
  - command: hold_door
    args: {ttl: 1s}
    to: {kind: access_controller, in: building}
    priority: life_safety
    until: cleared
  - {command: hold_door, args: {ttl: 1s}, to: {kind: face_terminal, in: building}, until: cleared}
"""
SMOKE, CALM = bytes.fromhex("221164321F18"), bytes.fromhex("2217641E1A2B")  # GS524N: alarm and normal (samples.json)
PATIENCE = timedelta(seconds=PATIENCE_SECONDS)


async def build(town: Town) -> None:
    """Put the tower into the registry."""
    async with Registry(town.hub.settings.registry_url()) as registry:
        await registry.add_places([Place(site=SITE, id="tower", type=PlaceType.BUILDING)])
        await registry.add_devices([
            Device(site=SITE, id=EXIT, kind="access_controller", place="tower"),
            Device(site=SITE, id=LOBBY, kind="face_terminal", place="tower"),
            Device(site=SITE, id=DETECTOR, kind="smoke_sensor", profile="milesight/gs524n", place="tower"),
        ])  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One command on the wire."""

    id: str
    device: str
    command: str
    message: aiomqtt.Message


async def respond(client: aiomqtt.Client, command: aiomqtt.Message, device: str, payload: bytes) -> None:
    """Answer a command as ``device``, with its correlation data."""
    properties = Properties(PacketTypes.PUBLISH)
    properties.CorrelationData = command.properties.CorrelationData  # type: ignore[union-attr] # MQTT 5 has them
    await client.publish(f"hub/{SITE}/{device}/response", payload, qos=1, properties=properties)


class Doors:
    """The doors of a tower, on one connection. ``silent_on``: a command that they carry out without an answer."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self.told: list[Told] = []
        self.silent_on = ""
        self._client = client

    async def listen(self) -> None:
        """Take what they are told, until cancelled."""
        async for message in self._client.messages:
            said, device = orjson.loads(bytes(message.payload)), message.topic.value.split("/")[2]
            each = Told(id=said["id"], device=device, command=said["command"], message=message)
            self.told.append(each)
            if each.command != self.silent_on:
                await self.answer(each)

    async def answer(self, told: Told, *, by: str = "") -> None:
        """Say that it is done, with the correlation data of the command; ``by``: another says so."""
        await respond(self._client, told.message, by or told.device, orjson.dumps({"id": told.id, "ok": True}))

    async def until_told(self, identity: str) -> Told:
        """Wait until a door was told the command of that id."""
        return await self._found(identity, lambda: next((each for each in self.told if each.id == identity), None))

    async def until_first(self, device: str, command: str, *, after: int = 0) -> Told:
        """Wait for what :meth:`first` finds."""
        return await self._found(f"{device} {command}", lambda: self.first(device, command, after=after))

    async def until_last(self, device: str, command: str) -> Told:
        """Wait until ``command`` is the last thing that ``device`` was told."""

        def last() -> Told | None:
            told = next((each for each in reversed(self.told) if each.device == device), None)
            return told if told is not None and told.command == command else None

        return await self._found(f"{device} {command} as its last", last)

    def first(self, device: str, command: str, *, after: int = 0) -> Told | None:
        """Return the first ``command`` that ``device`` was told behind the first ``after`` of all."""
        mine = (each for each in self.told[after:] if (each.device, each.command) == (device, command))
        return next(mine, None)

    async def _found(self, wanted: str, look: Callable[[], Told | None]) -> Told:
        try:
            return cast("Told", await wait_until(look))
        except AssertionError as error:
            told = ", ".join(f"{each.device} {each.command}" for each in self.told[-20:])
            message = f"no {wanted!r}; the doors were told {len(self.told)} commands, at last: {told}"
            raise AssertionError(message) from error


@asynccontextmanager
async def doors_of(town: Town) -> AsyncIterator[Doors]:
    """Let the doors of the tower be there meanwhile."""
    async with town.client() as client, asyncio.TaskGroup() as group:
        for device in (EXIT, LOBBY):
            await client.subscribe(f"hub/{SITE}/{device}/command", qos=1)
        found = Doors(client)
        listening = group.create_task(found.listen(), name="storm.doors")
        try:
            yield found
        finally:
            while not listening.done():  # Python 3.11 may pass a cancel over while an answer is awaited
                listening.cancel()
                await asyncio.wait([listening], timeout=0.1)


async def smell(town: Town, payload: bytes) -> None:
    """Let the detector of the tower say one thing."""
    await publish(town.mosquitto.port, [payload], topic=f"hub/{SITE}/{DETECTOR}/telemetry")


async def ask_to_unlock(town: Town, part: str, expires_in: timedelta) -> str:
    """Ask for a part of the exit to be unlocked for a second, as an operator; return the id of the command."""
    args = {"site": SITE, "device": EXIT, "command": "unlock", "part": part, "ttl": "1s"}
    wanted = Request(actor="li", verb="command", args=args, expires_in=expires_in)
    async with town.valkey.link() as link:
        reply = await send_control(link, town.clock, town.partition, wanted, wait=PATIENCE)
    if not reply.ok:
        message = f"{reply.code}: {reply.detail}"
        raise AssertionError(message)
    return reply.id


async def ends(town: Town, identity: str) -> list[str]:
    """Return what the streams tell of a command, in order."""
    found = [event for event in await town.events("command") if event.data.get("id") == identity]
    return [event.name.removeprefix("command.") for event in found]
