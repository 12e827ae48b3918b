"""A mixture: devices of shipped profiles in the proportions of a real community, and who of them speaks how often."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from random import Random
from typing import Protocol

from hub.model.values import PlaceType
from hub.registry.nouns import Device, Place
from simulators.access import AccessController
from simulators.elevators import Elevator
from simulators.milesight import GasDetector, LeakSensor
from simulators.native import NativeSensors
from simulators.plates import PlateCamera
from simulators.report import Report
from simulators.smoke import SmokeSensor

SLOTS = 1_000
"""Messages of one round, in which every family has its share."""

Saying = tuple[int, str, bytes]
Talk = Callable[[int, int], Sequence[Report]]
"""Number of a device in its family and UTC ns -> what it says now."""


class Quiet(Protocol):
    """A device that says its present state, and nothing else."""

    def report(self) -> Report:
        """Say it."""
        ...


class _Make(Protocol):
    def __call__(self, site: str, device: str, *, seed: int) -> Quiet: ...


QUIET: Mapping[str, _Make] = {"smoke": SmokeSensor, "lift": Elevator, "leak": LeakSensor, "gas": GasDetector}


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One row: how many a community has, and how many messages a day one of them sends."""

    name: str
    kind: str
    profile: str
    place: PlaceType
    share: float
    a_day: float


# Counts: 24 communities, 227 buildings, 8,066 households, 26,000 residents (Qingdao Financial Daily, 15 December 2021),
# a 24th of each. That a resident opens a door eight times a day and a smoke detector reports once we assume; and
# so is all that names no source. An elevator gateway may post twice a second (a public firmware): here it posts what
# changes, every 20 s of the day, or else there would be nothing but elevators.
FAMILIES = (
    Family(name="smoke", kind="smoke_sensor", profile="milesight/gs524n", place=PlaceType.DWELLING, share=336, a_day=1),
    Family(
        name="door", kind="access_controller", profile="hikvision/access", place=PlaceType.GATE, share=20, a_day=1_300
    ),
    Family(
        name="lift", kind="elevator", profile="elevator_gateway/info", place=PlaceType.ELEVATOR, share=9.5, a_day=4_320
    ),
    Family(name="plates", kind="plate_reader", profile="hikvision/anpr", place=PlaceType.LANE, share=2, a_day=600),
    Family(
        name="leak", kind="leak_sensor", profile="milesight/em300-sld", place=PlaceType.DWELLING, share=20, a_day=144
    ),
    Family(name="gas", kind="gas_detector", profile="milesight/gs101", place=PlaceType.DWELLING, share=30, a_day=24),
    Family(name="air", kind="environment_sensor", profile="", place=PlaceType.BUILDING, share=50, a_day=144),
)
SMALLEST = len(FAMILIES)
"""A mixture has one device of each family at least."""


class Mixture:
    """``count`` devices (at least :data:`SMALLEST`) of a site; the same messages for the same ``seed``.

    What everybody says is everyday life: no alarm, so that rules have work and people have none.
    """

    def __init__(self, site: str, count: int, *, seed: int = 1) -> None:
        self.site = site
        counts = shares({family.name: family.share for family in FAMILIES}, count)
        self._counts = counts
        self._members: dict[str, _Members] = {}
        first = 0
        for family in FAMILIES:
            self._members[family.name] = _Members(family, site, first, counts[family.name], seed)
            first += counts[family.name]
        self._slots = _slots(seed)

    def places(self) -> list[Place]:
        """Return a place for each device, all of them below the site."""
        return [place for members in self._members.values() for place in members.places()]

    def devices(self) -> list[Device]:
        """Return every device, in the order in which :meth:`say` counts them."""
        return [device for members in self._members.values() for device in members.devices()]

    def say(self, number: int, now_ns: int) -> Saying:
        """Return who says message ``number``, its topic and its payload; ask in order, each one once."""
        return self._members[self._slots[number % SLOTS]].say(now_ns)


class _Members:
    """The devices of one family; they speak one after the other."""

    def __init__(self, family: Family, site: str, first: int, count: int, seed: int) -> None:
        self._family = family
        self._site = site
        self._first = first
        self._names = [f"{family.name}-{number:05}" for number in range(1, count + 1)]
        self._talk = _talk(family.name, site, self._names, seed)
        self._turns = cycle(range(count))
        self._pending: deque[Saying] = deque()

    def places(self) -> list[Place]:
        return [Place(site=self._site, id=f"at-{name}", type=self._family.place) for name in self._names]

    def devices(self) -> list[Device]:
        kind, profile = self._family.kind, self._family.profile
        return [
            Device(site=self._site, id=name, kind=kind, profile=profile, place=f"at-{name}") for name in self._names
        ]

    def say(self, now_ns: int) -> Saying:
        if not self._pending:
            turn = next(self._turns)
            said = self._talk(turn, now_ns)
            self._pending.extend((self._first + turn, report.topic, report.payload) for report in said)
        return self._pending.popleft()


def _talk(family: str, site: str, names: Sequence[str], seed: int) -> Talk:
    """Return what the devices of a family do when it is their turn."""
    match family:
        case "door":
            gates = [AccessController(site, name, seed=seed) for name in names]
            return lambda turn, now: gates[turn].passage(now)
        case "plates":
            cameras = [PlateCamera(site, name, seed=seed) for name in names]
            return lambda turn, now: [cameras[turn].passage(now)]
        case "air":
            return _native(site, names, seed)
        case _:
            quiet = [QUIET[family](site, name, seed=seed) for name in names]
            return lambda turn, _now: [quiet[turn].report()]


def _native(site: str, names: Sequence[str], seed: int) -> Talk:
    sensors, said = NativeSensors(site, len(names), names=names, seed=seed), [0] * len(names)

    def talk(turn: int, now_ns: int) -> Sequence[Report]:
        number = said[turn] * len(names) + turn
        said[turn] += 1
        return [sensors.report(number, now_ns)]

    return talk


def _slots(seed: int) -> list[str]:
    """Return whose turn it is in each message of a round."""
    counts = shares({family.name: family.share * family.a_day for family in FAMILIES}, SLOTS)
    slots = [name for name, count in counts.items() for _ in range(count)]
    Random(f"{seed}/slots").shuffle(slots)
    return slots


def shares(weights: Mapping[str, float], whole: int) -> dict[str, int]:
    """Return ``whole`` (at least one for each) split in the proportions of ``weights``; the sum is ``whole``."""
    total = sum(weights.values())
    exact = {name: max(1.0, whole * weight / total) for name, weight in weights.items()}
    found = {name: int(share) for name, share in exact.items()}
    for name in sorted(exact, key=lambda name: int(exact[name]) - exact[name]):
        found[name] += sum(found.values()) < whole
    largest = max(found, key=lambda name: found[name])
    found[largest] += whole - sum(found.values())
    return found
