"""A community: dwellings with smoke sensors and gates with controllers, built from a seed and run at a rate."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import cycle
from random import Random

import structlog
from aiomqtt import Message

from hub.clock import Clock
from hub.model.values import PlaceType
from hub.registry.nouns import Device, Place, Site
from simulators.access import AccessController
from simulators.link import Broker, Ledger, Link
from simulators.report import Report
from simulators.smoke import SmokeSensor

DWELLINGS_PER_BUILDING = 60
SENSORS_PER_GATEWAY = 250
GATE_SHARE = 0.3  # of all messages
DENIAL_SHARE = 0.08  # of all visits at a gate

# When the scripted things happen, as shares of the run.
SILENCE_AT = 0.1
SMOKE_AT, SMOKE_UNTIL = 0.2, 0.5
FORCED_AT = 0.35
DENIALS_AT, DENIALS = 0.6, 5

log = structlog.get_logger(__name__)

Act = Callable[[int], list[Report]]
"""Wall-clock ns to what is said then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How large a community is."""

    dwellings: int = 120
    gates: int = 4


class Community:
    """The same community for the same ``seed`` and ``size``: its registry entries, and its devices.

    ``alarming`` is the sensor whose dwelling burns for a while, ``silent`` the one that falls silent, ``forced`` the
    gate with the forced door.
    """

    def __init__(self, *, seed: int = 1, size: Size | None = None, site: str = "willow-court") -> None:
        self.size = size or Size()
        self.seed = seed
        self.site = Site(
            id=site, zone="Asia/Shanghai", label={"en": "Willow Court", "zh": "柳园"}, facts={"simulated": True}
        )
        self.sensors = [
            SmokeSensor(site, f"smoke-{number:04}", seed=seed) for number in range(1, self.size.dwellings + 1)
        ]
        self.gates = [AccessController(site, f"gate-{number}", seed=seed) for number in range(1, self.size.gates + 1)]
        chosen = Random(f"{seed}/roles").sample(self.sensors, 2)
        self.alarming, self.silent = chosen
        self.forced = self.gates[0]

    def places(self) -> list[Place]:
        """Return buildings, dwellings and gates, parents first."""
        site = self.site.id
        buildings = [
            Place(site=site, id=f"b{number}", type=PlaceType.BUILDING, label={"zh": f"{number}号楼"})
            for number in range(1, self._building(len(self.sensors)) + 1)
        ]
        dwellings = [
            Place(site=site, id=f"d{number:04}", type=PlaceType.DWELLING, parent=f"b{self._building(number)}")
            for number in range(1, len(self.sensors) + 1)
        ]
        gates = [Place(site=site, id=f"at-{gate.device}", type=PlaceType.GATE) for gate in self.gates]
        return buildings + dwellings + gates

    def devices(self) -> list[Device]:
        """Return every device, with the user that carries it to the broker."""
        sensors = [
            Device(
                site=self.site.id,
                id=sensor.device,
                kind="smoke_sensor",
                profile="milesight/gs524n",
                place=f"d{number:04}",
                user=self._gateway(number),
            )
            for number, sensor in enumerate(self.sensors, start=1)
        ]
        gates = [
            Device(
                site=self.site.id,
                id=gate.device,
                kind="access_controller",
                profile="hikvision/access",
                place=f"at-{gate.device}",
                user=f"{self.site.id}.{gate.device}",
            )
            for gate in self.gates
        ]
        return sensors + gates

    def users(self) -> list[str]:
        """Return who connects to the broker: gateways of sensors, and each gate."""
        return list(dict.fromkeys(device.user for device in self.devices()))

    def traffic(self, *, rate: float, duration: timedelta) -> Iterator[tuple[float, Act]]:
        """Yield (seconds from the start, act) in order: ``rate`` acts a second, and the scripted ones between them."""
        seconds = duration.total_seconds()
        script = sorted(self._script(seconds), key=lambda scene: scene[0])
        for number, act in enumerate(self._everyday(seconds, rate)):
            at = number / rate
            while script and script[0][0] <= at:
                yield script.pop(0)
            yield at, act
        yield from script

    def _everyday(self, seconds: float, rate: float) -> Iterator[Act]:
        random = Random(f"{self.seed}/everyday")
        sensors = cycle(self.sensors)
        # A passage is three messages, so that acts of gates are rarer than their messages.
        gate_share = GATE_SHARE / (3 - 2 * GATE_SHARE)
        silent_from = round(seconds * SILENCE_AT * rate)
        for number in range(round(seconds * rate)):
            if random.random() < gate_share:
                gate = random.choice(self.gates)
                yield gate.denial if random.random() < DENIAL_SHARE else gate.passage
                continue
            sensor = next(sensors)
            if sensor is self.silent and number >= silent_from:
                sensor = next(sensors)
            yield partial(_reading, sensor)

    def _script(self, seconds: float) -> list[tuple[float, Act]]:
        denials = [(seconds * DENIALS_AT + 0.2 * number, self.forced.denial) for number in range(DENIALS)]
        return [
            (seconds * SMOKE_AT, partial(_smoke, self.alarming)),
            (seconds * SMOKE_UNTIL, partial(_no_smoke, self.alarming)),
            (seconds * FORCED_AT, self.forced.forced_door),
            *denials,
        ]

    def _building(self, number: int) -> int:
        return 1 + (number - 1) // DWELLINGS_PER_BUILDING

    def _gateway(self, number: int) -> str:
        return f"{self.site.id}.gateway-{1 + (number - 1) // SENSORS_PER_GATEWAY}"


def _reading(sensor: SmokeSensor, _now_ns: int) -> list[Report]:
    return [sensor.report()]


def _smoke(sensor: SmokeSensor, _now_ns: int) -> list[Report]:
    sensor.catch_fire()
    return [sensor.report()]


def _no_smoke(sensor: SmokeSensor, _now_ns: int) -> list[Report]:
    sensor.recover()
    return [sensor.report()]


class Run:
    """One run of a community against a broker; ``ledger`` says what the broker took.

    ``passwords`` by user; without them everybody connects anonymously.
    """

    def __init__(
        self, community: Community, broker: Broker, *, clock: Clock, passwords: Mapping[str, str] | None = None
    ) -> None:
        self.ledger = Ledger()
        self._community = community
        self._clock = clock
        given = passwords or {}
        self._links = {
            user: Link(broker, user, given.get(user), ledger=self.ledger, clock=clock) for user in community.users()
        }
        self._carrier = {device.id: self._links[device.user] for device in community.devices()}
        for gate in community.gates:
            topic = f"hub/{gate.site}/{gate.device}/command"
            self._carrier[gate.device].listen(topic, partial(self._obey, gate))

    async def run(self, *, rate: float, duration: timedelta) -> Ledger:
        """Say everything at ``rate`` a second for ``duration``; return when the broker took the last message."""
        async with asyncio.TaskGroup() as tasks:
            for user, link in self._links.items():
                tasks.create_task(link.run(), name=f"simulators.{user}")
            start = self._clock.monotonic_ns()
            for at, act in self._community.traffic(rate=rate, duration=duration):
                await self._sleep_until(start + round(at * 1e9))
                for report in act(self._clock.wall_ns()):
                    await self._carrier[report.device].say(report)
            await self._sleep_until(start + round(duration.total_seconds() * 1e9))
            for link in self._links.values():
                await link.finish()
        log.info("community_finished", **self.ledger.by_class())
        return self.ledger

    async def _sleep_until(self, moment_ns: int) -> None:
        ahead = moment_ns - self._clock.monotonic_ns()
        if ahead > 0:
            await self._clock.sleep(ahead / 1e9)

    async def _obey(self, gate: AccessController, message: Message) -> None:
        answer = gate.obey(bytes(message.payload), self._clock.wall_ns())
        link = self._carrier[gate.device]
        asked = message.properties
        topic = getattr(asked, "ResponseTopic", f"hub/{gate.site}/{gate.device}/response")
        await link.respond(topic, answer.response, getattr(asked, "CorrelationData", None))
        for report in answer.reports:
            await link.say(report)
