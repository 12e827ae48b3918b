"""Sites, places, sources, devices, lists and parameters, as an operator enters them and the registry returns them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from hub.model import PlaceType, Scalar


class DeviceState(StrEnum):
    """Whether a device may connect and is judged."""

    ACTIVE = "active"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A community: the root of its place tree, in one partition and one time zone (IANA name)."""

    id: str
    zone: str
    partition: str = "main"
    label: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A place below a site; ``parent`` is a place of the same site, or the site itself when empty.

    A fact that holds for a time is ``FROM/UNTIL``. ``consents`` say who agreed to a fact about a person, and where that
    is written; they stay in the registry.
    """

    site: str
    id: str
    type: PlaceType
    parent: str = ""
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
    of a gateway, empty for a device that never connects itself. A device of a foreign network names its ``source`` and
    what that calls it, the ``network_id``.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What stands on a list (block, allow, a visitor's pass) of a site, or of every site when ``site`` is empty.

    ``valid`` is ``FROM/UNTIL``, or empty: always.
    """

    list: str
    value: str
    site: str = ""
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
class Connection:
    """One user of the broker: the hash of its password, and the (site, device) pairs that it carries."""

    user: str
    password_hash: str
    devices: tuple[tuple[str, str], ...]
