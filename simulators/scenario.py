"""Scenarios: places, devices and their tempers, what they say and when, and the timeline that must come of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from hub.clock import Clock
from hub.errors import ConfigError
from hub.model.values import PlaceType, Scalar
from hub.registry.nouns import Device, Place
from hub.yaml_documents import load_tree
from simulators.actors import Actor, Role, Temper
from simulators.link import Broker

DIRECTORY = Path(__file__).parent / "scenarios"


class PlaceWords(msgspec.Struct, forbid_unknown_fields=True):
    """A place of a scenario."""

    type: PlaceType
    parent: str = ""


class DeviceWords(msgspec.Struct, forbid_unknown_fields=True):
    """A device of a scenario, which speaks the native payload; ``late`` seconds where its temper is that."""

    kind: str
    place: str = ""
    temper: Temper = Temper.ANSWERS
    late: float = 0.0


class Step(msgspec.Struct, forbid_unknown_fields=True):
    """At so many seconds a device says something, or a person asks: ``ask`` is the verb, the rest its words."""

    at: float
    device: str = ""
    part: str = ""
    values: dict[str, Scalar] | None = None
    signals: list[dict[str, Any]] | None = None
    ask: str = ""
    args: dict[str, Scalar] = {}

    def said(self) -> dict[str, object]:
        """Return what a device says."""
        words = {"values": self.values, "signals": self.signals}
        return {name: word for name, word in words.items() if word is not None}


class Timeline(msgspec.Struct, forbid_unknown_fields=True):
    """What came of it, by device or place (``@z1``): alarms in order; commands in the order in which they came to it.

    Each command with what became of it; ``unsent`` are those that never left, ``answers`` what people were told.
    """

    alarms: dict[str, list[str]] = {}
    commands: dict[str, list[str]] = {}
    unsent: dict[str, list[str]] = {}
    answers: list[str] = []


class Scenario(msgspec.Struct, forbid_unknown_fields=True):
    """One scenario, at a site of its own."""

    scenario: str
    label: dict[str, str]
    devices: dict[str, DeviceWords]
    script: list[Step]
    expect: Timeline
    places: dict[str, PlaceWords] = {}

    @property
    def site(self) -> str:
        """The site that it plays at."""
        return f"scenario-{self.scenario}"

    def place_rows(self) -> list[Place]:
        """Return its places, as the registry wants them."""
        words = self.places.items()
        return [Place(site=self.site, id=name, type=each.type, parent=each.parent) for name, each in words]

    def device_rows(self) -> list[Device]:
        """Return its devices, as the registry wants them."""
        words = self.devices.items()
        return [Device(site=self.site, id=name, kind=each.kind, place=each.place) for name, each in words]

    def actors(self, broker: Broker, clock: Clock) -> list[Actor]:
        """Return its devices at work."""
        words = self.devices.items()
        roles = [
            Role(site=self.site, device=name, kind=each.kind, temper=each.temper, late=each.late)
            for name, each in words
        ]
        return [Actor(role, broker, clock=clock) for role in roles]

    async def play(self, actors: Mapping[tuple[str, str], Actor], ask: Ask, clock: Clock) -> None:
        """Say and ask everything at its moment."""
        began = clock.monotonic_ns()
        for step in sorted(self.script, key=lambda one: one.at):
            ahead = began + round(step.at * 1e9) - clock.monotonic_ns()
            if ahead > 0:
                await clock.sleep(ahead / 1e9)
            if step.ask:
                await ask(self, step)
            else:
                await actors[self.site, step.device].says(step.said(), part=step.part)


Ask = Callable[[Scenario, Step], Awaitable[None]]


def read_scenarios(names: Sequence[str]) -> list[Scenario]:
    """Return the scenarios ``names``, or all; ConfigError with file and line for one that is wrong or unknown."""
    found: dict[str, Scenario] = {}
    for document in load_tree([DIRECTORY], {"scenario"}).values():
        try:
            found[document.name] = msgspec.convert(document.body, Scenario, strict=False)
        except msgspec.ValidationError as error:
            raise document.error("scenario_invalid", str(error), path=()) from error
    if unknown := [name for name in names if name not in found]:
        hint = f"there are: {', '.join(sorted(found))}"
        raise ConfigError("scenario_unknown", f"there is no scenario {unknown[0]!r}", hint=hint)
    return [found[name] for name in names or sorted(found)]
