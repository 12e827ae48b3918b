"""Sites, places, sources, devices, lists and parameters, as an operator enters them and the registry returns them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from hub.model.values import PlaceType, Scalar


class DeviceState(StrEnum):
    """The life of a device: pending → active ⇄ disabled → retired; from each state also straight to retired.

    ``pending``: may connect, is not judged yet; what it says waits for an hour as that of an unknown device does.
    ``disabled`` and ``retired``: may not connect, and what is heard of it all the same (by a foreign network) is
    refused. Retired is for good: its id stays taken, so that old events keep their meaning.
    """

    PENDING = "pending"
    ACTIVE = "active"
    DISABLED = "disabled"
    RETIRED = "retired"


CONNECTING = frozenset({DeviceState.PENDING, DeviceState.ACTIVE})
BARRED = frozenset({DeviceState.DISABLED, DeviceState.RETIRED})
NEXT_STATES = {
    DeviceState.PENDING: frozenset({DeviceState.ACTIVE, DeviceState.RETIRED}),
    DeviceState.ACTIVE: BARRED,
    DeviceState.DISABLED: frozenset({DeviceState.ACTIVE, DeviceState.RETIRED}),
    DeviceState.RETIRED: frozenset[DeviceState](),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A community: the root of its place tree, in one partition and one time zone (IANA name).

    ``code`` is its 12-digit code of the statistics bureau (统计用区划代码): the first six digits are the city or
    district (GB/T 2260), the first nine the street (GB/T 10114). What those are called, divisions say.
    """

    id: str
    zone: str
    partition: str = "main"
    code: str = ""
    label: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """What a city or district (6 digits), a street (9) or a community (12) is called that has no site of its own."""

    code: str
    label: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """Where a place is: degrees, its outline on the ground (a GeoJSON Polygon), and its floors."""

    longitude: float | None = None
    latitude: float | None = None
    footprint: dict[str, Any] | None = None
    floors: int | None = None
    basements: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A place below a site; ``parent`` is a place of the same site, or the site itself when empty.

    ``code`` is its standard address code: it begins with the code of what it lies in, where that has one. A fact that
    holds for a time is ``FROM/UNTIL``. ``consents`` say who agreed to a fact about a person, and where that
    is written; they stay in the registry.
    """

    site: str
    id: str
    type: PlaceType
    parent: str = ""
    code: str = ""
    geometry: Geometry = field(default_factory=Geometry)
    label: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Scalar] = field(default_factory=dict)
    consents: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A foreign network of the installation: one of a sort (``network``), in one partition, its parameters filled."""

    id: str
    network: str
    partition: str = "main"
    params: dict[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device at a place (the site itself when empty).

    ``profile`` is empty for the native payload. ``user`` is who carries it to the broker: the same for all devices
    of a gateway, empty for a device that connects itself, if at all: as the user ``site/device``. A device of a foreign
    network names its ``source`` and what that calls it, the ``network_id``. ``gateway`` is the device of its site that
    carries it, ``tags`` are words by which people find it.
    """

    site: str
    id: str
    kind: str
    profile: str = ""
    place: str = ""
    params: dict[str, Scalar] = field(default_factory=dict)
    serial: str | None = None
    state: DeviceState = DeviceState.ACTIVE
    user: str = ""
    source: str = ""
    network_id: str = ""
    gateway: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What stands on a list (block, allow, a visitor's pass) of a site, or of every site when ``site`` is empty.

    With a ``place`` of the site it counts there and below only. ``valid`` is ``FROM/UNTIL``, or empty: always.
    """

    list: str
    value: str
    site: str = ""
    place: str = ""
    valid: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """What a rule's parameters are: of a profile (at every site), a site, a place and what is below it, or a device."""

    rule: str
    values: dict[str, Scalar]
    profile: str = ""
    site: str = ""
    place: str = ""
    device: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneOff:
    """A scene (a pack of rules) that is switched off at a site, why, and since when (wall ns); others are on."""

    site: str
    scene: str
    reason: str
    since: int
